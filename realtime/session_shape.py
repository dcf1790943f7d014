"""The session object as the protocol writes it: every field, its limits and its default.

Fields that are accepted and echoed without effect are here because stock clients send them
(docs/protocol.md lists them); a value that would silently do nothing where a user would miss it is refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

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


class ServerVad(Wire):
    type: Literal["server_vad"] = "server_vad"
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    prefix_padding_ms: Annotated[int, Field(ge=0, le=_MAX_PADDING_MS)] = 300
    silence_duration_ms: Annotated[int, Field(ge=0, le=_MAX_SILENCE_MS)] = 500
    idle_timeout_ms: Annotated[int, Field(ge=5000, le=30_000)] | None = None
    create_response: bool = True
    interrupt_response: bool = True


class SemanticVad(Wire):
    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetectionShape = Annotated[ServerVad | SemanticVad, Field(discriminator="type")]


def _absent(value: object) -> bool:
    return value is None


class Transcription(Wire):
    """What is not given is not echoed: Pipecat ends its session on a field it does not know, even null."""

    model: str | None = Field(None, exclude_if=_absent)
    language: str | None = Field(None, exclude_if=_absent)
    languages: Annotated[list[str], Field(max_length=100)] | None = Field(None, exclude_if=_absent)
    prompt: Text | None = Field(None, exclude_if=_absent)
    keywords: Annotated[list[str], Field(max_length=1000)] | None = Field(None, exclude_if=_absent)
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = Field(None, exclude_if=_absent)


class NoiseReduction(Wire):
    type: Literal["near_field", "far_field"] | None = None
    strength: float | None = None


class AudioInput(Wire):
    format: AudioFormat = PcmFormat()
    transcription: Transcription | None = None
    noise_reduction: NoiseReduction | None = None
    turn_detection: TurnDetectionShape | None = ServerVad()


class AudioOutput(Wire):
    format: AudioFormat = PcmFormat()
    voice: Voice
    speed: Annotated[float, Field(ge=0.25, le=1.5)] = 1.0


class SessionAudio(Wire):
    input: AudioInput
    output: AudioOutput


class TranscriptionVad(ServerVad):
    """There is nothing to create or to interrupt; clients that say so all the same are not refused."""

    create_response: bool = Field(True, exclude=True)
    interrupt_response: bool = Field(True, exclude=True)


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


class Extensions(Wire):
    """What only this server has; see docs/protocol.md."""

    events: bool = True
    """Send the events named `antiphon.*`."""


class Session(Wire):
    """The order of the fields is that of the hosted service's echo."""

    type: Literal["realtime"]
    model: Name
    output_modalities: OutputModalities
    instructions: Text
    tools: Tools = Field(default_factory=list)
    tool_choice: ToolChoice = "auto"
    max_output_tokens: MaxOutputTokens = "inf"
    tracing: (
        Annotated[
            Annotated[Literal["auto"], Tag("text")] | Annotated[Tracing, Tag("object")],
            Discriminator(text_or_object),
        ]
        | None
    ) = None
    truncation: Annotated[
        Annotated[Literal["auto", "disabled"], Tag("text")] | Annotated[RetentionRatio, Tag("object")],
        Discriminator(text_or_object),
    ] = "auto"
    prompt: Prompt | None = None
    audio: SessionAudio
    include: Include | None = None
    reasoning: Reasoning | None = Field(None, exclude_if=lambda value: value is None)
    parallel_tool_calls: bool | None = Field(None, exclude_if=lambda value: value is None)
    antiphon: Extensions | None = Field(None, exclude_if=lambda value: value is None)
