"""The session object as the protocol writes it: every field, its limits and its default.

Fields that are accepted and echoed without effect are here because stock clients send them
(docs/protocol.md lists them); a value that would silently do nothing where a user would miss it is refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from conversation.settings import BargeIn, Phrase
from realtime.shapes import (
    AudioFormat,
    MaxOutputTokens,
    Name,
    OutputModalities,
    PcmFormat,
    Prompt,
    Reasoning,
    Text,
    ToolChoice,
    Tools,
    Voice,
)
from realtime.validation import Wire, text_or_object

_MAX_PADDING_MS = 10_000
_MAX_SILENCE_MS = 60_000
"""Ours, so that a session keeps a bounded stretch of sound: the protocol names no limits."""


def _absent(value: object) -> bool:
    return value is None


class HearingExtensions(Wire):
    """What turn detection has on this server alone."""

    barge_in: BargeIn = "speech"
    """How much of the user's voice stops the agent's; see below."""


class ServerVad(Wire):
    type: Literal["server_vad"] = "server_vad"
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Probability from which sound counts as speech."""
    prefix_padding_ms: Annotated[int, Field(ge=0, le=_MAX_PADDING_MS)] = 300
    """Kept from before the onset."""
    silence_duration_ms: Annotated[int, Field(ge=0, le=_MAX_SILENCE_MS)] = 500
    """Silence that ends a turn."""
    idle_timeout_ms: Annotated[int, Field(ge=5000, le=30_000)] | None = None
    """After an answer and so much silence the agent speaks again by itself."""
    create_response: bool = True
    """Answer when the turn is over."""
    interrupt_response: bool = True
    """The user's voice stops the agent's."""
    antiphon: HearingExtensions | None = Field(None, exclude_if=_absent)
    """Only this server has it, and echoes it to those who set it. Null: as the operator has it."""


class SemanticVad(Wire):
    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    """How soon a pause is taken for the end, by its sound and its words ([ADR 17](adr/0017-end-of-turn.md));
    at most 8, 4 or 2 s. On a server without a `turn` stage: twice the operator's silence (`low`), as long, or
    0.6 times as long (`high`)."""
    create_response: bool = True
    """Answer when the turn is over."""
    interrupt_response: bool = True
    """The user's voice stops the agent's."""
    antiphon: HearingExtensions | None = Field(None, exclude_if=_absent)
    """Only this server has it, and echoes it to those who set it. Null: as the operator has it."""


TurnDetectionShape = Annotated[ServerVad | SemanticVad, Field(discriminator="type")]


class Transcription(Wire):
    """What is not given is not echoed: Pipecat ends its session on a field it does not know, even null."""

    model: str | None = Field(None, exclude_if=_absent)
    """Without effect: the recogniser is the operator's."""
    language: str | None = Field(None, exclude_if=_absent)
    """For the recogniser, which uses what it can: SenseVoice and Whisper do."""
    languages: Annotated[list[str], Field(max_length=100)] | None = Field(None, exclude_if=_absent)
    """One of them counts as `language`."""
    prompt: Text | None = Field(None, exclude_if=_absent)
    """For the recogniser: Whisper uses it."""
    keywords: Annotated[list[str], Field(max_length=1000)] | None = Field(None, exclude_if=_absent)
    """For the recogniser: Paraformer takes them as hotwords, Whisper into its prompt."""
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = Field(None, exclude_if=_absent)
    """Without effect."""


class NoiseReduction(Wire):
    type: Literal["near_field", "far_field"] | None = None
    strength: float | None = None


class AudioInput(Wire):
    format: AudioFormat = PcmFormat()
    """Counts from the next append on."""
    transcription: Transcription | None = None
    """Any model name turns it on; null, off."""
    noise_reduction: NoiseReduction | None = None
    """Without effect."""
    turn_detection: TurnDetectionShape | None = ServerVad()
    """Null is push-to-talk. What is left out is the operator's default."""


class AudioOutput(Wire):
    format: AudioFormat = PcmFormat()
    """Counts for responses that begin later; a response may have its own."""
    voice: Voice
    """Any name; one that the voice model does not know is spoken by its default voice. Locked once the
    assistant was heard."""
    speed: Annotated[float, Field(ge=0.25, le=1.5)] = 1.0
    """Counts for responses that begin later."""


