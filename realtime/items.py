"""Items of the conversation as the protocol writes them, in both directions.

Absent keys are left out, never null: clients reject null in items and parts. The one exception is the
`transcript` of `input_audio`, which is null until it is known.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from conversation.items import AudioPart, Item, ItemStatus, Part, TextPart, new_id
from realtime.shapes import Id, Text
from realtime.validation import Wire, kinds, unsupported


class InputText(Wire):
    type: Literal["input_text"]
    text: Text

    def part(self) -> Part:
        return TextPart(self.text)


class InputAudio(Wire):
    """Speech that the client has the words of; its sound is for the input buffer."""

    type: Literal["input_audio"]
    transcript: Text | None = None
    audio: Annotated[
        str | None,
        unsupported(
            "Audio inside an item is not supported yet: give its 'transcript' alone, or append the audio to "
            "the input buffer.",
            lambda value: value is not None,
        ),
    ] = None

    def part(self) -> Part:
        return AudioPart(self.transcript)


class OutputText(Wire):
    type: Literal["output_text"]
    text: Text

    def part(self) -> Part:
        return TextPart(self.text)


class OutputAudio(Wire):
    """Speech of the assistant; its words are what the conversation remembers, its sound is not kept."""

    type: Literal["output_audio"]
    transcript: Text | None = None
    audio: str | None = None

    def part(self) -> Part:
        return AudioPart(self.transcript or "")


_MAX_PARTS = 1_000


class _Message(Wire):
    type: Literal["message"]
    id: Id | None = None
    object: Literal["realtime.item"] | None = None
    status: ItemStatus = "completed"


class UserMessage(_Message):
    role: Literal["user"]
    content: Annotated[
        list[
            Annotated[
                InputText | InputAudio,
                Field(discriminator="type"),
                kinds("input_text", "input_audio", later=["input_image"], remedy="send text or speech."),
            ]
        ],
        Field(max_length=_MAX_PARTS),
    ]


class SystemMessage(_Message):
    role: Literal["system"]
    content: Annotated[list[InputText], Field(max_length=_MAX_PARTS)]


class AssistantMessage(_Message):
    role: Literal["assistant"]
    content: Annotated[
        list[Annotated[OutputText | OutputAudio, Field(discriminator="type")]], Field(max_length=_MAX_PARTS)
    ]


Message = UserMessage | SystemMessage | AssistantMessage

_LATER = (
    "function_call",
    "function_call_output",
    "mcp_list_tools",
    "mcp_call",
    "mcp_approval_request",
    "mcp_approval_response",
)

WireItem = Annotated[
    Message,
    Field(discriminator="role"),
    kinds("message", later=_LATER, remedy="this server takes messages of text and speech."),
]
"""What a client may put into the conversation."""


def from_wire(item: Message) -> Item:
    """An item without an id gets one."""
    return Item(
        id=item.id or new_id("item"),
        role=item.role,
        parts=tuple(part.part() for part in item.content),
        status=item.status,
    )


def to_wire(item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "object": "realtime.item",
        "type": "message",
        "role": item.role,
        "status": item.status,
        "content": [_part(part, spoken_by_agent=item.role == "assistant") for part in item.parts],
    }


def _part(part: Part, *, spoken_by_agent: bool) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "output_text" if spoken_by_agent else "input_text", "text": part.text}
    if spoken_by_agent:
        return {"type": "output_audio", "transcript": part.transcript or ""}
    return {"type": "input_audio", "transcript": part.transcript}
