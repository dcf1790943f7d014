"""What a conversation tells the outside, in the order in which it happens.

Every event is a frozen value. The names follow the Realtime API's vocabulary, so that realtime/ maps them one
to one or one to many; this module knows nothing of JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from conversation.audio import Audio
from conversation.items import Item
from conversation.settings import Modality
from conversation.stages import Usage
from conversation.timing import TurnTiming

Status = Literal["in_progress", "completed", "cancelled", "incomplete", "failed"]
Reason = Literal["turn_detected", "client_cancelled", "max_output_tokens"]


@dataclass(frozen=True, slots=True)
class Failure:
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Response:
    """One answer of the agent, as it stands."""

    id: str
    modality: Modality
    voice: str
    max_output_tokens: int | None = None
    metadata: Mapping[str, str] | None = None
    aside: bool = False
    """Out of band: beside the conversation."""
    encoding: str | None = None
    """How the client wants the sound written, if otherwise than the session has it."""
    status: Status = "in_progress"
    reason: Reason | None = None
    """Why it was cancelled or is incomplete."""
    failure: Failure | None = None
    """Why it failed."""
    output: tuple[Item, ...] = ()
    usage: Usage | None = None


# --- the user's side


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    item_id: str
    """The item that this turn will become."""
    audio_start_ms: int
    """In audio received in this session; includes the prefix padding."""


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    item_id: str
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class InputTimedOut:
    """Nobody said anything for as long as the client wants to wait; the silence becomes an item."""

    item_id: str
    audio_start_ms: int
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class InputCommitted:
    item_id: str
    previous_item_id: str | None


@dataclass(frozen=True, slots=True)
class InputCleared:
    pass


@dataclass(frozen=True, slots=True)
class TranscriptionDelta:
    """Words that two partial transcripts agreed on: a prefix of the final text, as a rule."""

    item_id: str
    delta: str
    content_index: int = 0


@dataclass(frozen=True, slots=True)
class TranscriptionCompleted:
    item_id: str
    transcript: str
    duration_s: float
    content_index: int = 0
    """Of the part that was said, in an item that holds more."""


@dataclass(frozen=True, slots=True)
class TranscriptionFailed:
    item_id: str
    message: str
    content_index: int = 0


# --- the history


@dataclass(frozen=True, slots=True)
class ItemAdded:
    """An item that is not the agent's own output stands in the history, complete."""

    item: Item
    previous_item_id: str | None


@dataclass(frozen=True, slots=True)
class ItemTruncated:
    item_id: str
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class ItemDeleted:
    item_id: str


# --- the agent's side


@dataclass(frozen=True, slots=True)
class ResponseStarted:
    response: Response


@dataclass(frozen=True, slots=True)
class OutputStarted:
    """A message or a call of the agent's begins; `item` is in progress and empty."""

    response_id: str
    item: Item
    previous_item_id: str | None
    output_index: int = 0


@dataclass(frozen=True, slots=True)
class OutputText:
    """More text of the message: its transcript when it is spoken, else the message itself."""

    response_id: str
    item_id: str
    delta: str
    modality: Modality
    output_index: int = 0


@dataclass(frozen=True, slots=True)
class OutputAudio:
    response_id: str
    item_id: str
    audio: Audio
    output_index: int = 0


@dataclass(frozen=True, slots=True)
class OutputFilled:
    """The message begins with a filler, whose sound is so long: no answer yet."""

    response_id: str
    item_id: str
    audio_ms: int


@dataclass(frozen=True, slots=True)
class OutputHeld:
    """The user made a sound: the agent pauses, and what was sent is not to be played on until more is known.
    Then follows OutputResumed or the end of the response."""

    response_id: str


@dataclass(frozen=True, slots=True)
class OutputResumed:
    """It was nothing: the agent goes on from the sample at which it paused."""

    response_id: str


@dataclass(frozen=True, slots=True)
class OutputArguments:
    """More of the arguments of a call."""

    response_id: str
    item_id: str
    call_id: str
    delta: str
    output_index: int = 0


@dataclass(frozen=True, slots=True)
class OutputDone:
    """The item is over; it carries exactly what was sent of it, and whether it is complete."""

    response_id: str
    item: Item
    previous_item_id: str | None
    output_index: int = 0
    deleted: bool = False
    """The client took it out of the conversation while it was being said."""
    cancelled: bool = False
    """Its answer fell silent at once: what is still on its way to the client is not to be heard."""


@dataclass(frozen=True, slots=True)
class ResponseDone:
    """Comes exactly once for each ResponseStarted, and nothing of that response comes after it."""

    response: Response


@dataclass(frozen=True, slots=True)
class TurnTimed:
    """How long each part of an answer took; comes before its end, if any of it was spoken."""

    response_id: str
    timing: TurnTiming


Event = (
    SpeechStarted
    | SpeechStopped
    | InputTimedOut
    | InputCommitted
    | InputCleared
    | TranscriptionDelta
    | TranscriptionCompleted
    | TranscriptionFailed
    | ItemAdded
    | ItemTruncated
    | ItemDeleted
    | ResponseStarted
    | OutputStarted
    | OutputText
    | OutputAudio
    | OutputFilled
    | OutputHeld
    | OutputResumed
    | OutputArguments
    | OutputDone
    | ResponseDone
    | TurnTimed
)
