"""The set of short sounds that lies beside this file: what each is, who made it, and where it sounds.

Knows neither how they were made (make.py) nor what they are played to.
"""

from __future__ import annotations

import functools
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from bench.speech.sound import read_wav
from conversation.audio import Audio
from conversation.errors import ConfigError

FOLDER = Path(__file__).parent
MANIFEST = FOLDER / "manifest.yaml"

Origin = Literal["human", "synthetic"]
"""What made the sound: somebody's mouth, or a machine. Numbers of the two are never put together."""

Kind = Literal["reading", "question", "backchannel", "interruption", "pause", "cough", "laugh", "noise"]
"""A reading is a sentence read from paper; a pause is a sentence with a long silence inside it."""

Ms = Annotated[int, Field(ge=0)]


class Clip(BaseModel):
    """One sound: mono, 16 bits, 16 kHz.

    Attributes:
        file: below this folder.
        voice: whose, or which one of a synthesiser; for a noise what it imitates.
        text: the words; None where there are none.
        onset_ms, end_ms: of the sound, from the beginning of the file; by loudness, see cutting.py.
        pauses_ms: (begin, end) of each silence inside that lasts 300 ms or longer.
        source: from where the file or the voice comes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    file: str
    kind: Kind
    origin: Origin
    voice: str
    text: str | None
    onset_ms: Ms
    end_ms: Ms
    pauses_ms: list[Annotated[list[Ms], Field(min_length=2, max_length=2)]]
    source: Annotated[str, Field(min_length=1)]
    licence: Annotated[str, Field(min_length=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @model_validator(mode="after")
    def _marks_in_order(self) -> Clip:
        marks = [self.onset_ms, *(mark for pause in self.pauses_ms for mark in pause), self.end_ms]
        if any(later <= earlier for earlier, later in pairwise(marks)):
            raise ValueError(
                f"{self.file}: marks must rise from the onset through the pauses to the end: {marks}"
            )
        return self

    @property
    def name(self) -> str:
        return Path(self.file).stem

    @property
    def path(self) -> Path:
        return FOLDER / self.file

    def audio(self) -> Audio:
        """Read anew each time."""
        return read_wav(self.path)


def speech_set(kind: Kind | None = None, origin: Origin | None = None) -> list[Clip]:
    """Those of that kind and origin, in the order of the manifest. Raises ConfigError when it is wrong."""
    return [clip for clip in _all() if kind in (None, clip.kind) and origin in (None, clip.origin)]


@functools.cache
def _all() -> tuple[Clip, ...]:
    try:
        return tuple(TypeAdapter(list[Clip]).validate_python(yaml.safe_load(MANIFEST.read_text())))
    except ValidationError as error:
        raise ConfigError(f"{MANIFEST}: {error}") from error
