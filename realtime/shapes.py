"""The shapes that a session, a response and a client event have in common, and their limits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from conversation.settings import Modality
from conversation.stages import Tool
from realtime.validation import Wire, kinds, text_or_object

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


class PcmFormat(Wire):
    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Annotated[int, Field(ge=WIRE_HZ, le=WIRE_HZ)] = WIRE_HZ


class G711Format(Wire):
    """8 kHz, one byte a sample."""

    type: Literal["audio/pcmu", "audio/pcma"]


def _format_tag(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return "g711" if kind in ("audio/pcmu", "audio/pcma") else "pcm"


AudioFormat = Annotated[
    Annotated[PcmFormat, Tag("pcm")] | Annotated[G711Format, Tag("g711")],
    Discriminator(_format_tag),
    kinds("audio/pcm", "audio/pcmu", "audio/pcma", None),
]
"""Without a type it is PCM."""


class VoiceId(Wire):
    id: Name


Voice = Annotated[
    Annotated[Name, Tag("text")] | Annotated[VoiceId, Tag("object")], Discriminator(text_or_object)
]


def voice_name(voice: str | VoiceId) -> str:
    return voice if isinstance(voice, str) else voice.id


_NO_MCP = "connect the functions yourself, and offer them as tools of type 'function'."


class FunctionTool(Wire):
    """A function that the client carries out."""

    type: Literal["function"] = "function"
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: Text | None = Field(None, exclude_if=lambda value: value is None)
    parameters: dict[str, Any] | None = Field(None, exclude_if=lambda value: value is None)
    """JSON Schema of its arguments."""

    def tool(self) -> Tool:
        return Tool(self.name, self.description or "", self.parameters or _NO_PARAMETERS)


_NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}

_MAX_TOOLS = 128
"""As many as OpenAI's chat completions take."""

Tools = Annotated[
    list[Annotated[FunctionTool, kinds("function", None, later=["mcp"], remedy=_NO_MCP)]],
    Field(max_length=_MAX_TOOLS),
]


class FunctionChoice(Wire):
    type: Literal["function"]
    name: Name


ToolChoice = Annotated[
    Annotated[Literal["auto", "none", "required"], Tag("text")]
    | Annotated[FunctionChoice, kinds("function", later=["mcp"], remedy=_NO_MCP), Tag("object")],
    Discriminator(text_or_object),
]


def chosen(choice: str | FunctionChoice) -> str:
    """As `conversation.stages.ToolChoice`."""
    return choice if isinstance(choice, str) else choice.name


def tools_of(shapes: Iterable[FunctionTool]) -> tuple[Tool, ...]:
    return tuple(shape.tool() for shape in shapes)


class Prompt(Wire):
    """A prompt template kept at the hosted service: accepted, echoed, without effect."""

    id: str
    version: str | None = None
    variables: dict[str, Any] | None = None


class Reasoning(Wire):
    """Accepted, echoed, without effect."""

    effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None
