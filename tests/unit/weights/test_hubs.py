"""Models from hubs, fetched by scripted clients: modules that copy a folder instead of a repository."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conversation.errors import ConfigError
from deployments import weights
from deployments.weights import entries, hubs
from deployments.weights.__main__ import main
from tests.unit.weights.conftest import DATA, Describe, described

ENTRY: dict[str, object] = {
    "about": "a toy",
    "source": "https://example.org/toy",
    "licence": "MIT",
    "modelscope": {"id": "toys/Toy", "revision": "v1"},
    "huggingface": {"id": "toys/toy", "revision": "abc"},
    "ignore": ["*.rl.pt"],
    "files": ["a.pt", "inner/b.json"],
}

CLIENT = '''
"""Copies $TOY_HUB/ID@REVISION, file by file; what is there already it does not copy again."""
import fnmatch, os, pathlib

def snapshot_download(id, *, revision, local_dir, ignore_patterns):
    hub = pathlib.Path(os.environ["TOY_HUB"])
    repository = hub / f"{id.replace('/', '-')}@{revision}"
    if not repository.is_dir():
        raise LookupError(f"no such repository: {id} at {revision}")
    for file in sorted(repository.rglob("*")):
        target = pathlib.Path(local_dir) / file.relative_to(repository)
        ignored = any(fnmatch.fnmatch(file.name, pattern) for pattern in ignore_patterns)
        if not file.is_file() or target.exists() or ignored:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
        with (hub / "log").open("a") as log:
            log.write(f"{__name__} {file.name}\\n")
        if (hub / "broken").exists():
            raise OSError("the line broke")
        if (hub / "stalls").exists():
            print("one file is there", flush=True)
            (hub / "stalls").read_text()  # a FIFO that nobody writes to
'''


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, describe: Describe) -> Path:
    """The folder of both hubs, with the toy in it; the clients of both are installed."""
    folder = tmp_path / "hub"
    for repository in ("toys-Toy@v1", "toys-toy@abc"):
        (folder / repository / "inner").mkdir(parents=True)
        (folder / repository / "a.pt").write_bytes(DATA)
        (folder / repository / "inner" / "b.json").write_bytes(b"{}")
        (folder / repository / "large.rl.pt").write_bytes(DATA * 9)
        (folder / repository / "README.md").write_bytes(b"a toy")
    clients = tmp_path / "clients"
    clients.mkdir()
    for name in ("toy_modelscope", "toy_huggingface"):
        (clients / f"{name}.py").write_text(CLIENT)
    monkeypatch.setenv("TOY_HUB", str(folder))
    monkeypatch.setenv("PYTHONPATH", str(clients))
    monkeypatch.syspath_prepend(str(clients))
    monkeypatch.setattr(hubs, "CLIENTS", {"modelscope": "toy_modelscope", "huggingface": "toy_huggingface"})
    monkeypatch.delenv("ANTIPHON_HUB", raising=False)
    describe(ENTRY)
    return folder


def log(hub: Path) -> list[str]:
    return (hub / "log").read_text().splitlines()


def fetch_elsewhere() -> subprocess.Popen[bytes]:
    code = (
        "import pathlib; from deployments import weights;"
        f"weights.entries.CATALOGUE = pathlib.Path({str(entries.CATALOGUE)!r});"
        f"weights.hubs.CLIENTS = {hubs.CLIENTS}; weights.fetch('toy')"
    )
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, start_new_session=True)


def test_a_fetched_model_is_located_with_its_folders_and_without_what_it_ignores(hub: Path) -> None:
    directory = weights.fetch("toy")
    assert weights.locate("toy") == directory
    assert directory.name == "toy-modelscope-v1"
    assert (directory / "a.pt").read_bytes() == DATA
    files = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    assert files == {"a.pt", "inner/b.json", "README.md", "SHA256SUMS"}


def test_what_came_is_recorded(hub: Path) -> None:
    directory = weights.fetch("toy")
    check = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=directory, capture_output=True, text=True)
    assert check.stdout == "a.pt: OK\ninner/b.json: OK\n"


def test_the_command_says_where_a_model_comes_from(hub: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["toy"]) == 0
    assert main(["toy"]) == 0
    assert capfd.readouterr().out == "toy, from modelscope, toys/Toy at v1: done\ntoy: already there\n"


def test_what_one_hub_gave_is_not_fetched_from_the_other(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = weights.fetch("toy")
    monkeypatch.setenv("ANTIPHON_HUB", "huggingface")
    assert weights.fetch("toy") == directory


def test_the_hub_can_be_chosen(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_HUB", "huggingface")
    assert weights.fetch("toy").name == "toy-huggingface-abc"
    assert set(log(hub)) == {"toy_huggingface a.pt", "toy_huggingface b.json", "toy_huggingface README.md"}


def test_without_a_choice_the_hub_whose_client_is_installed_is_asked(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(hubs.CLIENTS, "modelscope", "not_installed")
    assert weights.fetch("toy").name == "toy-huggingface-abc"


def test_a_model_that_is_on_one_hub_alone_comes_from_there(
    hub: Path, describe: Describe, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe({key: value for key, value in ENTRY.items() if key != "huggingface"})
    monkeypatch.setenv("ANTIPHON_HUB", "huggingface")
    assert weights.fetch("toy").name == "toy-modelscope-v1"


def test_a_hub_that_does_not_exist_is_answered_with_those_that_do(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTIPHON_HUB", "face")
    with pytest.raises(ConfigError, match="'face' is no hub; it takes modelscope or huggingface"):
        weights.fetch("toy")


def test_a_client_that_is_not_installed_is_named_with_the_command_that_installs_it(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "CLIENTS", {"modelscope": "not_there", "huggingface": "nor_that"})
    with pytest.raises(ConfigError, match=r"pip install not_there` or `.* -m pip install nor_that`") as told:
        weights.fetch("toy")
    assert "a local directory that holds a.pt, inner/b.json" in str(told.value)
    monkeypatch.setenv("ANTIPHON_HUB", "huggingface")
    with pytest.raises(ConfigError, match=r"toy comes from huggingface, whose client .* install nor_that`;"):
        weights.fetch("toy")


def test_a_repository_that_lacks_a_file_is_refused_and_nothing_stays(hub: Path, tmp_path: Path) -> None:
    (hub / "toys-Toy@v1" / "inner" / "b.json").unlink()
    with pytest.raises(ConfigError, match=r"toys/Toy at v1 .*: inner/b\.json did not come, or came empty"):
        weights.fetch("toy")
    assert [path.name for path in (tmp_path / "cache").rglob("*") if path.suffix != ".lock"] == ["fetching"]


def test_a_pinned_file_that_differs_is_refused_and_nothing_stays(
    hub: Path, describe: Describe, tmp_path: Path
) -> None:
    describe({**ENTRY, "files": [described("a.pt", DATA.upper()), "inner/b.json"]})
    with pytest.raises(ConfigError, match=r"a\.pt has sha256 .* expected"):
        weights.fetch("toy")
    assert [path.name for path in (tmp_path / "cache").rglob("*") if path.suffix != ".lock"] == ["fetching"]


def test_a_directory_that_lost_a_file_is_named_with_what_it_lacks_and_fetched_again(hub: Path) -> None:
    directory = weights.fetch("toy")
    (directory / "inner" / "b.json").unlink()
    with pytest.raises(ConfigError, match=rf"{directory} lacks inner/b\.json; .*deployments\.weights toy`"):
        weights.locate("toy")
    assert (weights.fetch("toy") / "inner" / "b.json").read_bytes() == b"{}"


def test_a_client_that_fails_is_heard_and_the_next_fetch_goes_on_where_it_was(
    hub: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (hub / "broken").touch()
    with pytest.raises(ConfigError, match="toy_modelscope could not download toys/Toy at v1"):
        weights.fetch("toy")
    assert capfd.readouterr().err.endswith("OSError: the line broke\n")
    with pytest.raises(ConfigError, match=r"lacks a\.pt, inner/b\.json"):
        weights.locate("toy")
    (hub / "broken").unlink()
    weights.fetch("toy")
    assert sorted(log(hub)) == ["toy_modelscope README.md", "toy_modelscope a.pt", "toy_modelscope b.json"]


def test_a_fetch_that_is_killed_leaves_no_half_model_and_the_next_one_goes_on(hub: Path) -> None:
    os.mkfifo(hub / "stalls")
    with fetch_elsewhere() as killed:
        assert killed.stderr is not None
        assert killed.stderr.readline() == b"one file is there\n"
        os.killpg(killed.pid, signal.SIGKILL)
    with pytest.raises(ConfigError, match=r"lacks a\.pt, inner/b\.json"):
        weights.locate("toy")
    (hub / "stalls").unlink()
    weights.fetch("toy")
    assert len(log(hub)) == len(set(log(hub))) == 3


def test_a_client_that_never_ends_is_ended(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(hub / "stalls")
    monkeypatch.setattr(hubs, "HUB_TIMEOUT_S", 0.5)
    with pytest.raises(ConfigError, match=r"no end after 0\.5 s"):
        weights.fetch("toy")


def test_of_two_processes_that_fetch_at_once_one_downloads_and_both_succeed(hub: Path) -> None:
    both = [fetch_elsewhere() for _ in range(2)]
    assert [process.communicate(timeout=60)[1] for process in both] == [b"", b""]
    assert weights.locate("toy").name == "toy-modelscope-v1"
    assert len(log(hub)) == 3
