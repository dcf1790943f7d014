"""From an import path and options to a model; mistakes are found before any weights are read.

Knows nothing of what the models are or do.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Collection, Mapping
from typing import Any

from conversation.errors import ConfigError


def find(path: str, where: str) -> Any:
    """The class that ``package.module:Name`` stands for. Raises ConfigError, which names the key `where`."""
    module_name, colon, name = path.partition(":")
    if not colon or not module_name or not name:
        raise ConfigError(f"{where}: {path!r} is not an import path; write it like package.module:Name")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(f"{where}: cannot import {module_name}: {error}") from error
    if not hasattr(module, name):
        raise ConfigError(f"{where}: {module_name} has no {name!r}{did_you_mean(name, vars(module))}")
    return getattr(module, name)


def check_options(model: Any, options: Mapping[str, Any], where: str) -> None:
    """Raises ConfigError when the constructor does not take these options. Builds nothing."""
    parameters = inspect.signature(model).parameters
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    for option in () if takes_any else options:
        if option not in parameters:
            takes = f"it takes {', '.join(parameters)}" if parameters else "it takes none"
            hint = did_you_mean(option, parameters)
            raise ConfigError(f"{where}.{option}: {model.__name__} has no such option{hint}; {takes}")
    for name, parameter in parameters.items():
        required = parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_KEYWORD,
            parameter.VAR_POSITIONAL,
        )
        if required and name not in options:
            raise ConfigError(f"{where}.{name}: {model.__name__} cannot do without it")


def check_surroundings(model: Any, options: Mapping[str, Any]) -> None:
    """Raises ConfigError for what a model would miss here, where its class can tell without loading it.

    Such a class has a static method `check`, which takes the options of its constructor.
    """
    if hasattr(model, "check"):
        model.check(**options)


def load(path: str, options: Mapping[str, Any]) -> Any:
    """The model itself, ready to be called. Raises what its constructor raises."""
    return find(path, "model")(**options)


def did_you_mean(wrong: str, right: Collection[str]) -> str:
    """`` (did you mean 'voice'?)``, or nothing when no name is near."""
    near = difflib.get_close_matches(wrong, list(right), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