class SessionAudio(Wire):
    input: AudioInput
    output: AudioOutput


class TranscriptionVad(ServerVad):
    """There is nothing to create or to interrupt; clients that say so all the same are not refused."""

    create_response: bool = Field(True, exclude=True)
    interrupt_response: bool = Field(True, exclude=True)
    antiphon: HearingExtensions | None = Field(None, exclude=True)


class TranscriptionInput(AudioInput):
    transcription: Transcription | None = Transcription()
    turn_detection: Annotated[TranscriptionVad | SemanticVad, Field(discriminator="type")] | None = (
        TranscriptionVad()
    )


class TranscriptionAudio(Wire):
    input: TranscriptionInput


Include = Annotated[list[Literal["item.input_audio_transcription.logprobs"]], Field(max_length=1)]


class TranscriptionSession(Wire):
    """A session that only writes down what it hears."""

    type: Literal["transcription"]
    audio: TranscriptionAudio
    include: Include | None = None


class Tracing(Wire):
    workflow_name: str | None = None
    group_id: str | None = None
    metadata: Any = None


class TokenLimits(Wire):
    post_instructions: Annotated[int, Field(ge=0)] | None = None


class RetentionRatio(Wire):
    type: Literal["retention_ratio"]
    retention_ratio: Annotated[float, Field(ge=0, le=1)]
    token_limits: TokenLimits | None = None


class FillerShape(Wire):
    """Said where an answer is late; see below."""

    after_ms: Annotated[int, Field(ge=500, le=30_000)] = 2000
    """Nothing of the answer has been sent so long after the end of the turn."""
    phrases: Annotated[list[Phrase], Field(max_length=16)] = Field(default_factory=list)
    """One after another, from one silence to the next. None: a few of the server's, in the language of the
    transcription."""
    tools: bool = False
    """Also where a function call has had no output for so long."""


class Extensions(Wire):
    """What a session has on this server alone; see docs/protocol.md."""

    events: bool = False
    """Send `antiphon.turn.timing` and `antiphon.filler`."""
    hold: bool = False
    """The client obeys `antiphon.output.hold` and `.resume`, and is sent them."""
    paced: bool = True
    """Audio is sent little ahead of its playback. If not, as soon as it is made, and any sound of the user's
    stops the agent."""
    speculate: bool = True
    """Answers may be prepared in a pause in which the user may still go on."""
    filler: FillerShape | None = None
    """What to say where an answer is late; null: nothing."""


class Session(Wire):
    """The order of the fields is that of the hosted service's echo."""

    type: Literal["realtime"]
    """Required in every update."""
    model: Name
    """What the connection was opened with: an update that names another is accepted, and
    `session.updated` tells the true one."""
    output_modalities: OutputModalities
    """One of the two: speech always comes with its transcript."""
    instructions: Text
    """Empty: the server's own."""
    tools: Tools = Field(default_factory=list)
    """An empty list takes them away."""
    tool_choice: ToolChoice = "auto"
    max_output_tokens: MaxOutputTokens = "inf"
    tracing: (
        Annotated[
            Annotated[Literal["auto"], Tag("text")] | Annotated[Tracing, Tag("object")],
            Discriminator(text_or_object),
        ]
        | None
    ) = None
    """Without effect."""
    truncation: Annotated[
        Annotated[Literal["auto", "disabled"], Tag("text")] | Annotated[RetentionRatio, Tag("object")],
        Discriminator(text_or_object),
    ] = "auto"
    """Without effect: the language model's own limit counts."""
    prompt: Prompt | None = None
    """Without effect."""
    audio: SessionAudio
    include: Include | None = None
    """Without effect."""
    reasoning: Reasoning | None = Field(None, exclude_if=lambda value: value is None)
    """Without effect."""
    parallel_tool_calls: bool | None = Field(None, exclude_if=lambda value: value is None)
    """Without effect."""
    antiphon: Extensions | None = Field(None, exclude_if=_absent)
    """Only this server has it, and echoes it to those who set it. What is left out is the operator's
    default."""
