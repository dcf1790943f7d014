"""What CosyVoice's files do without its library: what is said of a configuration, and what is given out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from conversation.errors import ConfigError
from deployments.tts.cosyvoice import CosyVoice, _bounded
from deployments.tts.cosyvoice_library import HOME, import_library, open_model

FILES_OF_2 = [
    "cosyvoice2.yaml",
    "llm.pt",
    "flow.pt",
    "hift.pt",
    "campplus.onnx",
    "speech_tokenizer_v2.onnx",
    "CosyVoice-BlankEN",
]


def directory_of_2(at: Path) -> Path:
    for name in FILES_OF_2:
        (at / name).touch()
    return at


def test_weights_that_are_nowhere_are_named_with_the_command_that_fetches_some() -> None:
    with pytest.raises(ConfigError, match=r"^tts: .*cosyvoice2-of-mine.*python -m deployments\.weights NAME"):
        open_model("cosyvoice2-of-mine", {})


def test_a_directory_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has none of cosyvoice\.yaml, cosyvoice2\.yaml, cosyvoice3\.yaml"):
        open_model(str(tmp_path), {})


@pytest.mark.parametrize("missing", FILES_OF_2[1:])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    (directory_of_2(tmp_path) / missing).unlink()
    with pytest.raises(ConfigError, match=f"not a whole model of CosyVoice 2: it lacks {missing}"):
        open_model(str(tmp_path), {})


def test_tensorrt_needs_a_file_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"it lacks flow\.decoder\.estimator\.fp32\.onnx"):
        open_model(str(directory_of_2(tmp_path)), {"load_trt": True})


def test_a_home_that_is_no_checkout_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME, str(tmp_path))
    with pytest.raises(ConfigError, match=r"COSYVOICE_HOME is .*; it must name a checkout"):
        import_library()


def test_a_checkout_without_its_submodule_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cosyvoice" / "cli").mkdir(parents=True)
    (tmp_path / "cosyvoice" / "cli" / "cosyvoice.py").touch()
    monkeypatch.setenv(HOME, str(tmp_path))
    with pytest.raises(ConfigError, match=r"Matcha-TTS.*git submodule update --init"):
        import_library()


def test_contexts_of_tensorrt_without_tensorrt_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="trt_concurrent counts only with load_trt"):
        CosyVoice(weights=str(tmp_path), voices=str(tmp_path), trt_concurrent=4)


def test_a_model_that_reads_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="concurrent: 0: at least one"):
        CosyVoice(weights=str(tmp_path), voices=str(tmp_path), concurrent=0)


def test_what_is_given_out_is_finite_and_within_full_scale(caplog: pytest.LogCaptureFixture) -> None:
    samples = np.array([0.5, np.nan, -np.inf, np.inf, -1.5, 1.25], np.float32)
    assert _bounded(samples).tolist() == [0.5, 0, 0, 0, -1, 1]
    assert _bounded(samples).dtype == np.float32
    assert "3 of 6 samples" in caplog.text


def test_good_sound_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    samples = np.linspace(-1, 1, 7, dtype=np.float32)
    assert (_bounded(samples) == samples).all()
    assert caplog.text == ""
