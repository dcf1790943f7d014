"""The library itself: what importing it leaves behind, and what is said of options that it does not take."""

from __future__ import annotations

import importlib
import logging
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from conversation.errors import ConfigError
from deployments.tts.cosyvoice import CosyVoice
from deployments.tts.cosyvoice_library import (
    OpenedModel,
    _mend_autocast,
    _mend_downloading_of_rules,
    _without_side_effects,
    open_model,
)
from deployments.tts.cosyvoice_speakers import Speakers
from deployments.tts.voices import Voices
from tests.gpu_backends.tiny import cosyvoice_versions

pytestmark = pytest.mark.gpu_backends


@pytest.fixture(scope="module")
def opened(tiny_models: Path) -> OpenedModel:
    return open_model(str(tiny_models / "cosyvoice2"), {})


def test_importing_it_leaves_the_root_logger_as_it_was(
    opened: OpenedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself it sets the root logger to DEBUG."""
    file_utils = importlib.import_module("cosyvoice.utils.file_utils")
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", logging.WARNING)
    with _without_side_effects():
        importlib.reload(file_utils)
    assert (root.level, root.handlers) == (logging.WARNING, [])
    importlib.reload(file_utils)
    assert root.level == logging.DEBUG  # else there is nothing to prevent any more


def test_a_voice_is_read_after_one_for_another_version(opened: OpenedModel, tiny_models: Path) -> None:
    import torch

    voice = Voices(tiny_models / "cosyvoice2" / "voices").find("default")
    first = Speakers(opened).of(voice)
    windows = importlib.import_module("matcha.utils.audio").hann_window
    assert windows["cpu"].shape == (1920,)
    windows["cpu"] = torch.hann_window(1024)  # as CosyVoice 1 leaves it
    again = Speakers(opened).of(voice)
    assert torch.equal(first["prompt_speech_feat"], again["prompt_speech_feat"])


@pytest.mark.parametrize("option", ["fp16", "load_jit", "load_vllm"])
def test_an_option_for_gpus_needs_one(tiny_models: Path, option: str, tmp_path: Path) -> None:
    """The library would leave it out, with a word in its log."""
    for file in (tiny_models / "cosyvoice2").iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "flow.encoder.fp32.zip").touch()
    with pytest.raises(ConfigError, match=f"tts options: {option}: these need a GPU"):
        open_model(str(tmp_path), {option: True})


def test_an_option_that_a_version_does_not_have_is_named(tiny_models: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"options\.load_vllm: CosyVoice 1 has no such option; it takes .*fp16"
    ):
        open_model(str(tiny_models / "cosyvoice1"), {"load_vllm": True})


def test_a_version_that_the_library_does_not_have_is_named(tmp_path: Path) -> None:
    if 3 in cosyvoice_versions():
        pytest.skip("a checkout has every version")
    for name in (
        "cosyvoice3.yaml",
        "llm.pt",
        "flow.pt",
        "hift.pt",
        "campplus.onnx",
        "speech_tokenizer_v3.onnx",
    ):
        (tmp_path / name).touch()
    (tmp_path / "CosyVoice-BlankEN").mkdir()
    with pytest.raises(
        ConfigError, match=r"holds CosyVoice 3, which .* not have; .* let COSYVOICE_HOME name"
    ):
        open_model(str(tmp_path), {})


def test_weights_of_another_shape_are_named(tiny_models: Path, tmp_path: Path) -> None:
    for file in (tiny_models / "cosyvoice2").iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "hift.pt").unlink()
    (tmp_path / "hift.pt").symlink_to(tiny_models / "cosyvoice2" / "flow.pt")
    with pytest.raises(ConfigError, match=r"CosyVoice 2 cannot be opened from .*RuntimeError"):
        open_model(str(tmp_path), {})


@pytest.mark.parametrize("chunk_tokens", [[], [4], [25, 4], [0]])
def test_chunks_that_are_too_short_are_refused(tiny_models: Path, chunk_tokens: list[int]) -> None:
    directory = tiny_models / "cosyvoice2"
    with pytest.raises(ConfigError, match=r"options\.chunk_tokens: .*at least 5 tokens a chunk"):
        CosyVoice(weights=str(directory), voices=str(directory / "voices"), chunk_tokens=chunk_tokens)


def test_text_is_normalised_in_both_languages(opened: OpenedModel) -> None:
    """Without its own rules for text, by wetext's."""
    if getattr(opened.frontend, "text_frontend", "wetext") == "":
        pytest.skip("this wetext downloads its rules")
    assert opened.frontend.text_normalize("It costs $5.", split=True) == ["It costs five dollars."]
    (normalised,) = opened.frontend.text_normalize("今天是2026年。", split=True)
    assert normalised.startswith("今天是二零二六年。")  # cosyvoice2-eu adds a full stop


def test_rules_for_text_are_not_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As wetext 0.0.4 would, at every start."""
    asked: list[dict[str, Any]] = []
    old: Any = types.ModuleType("wetext.wetext")
    old.snapshot_download = lambda name, **options: asked.append(options)
    monkeypatch.setitem(sys.modules, "wetext.wetext", old)
    _mend_downloading_of_rules()
    old.snapshot_download("pengzhendong/wetext")
    assert asked == [{"local_files_only": True}]


def test_nothing_is_mended_where_the_librarys_own_versions_are(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr("deployments.tts.cosyvoice_library.version", lambda package: "2.3.1")
    own: Any = object()
    monkeypatch.setattr(torch.cuda.amp, "autocast", own)
    _mend_autocast()
    assert torch.cuda.amp.autocast is own
