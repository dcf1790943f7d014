"""The laptop's language model: the one that LLM_BASE_URL and LLM_MODEL point at, else the built-in one."""

from __future__ import annotations

import inspect
import os
from typing import Any

from conversation.errors import ConfigError
from conversation.stages import Llm
from deployments.llm.llama_cpp import LlamaCpp
from deployments.llm.openai_compatible import OpenAiCompatible


def choose(**options: Any) -> Llm:
    """Options are LlamaCpp's; OpenAiCompatible has its own from the environment.

    Raises ConfigError when only one of the two variables is set.
    """
    return OpenAiCompatible() if _is_elsewhere() else LlamaCpp(**options)


def _is_elsewhere(**_: Any) -> bool:
    names = ("LLM_BASE_URL", "LLM_MODEL")
    missing = [name for name in names if not os.environ.get(name)]
    if len(missing) == 1:
        [other] = set(names) - set(missing)
        raise ConfigError(
            f"{missing[0]} is not set, but {other} is: set both, or neither for the built-in model"
        )
    return not missing


choose.check = _is_elsewhere  # type: ignore[attr-defined]  # see deployments.loading.check_surroundings
# A configuration's options are checked against the signature before anything is loaded.
choose.__signature__ = inspect.signature(LlamaCpp)  # type: ignore[attr-defined]
