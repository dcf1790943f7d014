"""What can be set: by a client for its session, by the operator for all of them.

Both are frozen: a change makes a new value. This module does not know how either is written on the wire or in
a file, beyond refusing keys it does not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from conversation.backchannels import BACKCHANNELS, STOP_WORDS
from conversation.items import Item, ItemReference
from conversation.stages import Hints, Tool, ToolChoice

Modality = Literal["audio", "text"]

Ms = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(gt=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Eagerness = Literal["low", "medium", "high"]

BargeIn = Literal["any_sound", "speech", "words"]
"""What of the user's stops the agent: whatever the VAD takes for speech, at once; speech that is longer than
a backchannel or says something else; or only words that are no backchannel."""


class TurnDetection(_Strict):
    """Turns are taken by voice activity. Names and defaults are those of `server_vad` in the Realtime API.

    With an eagerness, it is `semantic_vad`: a model judges whether the speaker has finished, and the silence
    decides only while it has not answered.
    """

    threshold: float = Field(0.5, ge=0, le=1)
    """Probability from which a frame counts as speech."""
    prefix_padding_ms: Ms = 300
    """Audio kept from before the onset, so that the first syllable is whole."""
    silence_duration_ms: Ms = 500
    """Silence after which the turn is over."""
    eagerness: Eagerness | None = None
    """None: the silence decides alone. Else how soon a pause is taken for the end."""
    create_response: bool = True
    """Answer when the turn is over."""
    interrupt_response: bool = True
    """The user's voice stops the agent's."""
    barge_in: BargeIn = "speech"
    """How much of it that takes. But for `any_sound`, the agent holds its tongue at the onset, and goes on
    from the same sample where it was nothing."""
    idle_timeout_ms: Annotated[int, Field(ge=5000, le=30_000)] | None = None
    """After an answer and so much silence the agent speaks again by itself; None: it waits."""


Phrase = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\w")]


class Filler(_Strict):
    """What the agent says for want of an answer, so that nobody thinks it has gone."""

    after_ms: Annotated[int, Field(ge=500, le=30_000)] = 2000
    """Nothing of an answer has been heard so long after the turn was over."""
    phrases: Annotated[tuple[Phrase, ...], Field(max_length=16)] = Field((), strict=False)
    """One after another, from one silence to the next. None: those of the language, see filler.py."""
    tools: bool = False
    """Also where the client is so long about a function call; then it is a response of its own."""


class HintSettings(_Strict):
    """What the recogniser is told beforehand; see `stages.Hints`."""

    language: str | None = None
    words: tuple[str, ...] = Field((), strict=False)
    prompt: str = ""

    def told(self) -> Hints:
        return Hints(self.language, self.words, self.prompt)


class Settings(_Strict):
    """What a client may set for its session."""

    instructions: str = ""
    modality: Modality = "audio"
    """Whether the agent answers in speech (with its transcript) or in text alone."""
    voice: str = "default"
    speed: float = Field(1.0, ge=0.25, le=1.5)
    turn_detection: TurnDetection | None = TurnDetection()
    """None: push-to-talk; the client says when a turn ends and when to answer."""
    transcribe: bool = False
    """Tell the client what the user said."""
    hints: HintSettings = HintSettings()
    max_output_tokens: int | None = Field(None, ge=1, le=4096)
    tools: tuple[Tool, ...] = ()
    """Functions of the client's that the agent may call."""
    tool_choice: ToolChoice = "auto"
    paced: bool = True
    """Speech is sent little ahead of playback. Otherwise as fast as it comes, and `barge_in` is as for
    `any_sound`: what is sent cannot be held."""
    holds: bool = False
    """The client falls silent as soon as it is told to hold, keeps what it has not played, and goes on from
    there when it is told to resume."""
    speculate: bool = True
    """Answers may be prepared while the turn may still go on."""
    filler: Filler | None = None
    """None: the agent is silent until it has something to say."""


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    """One response asked for by the client; None: as the session has it.

    Attributes:
        aside: out of band: nothing of it enters the conversation, and it may run beside another response.
        input: what to answer instead of the conversation.
        encoding: how the client wants the sound written; a conversation only hands it on.
    """

    instructions: str | None = None
    modality: Modality | None = None
    voice: str | None = None
    max_output_tokens: int | None = None
    metadata: Mapping[str, str] | None = None
    tools: tuple[Tool, ...] | None = None
    tool_choice: ToolChoice | None = None
    aside: bool = False
    input: tuple[Item | ItemReference, ...] | None = None
    encoding: str | None = None


