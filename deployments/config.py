"""What one server is made of: a section for each stage, and how conversations are conducted.

Strict: an unknown key is refused by name. Secrets are not kept here; they come from the environment.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from conversation.errors import ConfigError
from conversation.settings import Settings, Tuning
from deployments.loading import check_options, did_you_mean, find
from realtime.limits import Limits

STAGES = ("vad", "turn", "asr", "asr_final", "llm", "tts")

ROOT = Path(__file__).parent.parent


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class StageConfig(_Strict):
    """One stage: which model, and what of the machine it gets."""

    model: str
    """Import path of the model's class, ``package.module:Name``."""
    options: dict[str, Any] = {}
    """Keyword arguments of its constructor."""
    replicas: Annotated[int, Field(ge=1)] = 1
    cpus: Annotated[float, Field(ge=0)] = 1.0
    """For each replica; may be a fraction."""
    gpus: Annotated[float, Field(ge=0)] = 0.0
    """For each replica; may be a fraction."""
    max_ongoing: Annotated[int, Field(ge=1)] = 64
    """Calls that one replica works on at a time; more wait at the callers."""
    python: str | None = None
    """The interpreter that its replicas run in, by its full path, the same on each node that may hold one:
    for models whose libraries fit no others (see deployments.interpreters). None: the server's own."""

    @field_validator("python")
    @classmethod
    def _is_full_path(cls, python: str | None) -> str | None:
        if python is not None and not python.startswith("/"):
            raise ValueError("give the full path of an interpreter, such as /opt/cosyvoice/bin/python")
        return python


class IngressConfig(_Strict):
    """The door: it takes the sockets and owns the sessions."""

    replicas: Annotated[int, Field(ge=1)] = 1
    cpus: Annotated[float, Field(ge=0)] = 0.5
    max_sessions: Annotated[int, Field(ge=1)] = 32
    """For each replica; the next client gets a 503 and is told when to try again."""
    answers_at_once: Annotated[int, Field(ge=1)] | None = None
    """Of each replica's sessions: what the language model and the voice can do side by side. With so many
    under way none is prepared, and what is gives way to those that somebody waits for. None: no bound."""
    speculate_up_to: Annotated[float, Field(ge=0, le=1)] = 0.75
    """Share of `max_sessions`: with more sessions open, nothing is prepared and nothing read ahead."""
    origins: list[str] = []
    """Web origins besides the server's own whose pages may open a session, e.g. https://example.org."""
    limits: Limits = Limits()

    @property
    def sessions_at_ease(self) -> int:
        """With so many sessions, the machine may do what nobody may need."""
        return math.ceil(self.speculate_up_to * self.max_sessions)


class ClusterConfig(_Strict):
    """Where it runs."""

    grows: bool = False
    """Whether nodes join on demand. Then what does not fit yet is waited for, else it is refused at once."""


class Config(_Strict):
    """One server. As arguments of `serve run` it is either these keys, or ``config=PATH``, or both: then the
    keys given replace whole sections of the file."""

    vad: StageConfig
    turn: StageConfig | None = None
    """Judges whether a speaker who pauses has finished, for sessions that want it (`semantic_vad`)."""
    asr: StageConfig
    asr_final: StageConfig | None = None
    """A recogniser of whole segments, for the words that are answered. `asr` then gives the partial
    transcripts alone, and must be one that streams."""
    llm: StageConfig
    tts: StageConfig
    ingress: IngressConfig = IngressConfig()
    cluster: ClusterConfig = ClusterConfig()
    session: Settings = Settings()
    """What a session starts with; clients may change it."""
    conversation: Tuning = Tuning()

    @property
    def stages(self) -> dict[str, StageConfig]:
        """Those that there are, by name."""
        sections = {name: getattr(self, name) for name in STAGES}
        return {name: section for name, section in sections.items() if section is not None}

    @property
    def asr_streams(self) -> bool:
        """Whether the recogniser steps; else it takes whole segments (see conversation.segments)."""
        return _has(self.asr, "asr", "step")

    @model_validator(mode="wrap")
    @classmethod
    def _named_mistakes(cls, given: Any, build: Any) -> Config:
        if isinstance(given, Mapping) and "config" in given:
            sections = {key: section for key, section in given.items() if key != "config"}
            given = {**_read(Path(str(given["config"]))), **sections}
        try:
            config: Config = build(given)
        except ValidationError as error:
            raise ConfigError("\n".join(_explain(cls, mistake) for mistake in error.errors())) from error
        for name, stage in config.stages.items():
            check_options(find(stage.model, f"{name}.model"), stage.options, f"{name}.options")
        if config.asr_final is not None:
            if not config.asr_streams:
                raise ConfigError("asr_final: asr takes whole segments itself; leave asr_final out")
            if not _has(config.asr_final, "asr_final", "transcribe"):
                raise ConfigError(
                    "asr_final.model: it streams; asr_final wants one that takes whole segments, such as "
                    "deployments.asr.paraformer:Paraformer"
                )
        return config


def _has(stage: StageConfig, name: str, method: str) -> bool:
    return hasattr(find(stage.model, f"{name}.model"), method)


def load_config(path: str | Path) -> Config:
    """Reads a YAML file. Raises ConfigError, which names the file and every wrong key."""
    try:
        return Config.model_validate(_read(Path(path)))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _read(path: Path) -> Mapping[str, Any]:
    """A relative path is looked for from where the process stands, then beside the code: a cluster's workers
    stand elsewhere."""
    if not path.exists() and (ROOT / path).exists():
        path = ROOT / path
    try:
        given = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"not YAML: {error}") from error
    if not isinstance(given, Mapping):
        raise ConfigError(f"expected sections such as {', '.join(STAGES)}")
    return given


def _explain(model: type[BaseModel], mistake: ErrorDetails) -> str:
    place = [str(part) for part in mistake["loc"]]
    key = ".".join(place) or "configuration"
    if mistake["type"] == "extra_forbidden":
        names = _names_at(model, place[:-1])
        return f"{key}: no such key{did_you_mean(place[-1], names)}; there are {', '.join(names)}"
    if mistake["type"] == "missing":
        return f"{key}: missing"
    return f"{key}: {mistake['msg']}, got {mistake['input']!r}"


def _names_at(model: type[BaseModel], place: list[str]) -> list[str]:
    """The keys that the section at `place` has."""
    for part in place:
        annotation = model.model_fields[part].annotation
        choices = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
        model = next(c for c in choices if isinstance(c, type) and issubclass(c, BaseModel))
    return list(model.model_fields)
