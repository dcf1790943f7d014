"""What a client can say: one strict type an event.

`input_audio_buffer.append` is the exception: it comes 25 to 50 times a second, so realtime/parse.py reads it
by hand and uses its shape here only to explain what is wrong with one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from conversation.errors import ClientError
from conversation.settings import ResponseRequest
from realtime.items import MAX_INPUT_ITEMS, Reference, WireInput, WireItem, from_input, sounds_of
from realtime.shapes import (
    MAX_OUTPUT_TOKENS,
    AudioFormat,
    Id,
    MaxOutputTokens,
    Name,
    OutputModalities,
    Prompt,
    Reasoning,
    Text,
    ToolChoice,
    Tools,
    Voice,
    chosen,
    tools_of,
    voice_name,
)
from realtime.validation import Wire


class _ClientEvent(Wire):
    event_id: Annotated[str, Field(max_length=512)] | None = None


class SessionUpdate(_ClientEvent):
    """Changes the fields it holds; see below."""

    type: Literal["session.update"]
    session: dict[str, Any]
    """Checked by realtime/session_object.py, once it is merged into the session in force."""


class InputAudioBufferAppend(_ClientEvent):
    """15 MiB of audio at most, any chunk size, any pace; an odd byte of PCM waits for its other half."""

    type: Literal["input_audio_buffer.append"]
    audio: str


class InputAudioBufferCommit(_ClientEvent):
    """What was heard becomes an item. Nothing answers it by itself."""

    type: Literal["input_audio_buffer.commit"]


class InputAudioBufferClear(_ClientEvent):
    """What was heard and is no item yet is forgotten."""

    type: Literal["input_audio_buffer.clear"]


class ConversationItemCreate(_ClientEvent):
    """See the items below."""

    type: Literal["conversation.item.create"]
    item: WireItem
    previous_item_id: str | None = None
    """None or empty: after the last item; "root": before the first."""


class ConversationItemRetrieve(_ClientEvent):
    """With its audio, of the last 30 s of either side: what was said, and what was heard of an answer."""

    type: Literal["conversation.item.retrieve"]
    item_id: Id


class ConversationItemTruncate(_ClientEvent):
    """Speech of the agent only; an overshoot is clamped without an error."""

    type: Literal["conversation.item.truncate"]
    item_id: Id
    content_index: Annotated[int, Field(ge=0, le=0)]
    """Speech is the only part of its item."""
    audio_end_ms: Annotated[float, Field(ge=0)]
    """Whole by the protocol; a client that divides its sample count is understood all the same, because an
    error in answer to a truncate ends some clients."""


class ConversationItemDelete(_ClientEvent):
    """Also while it is being said, which goes on. The id may be used again."""

    type: Literal["conversation.item.delete"]
    item_id: Id


class ResponseAudioOutput(Wire):
    format: AudioFormat | None = None
    voice: Voice | None = None


class ResponseAudio(Wire):
    output: ResponseAudioOutput = ResponseAudioOutput()


Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]


class ResponseParams(Wire):
    """What is not given is as the session has it."""

    instructions: Text | None = None
    """Empty: the session's."""
    output_modalities: OutputModalities | None = None
    audio: ResponseAudio = ResponseAudio()
    max_output_tokens: MaxOutputTokens | None = None
    """`"inf"` counts as 4096."""
    metadata: Metadata | None = None
    """Pairs of at most 64 and 512 characters, echoed."""
    tools: Tools | None = None
    tool_choice: ToolChoice | None = None
    conversation: Name | None = None
    """`"none"`: out of band. Anything else: in the one conversation there is."""
    input: Annotated[list[WireInput], Field(max_length=MAX_INPUT_ITEMS)] | None = None
    """Answered instead of the conversation. A reference must name an item of the conversation; sound
    needs its transcript."""
    prompt: Prompt | None = None
    """Without effect."""
    reasoning: Reasoning | None = None
    """Without effect."""
    parallel_tool_calls: bool | None = None
    """Without effect."""

    def request(self) -> ResponseRequest:
        """Empty instructions are those of the session; "inf" is the largest number there is.

        Raises ClientError for sound without its words in `input`: it is recognised in the conversation only.
        """
        for place, item in enumerate(self.input or ()):
            if not isinstance(item, Reference) and sounds_of(item):
                raise ClientError(
                    "unsupported_value",
                    "Sound without its transcript is not supported here: put it into the conversation, "
                    "and an item_reference to it here.",
                    f"response.input[{place}].content",
                )
        tokens, voice = self.max_output_tokens, self.audio.output.voice
        return ResponseRequest(
            instructions=self.instructions or None,
            modality=self.output_modalities[0] if self.output_modalities else None,
            voice=None if voice is None else voice_name(voice),
            encoding=None if self.audio.output.format is None else self.audio.output.format.type,
            max_output_tokens=MAX_OUTPUT_TOKENS if tokens == "inf" else tokens,
            metadata=self.metadata,
            tools=None if self.tools is None else tools_of(self.tools),
            tool_choice=None if self.tool_choice is None else chosen(self.tool_choice),
            aside=self.conversation == "none",
            input=None if self.input is None else tuple(from_input(item) for item in self.input),
        )


class ResponseCreate(_ClientEvent):
    """In the conversation or beside it; see below."""

    type: Literal["response.create"]
    response: ResponseParams = ResponseParams()


class ResponseCancel(_ClientEvent):
    """Without an id, the response of the conversation; with one, any."""

    type: Literal["response.cancel"]
    response_id: str | None = None


@dataclass(frozen=True, slots=True)
class Append:
    """`input_audio_buffer.append`: any number of bytes of sound, in the session's input format."""

    sound: bytes


TypedEvent = (
    SessionUpdate
    | InputAudioBufferCommit
    | InputAudioBufferClear
    | ConversationItemCreate
    | ConversationItemRetrieve
    | ConversationItemTruncate
    | ConversationItemDelete
    | ResponseCreate
    | ResponseCancel
)

ClientEvent = Append | TypedEvent

CLIENT_EVENT_TYPES: tuple[str, ...] = tuple(
    get_args(shape.model_fields["type"].annotation)[0]
    for shape in (InputAudioBufferAppend, *get_args(TypedEvent))
)
"""All that is understood."""
