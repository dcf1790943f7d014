"""A configuration says what is wrong with it, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from conversation.errors import ConfigError
from deployments.config import Config, IngressConfig, load_config
from deployments.local_ray import ROOT

SCRIPTED = ROOT / "configs" / "scripted.yaml"
RUNNABLE = sorted(path for path in (ROOT / "configs").glob("*.yaml") if path.name != "models.yaml")


SEGMENTS = {"model": "conversation.scripted:ScriptedSegmentAsr", "options": {"script": []}}


def scripted(**sections: Any) -> dict[str, Any]:
    return {**yaml.safe_load(SCRIPTED.read_text()), **sections}


@pytest.mark.parametrize("path", RUNNABLE, ids=lambda path: path.stem)
def test_every_configuration_here_binds_to_the_graph(path: Path) -> None:
    from graph import build

    assert build(load_config(path))


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"vat": {}}, r"vat: no such key \(did you mean 'vad'\?\)"),
        (
            {"vad": {"model": "conversation.scripted:ScriptedVad", "replica": 2}},
            r"vad\.replica: .*'replicas'",
        ),
        (
            {"conversation": {"deadlines": {"lm_first_s": 3}}},
            r"conversation\.deadlines\.lm_first_s: .*'llm_first_s'",
        ),
        (
            {"session": {"turn_detection": {"treshold": 0.4}}},
            r"session\.turn_detection\.treshold: .*'threshold'",
        ),
        (
            {"ingress": {"speculate_up_to": 1.5}},
            r"ingress\.speculate_up_to: .*less than or equal to 1, got 1\.5",
        ),
        ({"ingress": {"max_sessions": 0}}, r"ingress\.max_sessions: .*greater than or equal to 1, got 0"),
        ({"vad": {}}, r"vad\.model: missing"),
        ({"vad": {"model": "silero"}}, r"vad\.model: 'silero' is not an import path"),
        (
            {"vad": {"model": "deployments.vad.sillero:Silero"}},
            r"vad\.model: cannot import deployments\.vad\.sillero",
        ),
        ({"vad": {"model": "conversation.scripted:ScriptetVad"}}, r"did you mean 'ScriptedVad'"),
        (
            {"tts": {"model": "deployments.tts.piper:Piper", "options": {"thread": 2}}},
            r"tts\.options\.thread: Piper has no such option \(did you mean 'threads'\?\)",
        ),
        (
            {"tts": {"model": "conversation.scripted:ScriptedTts", "python": "python3.11"}},
            r"tts\.python: .*give the full path of an interpreter, .* got 'python3\.11'",
        ),
        (
            {"asr_final": {"model": "conversation.scripted:ScriptedAsr", "options": {"script": []}}},
            r"asr_final\.model: it streams; asr_final wants one that takes whole segments",
        ),
        (
            {"asr": SEGMENTS, "asr_final": SEGMENTS},
            r"asr_final: asr takes whole segments itself",
        ),
        (
            {"asr": {"model": "conversation.scripted:ScriptedAsr"}},
            r"asr\.options\.script: ScriptedAsr cannot do without it",
        ),
    ],
    ids=lambda value: None if isinstance(value, str) else next(iter(value)),
)
def test_a_mistake_is_named_and_the_remedy_with_it(sections: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Config.model_validate(scripted(**sections))


def test_a_file_that_is_wrong_is_named_too(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("vad: {model: nothing}")
    with pytest.raises(ConfigError, match=f"^{wrong}: "):
        load_config(wrong)


@pytest.mark.parametrize("text", ["vad: [", "just words", ""], ids=["not-yaml", "no-sections", "empty"])
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"not YAML|expected sections"):
        load_config(tmp_path / "odd.yaml")


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"cannot read nowhere.yaml: No such file"):
        load_config("nowhere.yaml")


def test_serve_run_can_name_a_file_and_replace_sections_of_it() -> None:
    config = Config.model_validate({"config": str(SCRIPTED), "ingress": {"max_sessions": 3}})
    assert config.ingress.max_sessions == 3
    assert config.vad == load_config(SCRIPTED).vad


@pytest.mark.parametrize(("share", "sessions"), [(0.0, 0), (0.1, 1), (0.75, 6), (0.8, 7), (1.0, 8)])
def test_the_share_of_sessions_that_are_at_ease_is_rounded_up(share: float, sessions: int) -> None:
    assert IngressConfig(max_sessions=8, speculate_up_to=share).sessions_at_ease == sessions
