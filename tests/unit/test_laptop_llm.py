from __future__ import annotations

import pytest

from conversation.errors import ConfigError
from deployments.llm.laptop import choose
from deployments.llm.openai_compatible import OpenAiCompatible
from deployments.loading import check_options, check_surroundings


def test_an_endpoint_in_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_BASE_URL", "http://localhost:1/v1")
    monkeypatch.setenv("LLM_MODEL", "some-model")
    assert isinstance(choose(prompt_tokens=100), OpenAiCompatible)


def test_without_one_it_is_the_built_in_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLM_BASE_URL", raising=False)
    monkeypatch.delenv("LLM_MODEL", raising=False)
    with pytest.raises(ConfigError, match="no-such-weights"):  # it went looking for them
        choose(weights="no-such-weights")


@pytest.mark.parametrize(("given", "missing"), [("LLM_MODEL", "LLM_BASE_URL"), ("LLM_BASE_URL", "LLM_MODEL")])
def test_half_an_endpoint_is_a_mistake_that_names_the_other_half(
    monkeypatch: pytest.MonkeyPatch, given: str, missing: str
) -> None:
    monkeypatch.setenv(given, "http://localhost:1/v1")
    monkeypatch.delenv(missing, raising=False)
    with pytest.raises(ConfigError, match=f"{missing} is not set"):
        choose()


def test_a_misspelt_option_is_found_before_anything_is_loaded() -> None:
    with pytest.raises(ConfigError, match="did you mean 'max_tokens'"):
        check_options(choose, {"max_token": 3}, "llm.options")


def test_what_is_missing_is_told_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLM_BASE_URL", raising=False)
    monkeypatch.setenv("LLM_MODEL", "m")
    with pytest.raises(ConfigError, match="LLM_BASE_URL is not set, but LLM_MODEL is"):
        check_surroundings(choose, {})
    with pytest.raises(ConfigError, match=r"llm\.base_url: set it, or LLM_BASE_URL"):
        check_surroundings(OpenAiCompatible, {"max_tokens": 400})
    check_surroundings(OpenAiCompatible, {"base_url": "http://localhost:8000/v1", "extra": {}})
