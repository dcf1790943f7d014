# Everything here works on a machine with Python 3.11, python3-venv and make, and the package index.
#
#   make run      start the server           (PORT=8765 HOST=127.0.0.1 CONFIG=configs/laptop.yaml)
#   make test     the tests                  (PYTEST="-k silero" to choose)
#   make test-web those of the page at /, in Debian's Chromium (apt-get install chromium)
#   make check    lint, types, tests: with test-web, what CI runs
#   make bench    NAME=latency               (writes bench/reports/)
#   make lock     renew the pinned versions

PYTHON ?= python3.11
VENV   ?= .venv
PORT   ?= 8765
HOST   ?= 127.0.0.1
CONFIG ?= configs/laptop.yaml
BIN    := $(VENV)/bin

.PHONY: run test test-web check lint types bench lock clean

run: $(VENV)/run.stamp
	@$(BIN)/python -m deployments.weights --config $(CONFIG)
	@exec $(BIN)/python -m deployments.launch --config $(CONFIG) --host $(HOST) --port $(PORT)

test: $(VENV)/dev.stamp
	@$(BIN)/python -m deployments.weights --config configs/laptop.yaml
	$(BIN)/python -m pytest $(PYTEST)

test-web: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -m web $(PYTEST) tests/web

check: lint types test

lint: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/dev.stamp
	$(BIN)/mypy

bench: $(VENV)/dev.stamp
	@$(BIN)/python -m deployments.weights --config $(CONFIG)
	$(BIN)/python -m bench.$(NAME)

$(VENV)/run.stamp: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps -r requirements.txt
	touch $@

$(VENV)/dev.stamp: requirements-dev.txt $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --no-deps -r requirements-dev.txt
	touch $@

# uv resolves; pip, which every Python brings, installs.
lock:
	$(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --python-version 3.11 --no-emit-index-url --no-annotate --no-header \
	  pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --python-version 3.11 --no-emit-index-url --no-annotate --no-header \
	  --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt

clean:
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache
