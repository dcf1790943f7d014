"""What a model file, a run configuration and the command line see of the catalogue."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from conversation.errors import ConfigError
from deployments import weights
from deployments.weights.__main__ import main
from tests.unit.weights.conftest import DATA, ENTRY, FILE, Describe, described, write_wheel

CONFIGS = Path(__file__).parents[3] / "configs"
TOY = {"toy_model/data/toy.bin": DATA}


def test_a_name_that_was_not_fetched_is_reported_with_the_remedy(describe: Describe, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"toy is not there: .*make run.*python -m deployments\.weights toy"
    ) as told:
        weights.locate("toy")
    assert f"{tmp_path / 'cache/models/toy-1.2.3'} lacks toy.bin;" in str(told.value)


def test_a_local_path_is_its_own_location(tmp_path: Path) -> None:
    assert weights.locate(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("action", [weights.locate, weights.fetch])
def test_an_unknown_name_is_answered_with_the_known_ones(action: Callable[[str], Path]) -> None:
    with pytest.raises(ConfigError, match=r"'silero-vda'.*silero-vad, "):
        action("silero-vda")


def test_a_configuration_fetches_the_catalogue_names_under_the_keys_that_name_models(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wheel(index, TOY)
    config = tmp_path / "run.yaml"
    config.write_text("""
        vad: {model: "a:B", options: {weights: toy}}
        asr: [{weights: ./local/folder}, {weights: toy}, {weights: [toy]}]
        tts: {voice: toy}
    """)
    assert weights.names_in(config) == ["toy"]
    assert main(["--config", str(config)]) == 0
    assert main(["toy"]) == 0
    assert capsys.readouterr().out == "toy, 1.2.3, 0.0 MB: done\ntoy: already there\n"


def test_punctuation_is_a_key_that_names_a_model(describe: Describe, tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text("asr_final: {options: {weights: ./here, punctuation: toy}}")
    assert weights.names_in(config) == ["toy"]


@pytest.mark.parametrize("config", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_a_configuration_that_is_shipped_names_models_that_the_catalogue_has(config: Path) -> None:
    named = set(re.findall(r"^ *(?:weights|punctuation): (\S+)", config.read_text(), re.MULTILINE))
    assert named == set(weights.names_in(config))


def test_a_configuration_that_cannot_be_read_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", "no/such.yaml"]) == 1
    assert "no/such.yaml" in capsys.readouterr().err


def test_a_cache_that_cannot_be_written_is_reported_with_the_remedy(
    index: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wheel(index, TOY)
    monkeypatch.setenv("ANTIPHON_CACHE", str(next(index.iterdir())))  # a file
    assert main(["toy"]) == 1
    assert "ANTIPHON_CACHE may name another directory" in capsys.readouterr().err


def test_the_list_names_every_entry_with_its_licence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed and entry.licence in listed for name, entry in weights.catalogue().items())


@pytest.mark.parametrize(
    "wrong",
    [
        {"licence": 3},
        {"licnce": "MIT"},
        {"files": []},
        {"files": [FILE, FILE]},
        {"files": [described("a/SHA256SUMS")]},
        {"wheels": []},
        {"wheels": ["toy-model>=1"]},
        {"tarballs": ["toy-voices"]},
        {"files": [{**FILE, "path": ["a", "b"]}]},
        {"files": [{**FILE, "name": "../toy.bin"}]},
        {"modelscope": {"id": "toys/Toy", "revision": "v1"}},
    ],
    ids=[
        "a wrong type",
        "an unknown key",
        "no files",
        "one name twice",
        "the name of the record",
        "no package",
        "a wheel without its version",
        "a tarball without its version",
        "a joined file without a name",
        "a name that leads out of the directory",
        "packages and a hub",
    ],
)
def test_a_catalogue_with_a_mistake_is_refused(describe: Describe, wrong: dict[str, object]) -> None:
    describe({**ENTRY, **wrong})
    with pytest.raises(ConfigError, match=r"models-1\.yaml"):
        weights.catalogue()
