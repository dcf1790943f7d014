"""The shapes that a session, a response and a client event have in common, and their limits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from conversation.settings import Modality
from realtime.validation import Wire, text_or_object, unsupported

WIRE_HZ = 24_000
"""The one rate of PCM in the protocol."""

MAX_TEXT_CHARS = 500_000
"""In one text a client sends: far beyond any prompt, and few enough to be echoed twice to a slow client."""

Text = Annotated[str, Field(max_length=MAX_TEXT_CHARS)]
Id = Annotated[str, Field(min_length=1, max_length=256)]
Name = Annotated[str, Field(min_length=1, max_length=256)]


def _one_modality(modalities: list[Modality]) -> list[Modality]:
    if len(modalities) == 1:
        return modalities
    raise PydanticCustomError("modalities", "supported combinations are ['text'] and ['audio']")


OutputModalities = Annotated[list[Modality], Field(max_length=2), AfterValidator(_one_modality)]
"""Speech always comes with its transcript, so the two are never asked for together."""

MAX_OUTPUT_TOKENS = 4096

MaxOutputTokens = Annotated[
    Annotated[int, Field(ge=1, le=MAX_OUTPUT_TOKENS), Tag("integer")]
    | Annotated[Literal["inf"], Tag("text")],
    Discriminator(lambda value: "text" if isinstance(value, str) else "integer"),
]


class AudioFormat(Wire):
    type: Annotated[
        Literal["audio/pcm"],
        unsupported(
            "G.711 audio is not supported yet: send and expect {'type': 'audio/pcm', 'rate': 24000}.",
            lambda value: value in ("audio/pcmu", "audio/pcma"),
        ),
    ] = "audio/pcm"
    rate: Annotated[int, Field(ge=WIRE_HZ, le=WIRE_HZ)] = WIRE_HZ


class VoiceId(Wire):
    id: Name


Voice = Annotated[
    Annotated[Name, Tag("text")] | Annotated[VoiceId, Tag("object")], Discriminator(text_or_object)
]


def voice_name(voice: str | VoiceId) -> str:
    return voice if isinstance(voice, str) else voice.id


Tools = Annotated[
    list[Any],
    unsupported("Tools are not supported yet: leave them out or send an empty list.", bool),
]

ToolChoice = Annotated[
    Literal["auto", "none", "required"],
    unsupported("Tools are not supported yet, so none can be chosen.", lambda value: isinstance(value, dict)),
]


class Prompt(Wire):
    """A prompt template kept at the hosted service: accepted, echoed, without effect."""

    id: str
    version: str | None = None
    variables: dict[str, Any] | None = None


class Reasoning(Wire):
    """Accepted, echoed, without effect."""

    effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None
