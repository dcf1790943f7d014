"""The contracts of the stages, and the values they exchange.

Ears step, mouths stream: a listening stage is given what is new and its memory, and returns what it makes of
it and the memory to bring next time; a speaking stage returns an async generator. An implementation may be a
model in this process, a scripted one, or a deployment far away: tests/contracts runs over all of them.

Every method is cancelled by cancelling the task that awaits it (for a stream: by `aclose()` or by cancelling
the task that iterates it), and then stops working for that caller within 200 ms, wherever it runs.
Every method raises StageError, and nothing else on purpose.

This module knows no model, no transport and no deadline: whoever waits brings the deadline.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from conversation.audio import HEARING_HZ, Audio

FRAME_SAMPLES = 512
"""Samples in one VAD frame: 32 ms at 16 kHz, the only window Silero VAD v5 and later accept.

Source: https://github.com/snakers4/silero-vad/wiki/Version-history-and-Available-Models
"""
FRAME_MS = FRAME_SAMPLES * 1000 // HEARING_HZ

VadState = NDArray[np.float32]
"""One listener's recurrent state, shape (k,); k is the implementation's own. It travels with the calls."""


class Vad(Protocol):
    """Voice activity detection over many listeners at once."""

    async def step(
        self, frames: NDArray[np.float32], states: Sequence[VadState | None]
    ) -> tuple[NDArray[np.float32], list[VadState]]:
        """The next frame of each listener.

        Args:
            frames: shape (B, FRAME_SAMPLES), -1..1 at 16 kHz; row b belongs to listener b. B >= 1.
            states: B of them; None for a listener's first frame.

        Returns:
            Probabilities that each frame holds speech, float32 of shape (B,), and the B new states. Row b of
            the result depends on row b of the input alone.
        """


@dataclass(frozen=True, slots=True)
class Word:
    text: str
    start_s: float
    """From the first sample of the segment; of a voice: of the sound of one text."""
    end_s: float


@dataclass(frozen=True, slots=True)
class Transcript:
    text: str
    words: tuple[Word, ...] = ()
    """Empty where the model gives no times."""
    language: str | None = None
    """BCP 47, where the model knows."""


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known beforehand of the words in a segment. A recogniser uses what it can of it."""

    language: str | None = None
    """BCP 47, such as "zh" or "en-US"; None: the model finds out, or knows only one."""
    words: tuple[str, ...] = ()
    """Names and terms that are likely to come."""
    prompt: str = ""
    """A text that might have come before, or keywords with commas between: clients send either."""


class Asr(Protocol):
    """Speech recognition of one segment of speech, as it grows."""

    async def step(
        self, audio: Audio, memory: Any, *, final: bool, hints: Hints = Hints()
    ) -> tuple[Transcript, Any]:
        """What has been said in the segment so far.

        Args:
            audio: what is new since the last step, 16 kHz; may be empty.
            memory: what the last step returned; None at the start of a segment. A memory is a value: stepping
                from the same memory twice is allowed, so that a segment that seemed over can go on.
            final: no more audio will come; the transcript is as good as the model can make it.
            hints: the same in every step of a segment.

        Returns:
            The transcript of the whole segment, and the memory to bring next time. After a final step there
            is no next time: a segment that goes on does so from the memory it had before.
        """


class SegmentAsr(Protocol):
    """A recogniser that cannot stream. conversation.segments makes an `Asr` of it."""

    async def transcribe(self, segments: Sequence[Audio], hints: Sequence[Hints] = ()) -> list[Transcript]:
        """The words of each segment: 16 kHz, at most 30 s each, at least one. Silence gives the empty text.

        The segments belong to different listeners; a transcript depends on its own segment and hints alone.

        Args:
            hints: of each segment, or none at all.
        """


class EndOfTurn(Protocol):
    """Tells whether a speaker who pauses has finished."""

    async def predict(self, audio: Audio) -> float:
        """The probability that the turn is over.

        Args:
            audio: the end of what was said, with the silence after it; 16 kHz, JUDGED_S at most.

        Returns it as 0 to 1. Raises StageError. Cancelled, the work is given up where that can be.
        """


JUDGED_S = 8.0
"""Of the end of a turn: what Smart Turn was trained on.

Source: https://huggingface.co/pipecat-ai/smart-turn-v3
"""


Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The language model wants a function called."""

    call_id: str
    name: str
    arguments: str
    """JSON text, as the model wrote it."""


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A call that is being written."""

    call_id: str
    name: str
    arguments: str
    """What is new of them."""


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    """Only of an assistant."""
    call_id: str | None = None
    """Of a tool's answer: the call it answers."""


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON Schema of the arguments."""


ToolChoice = Literal["auto", "none", "required"] | str
"""Any other text is the name of the one function that must be called."""


@dataclass(frozen=True, slots=True)
class ReplyParams:
    """How one reply is to be made.

    Attributes:
        session: an opaque key; replies of one session share a prompt prefix, which a model may keep.
        max_tokens: at most so many output tokens; None: the model's own limit. 0: read the prompt and say
            nothing, so that a reply of this session that begins alike starts sooner; a model that keeps
            nothing of a prompt ends at once.
        tool_choice: see ToolChoice; counts only where tools are given.
    """

    session: str = ""
    max_tokens: int | None = None
    tool_choice: ToolChoice = "auto"


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Comes last, at most once."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    """Those of the input that the model did not have to read again."""
    cut_off: bool = False
    """The reply was stopped by `max_tokens`, not by the model."""


ReplyPart = TextDelta | ToolCallDelta | ToolCall | Usage


class Llm(Protocol):
    """The language model."""

    def reply(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), params: ReplyParams = ReplyParams()
    ) -> AsyncGenerator[ReplyPart, None]:
        """Streams the assistant's next message. `messages` is never empty; a system message comes first.

        Text arrives in deltas of any size, joined without separator. A ToolCall arrives whole; its deltas,
        where the model gives any, before it, and they add up to it. One that broke off never arrives whole. A
        model that calls no functions leaves `tools` unread, and raises StageFailed where one must be called.
        A prompt that is too long for the model loses its oldest messages, never its system message or its
        last one.
        """


@dataclass(frozen=True, slots=True)
class WordTimes:
    """When words of a text are to be heard: the next ones of it, in its order.

    They are the words that `conversation.words.words` finds in the text, however they are spoken: "42" is
    one. Those that make no sound ("—") take no time. One whose sound fades into a silence that is cut off may
    end a little after the sound that is given.
    """

    words: tuple[Word, ...]


SpeechPart = Audio | WordTimes


class Tts(Protocol):
    """Speech synthesis."""

    def speak(self, text: str, voice: str, speed: float = 1.0) -> AsyncGenerator[SpeechPart, None]:
        """Streams `text` as speech, the first chunk as early as the model can.

        Args:
            text: one clause or more, at most 500 characters; without a speakable character it gives nothing.
            voice: a name; an unknown one is spoken by the default voice, since clients send the names of
                other services.
            speed: 0.25..4, 1.0 is natural.

        Yields:
            Audio chunks, all at one rate, which is the implementation's own. Before, between or after them
            the times of the words, as soon as may be without the sound being later for it: of every word
            once, or of none. An implementation that does not know them yields audio alone.
        """


@dataclass(frozen=True, slots=True)
class Stages:
    """Everything a conversation calls upon."""

    vad: Vad
    asr: Asr
    llm: Llm
    tts: Tts
    turn: EndOfTurn | None = None
    """None: the length of the silence decides alone."""
