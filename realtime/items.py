"""Items of the conversation as the protocol writes them, in both directions.

Absent keys are left out, never null: clients reject null in items and parts. The one exception is the
`transcript` of `input_audio`, which is null until it is known.
"""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

from pydantic import Field

from conversation.items import (
    AudioPart,
    CallItem,
    CallOutputItem,
    Item,
    ItemReference,
    ItemStatus,
    MessageItem,
    Part,
    TextPart,
    new_id,
)
from conversation.stages import ToolCall
from realtime.shapes import Id, Name, Text
from realtime.validation import Wire, kinds


class InputText(Wire):
    """Words."""

    type: Literal["input_text"]
    text: Text

    def part(self) -> Part:
        return TextPart(self.text)


class InputAudio(Wire):
    """Speech, by its words or by its sound, in the session's input format."""

    type: Literal["input_audio"]
    transcript: Text | None = None
    audio: str | None = None

    def part(self) -> Part:
        return AudioPart(self.transcript)


class OutputText(Wire):
    """Words to be read."""

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


class _ItemShape(Wire):
    id: Id | None = None
    object: Literal["realtime.item"] | None = None
    status: ItemStatus = "completed"


class _Message(_ItemShape):
    type: Literal["message"]


class UserMessage(_Message):
    """What the user says."""

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
    """What the agent is told."""

    role: Literal["system"]
    content: Annotated[list[InputText], Field(max_length=_MAX_PARTS)]


class AssistantMessage(_Message):
    """What the agent has said; `incomplete`: it was interrupted there."""

    role: Literal["assistant"]
    content: Annotated[
        list[Annotated[OutputText | OutputAudio, Field(discriminator="type")]], Field(max_length=_MAX_PARTS)
    ]


Message = Annotated[UserMessage | SystemMessage | AssistantMessage, Field(discriminator="role")]


class FunctionCall(_ItemShape):
    """What the agent wants called; the language model is shown it once its output is there."""

    type: Literal["function_call"]
    call_id: Name
    name: Name
    arguments: Text


class FunctionCallOutput(_ItemShape):
    """What came of a call. Nothing answers it by itself."""

    type: Literal["function_call_output"]
    call_id: Name
    output: Text


class Reference(Wire):
    """An item of the conversation, in the input of one response."""

    type: Literal["item_reference"]
    id: Id


_KINDS = ("message", "function_call", "function_call_output")
_LATER = ("mcp_list_tools", "mcp_call", "mcp_approval_request", "mcp_approval_response")
_REMEDY = "this server takes messages of text and speech, and functions that you carry out yourself."

WireItem = Annotated[
    Message | FunctionCall | FunctionCallOutput,
    Field(discriminator="type"),
    kinds(*_KINDS, later=_LATER, remedy=_REMEDY),
]
"""What a client may put into the conversation."""

WireInput = Annotated[
    Message | FunctionCall | FunctionCallOutput | Reference,
    Field(discriminator="type"),
    kinds(*_KINDS, "item_reference", later=_LATER, remedy=_REMEDY),
]
"""What a client may ask one response to answer."""

MAX_INPUT_ITEMS = 1_000


def from_wire(item: WireItem) -> Item:
    """An item without an id gets one; nothing goes on in one that a client brings."""
    item_id = item.id or new_id("item")
    status: ItemStatus = "completed" if item.status == "in_progress" else item.status
    match item:
        case FunctionCall():
            call = ToolCall(item.call_id, item.name, item.arguments)
            return CallItem(item_id, call, status)
        case FunctionCallOutput():
            return CallOutputItem(item_id, item.call_id, item.output, status)
        case _:
            return MessageItem(item_id, item.role, tuple(part.part() for part in item.content), status)


def from_input(item: WireInput) -> Item | ItemReference:
    return ItemReference(item.id) if isinstance(item, Reference) else from_wire(item)


def sounds_of(item: WireItem) -> list[str]:
    """What is to be listened to in an item: the base64 of each part that comes without its words."""
    if not isinstance(item, UserMessage):
        return []
    parts = [part for part in item.content if isinstance(part, InputAudio)]
    return [part.audio for part in parts if part.audio and part.transcript is None]


def to_wire(item: Item, sound: bytes | None = None) -> dict[str, Any]:
    """`sound` is that of its first speech, in the encoding that the client wants."""
    match item:
        case MessageItem():
            by_agent = item.role == "assistant"
            content = [_part(part, spoken_by_agent=by_agent) for part in item.parts]
            spoken = [place for place, part in enumerate(item.parts) if isinstance(part, AudioPart)]
            if sound is not None and spoken:
                content[spoken[0]]["audio"] = base64.b64encode(sound).decode("ascii")
            fields = {"type": "message", "role": item.role, "content": content}
        case CallItem(call=call):
            fields = {
                "type": "function_call",
                "call_id": call.call_id,
                "name": call.name,
                "arguments": call.arguments,
            }
        case CallOutputItem():
            fields = {"type": "function_call_output", "call_id": item.call_id, "output": item.output}
    return {"id": item.id, "object": "realtime.item", "status": item.status, **fields}


def _part(part: Part, *, spoken_by_agent: bool) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "output_text" if spoken_by_agent else "input_text", "text": part.text}
    if spoken_by_agent:
        return {"type": "output_audio", "transcript": part.transcript or ""}
    return {"type": "input_audio", "transcript": part.transcript}