class Deadlines(_Strict):
    """How long a conversation waits for a stage before the turn fails. Loop time."""

    vad_s: Seconds = 2.0
    turn_s: Seconds = 1.0
    """Whether the turn is over; meanwhile the silence decides."""
    asr_s: Seconds = 10.0
    llm_first_s: Seconds = 15.0
    """Until the first words of the language model."""
    llm_next_s: Seconds = 10.0
    """Between two of its deltas."""
    tts_first_s: Seconds = 10.0
    tts_next_s: Seconds = 5.0


class SpeculationBudget(_Strict):
    """What a session may spend on answers that are prepared and then not needed."""

    per_turn: Annotated[int, Field(ge=0)] = 3
    """So often in vain, and no answer is prepared any more in that turn."""
    tokens_per_min: Annotated[int, Field(ge=0)] = 300
    """Written in vain, for each minute of audio received; and so many at once."""
    speech_s_per_min: Annotated[float, Field(ge=0)] = 20.0
    """Synthesised in vain; the same."""


class Tuning(_Strict):
    """How conversations are conducted here. Every default is explained in configs/laptop.yaml."""

    onset_ms: Ms = 64
    """Speech needed before a sound counts as the user's turn: two VAD frames."""
    pause_ms: Ms = 80
    """Silence after which the answer is prepared, in case the turn is over; never longer than the session's
    own `silence_duration_ms`."""
    finished_ms: Ms = 200
    """Silence after which a turn that the model takes for finished is over."""
    doubtful_ms: Ms = 1000
    """Silence after which one is over that the model or the words leave in doubt: more than the pauses that
    people make inside a sentence."""
    speculate: bool = True
    """Prepare the answer during that silence."""
    prepared_s: Seconds = 2.0
    """Of its speech, so much is made before the turn is over."""
    speculation_budget: SpeculationBudget = SpeculationBudget()
    read_ahead: bool = True
    """While the user speaks, let the language model read what is known of the prompt."""
    partial_every_ms: Ms = 480
    """Audio between two partial transcripts; 0 turns them off."""
    verdict_ms: Annotated[int, Field(ge=200)] = 800
    """A sound over the agent's voice that lasts longer is no backchannel: then, at the latest, it is decided
    whether the agent goes on."""
    weigh_every_ms: Annotated[int, Field(ge=32)] = 120
    """Audio between two partial transcripts of such a sound."""
    backchannels: tuple[str, ...] = Field(BACKCHANNELS, strict=False)
    """Words and phrases that do not stop the agent. A list in a file takes the place of these."""
    stop_words: tuple[str, ...] = Field(STOP_WORDS, strict=False)
    """Words and phrases that stop it at once."""
    lead_ms: Annotated[int, Field(ge=60)] = 120
    """How far ahead of playback audio is sent; see pacing.py."""
    most_lead_ms: Annotated[int, Field(ge=60)] = 400
    """The same while this machine is late."""
    ahead_s: Seconds = 10.0
    """How far ahead of playback speech is synthesised."""
    echo: bool = True
    """The agent's own voice that comes back from a client without echo cancellation is nobody's."""
    mute_s: Seconds = 2.0
    """A client that sends nothing for so long while its user speaks counts as silent."""
    backlog_s: Seconds = 300.0
    """Audio not yet listened to, beyond which reading from the client stops."""
    deadlines: Deadlines = Deadlines()
