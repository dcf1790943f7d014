"""What is wrong with a directory is said before FunASR is imported, so also where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conversation.errors import ConfigError
from deployments.funasr_library import open_model

METAS = {"init_param": "model.pt", "config": "config.yaml", "frontend_conf": {"cmvn_file": "am.mvn"}}


def model(directory: Path, *, without: str = "", config: str = "model: Paraformer\n") -> str:
    files = {"config.yaml": config, "configuration.json": json.dumps({"file_path_metas": METAS})}
    for name, content in {**files, "model.pt": "", "am.mvn": ""}.items():
        if name != without:
            (directory / name).write_text(content)
    return str(directory)


@pytest.mark.parametrize("file", ["config.yaml", "model.pt", "am.mvn"])
def test_a_missing_file_is_named_with_the_stage_and_the_remedy(tmp_path: Path, file: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_model(model(tmp_path, without=file), "asr")
    message = str(caught.value)
    assert message.startswith(f"asr: {tmp_path} is not a whole FunASR model, it lacks {file};")
    assert "config.yaml, configuration.json, model.pt" in message
    assert "`python -m deployments.weights NAME`" in message


def test_a_missing_directory_is_never_taken_for_a_name_to_download() -> None:
    with pytest.raises(ConfigError, match=r"(?s)vad: .*'paraformer-nowhere' .* must hold .*model\.pt.*"):
        open_model("paraformer-nowhere", "vad")


def test_another_kind_of_model_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"asr: .* holds a Paraformer, but A or B is wanted here"):
        open_model(model(tmp_path), "asr", kinds={"B", "A"})


@pytest.mark.parametrize("config", ["", "model: [", "frontend: WavFrontend"])
def test_a_configuration_without_a_model_is_refused(tmp_path: Path, config: str) -> None:
    with pytest.raises(ConfigError, match=r"asr: .*config\.yaml does not say which `model:` it is of"):
        open_model(model(tmp_path, config=config), "asr")
