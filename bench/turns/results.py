"""What came of each item, as far as the notes of its session tell. All times in ms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bench.client import Client, Noted
from bench.speech import Origin
from bench.turns.heard import OBEYED, Obedience, Order, heard, longest_gap_s
from bench.turns.items import OverlapKind, PauseIs, Sentence

Outcome = Literal["ignored", "held and resumed", "left held", "stopped", "not played"]
"""Of an overlap. Left held: neither over nor resumed while it was watched. Not played: the agent was mute."""


@dataclass(slots=True)
class SentenceResult:
    """A sentence that was said to a silent agent.

    Attributes:
        cut_off: while the sentence was under way its turn was taken, or the agent was heard.
        heard_early: the latter.
        taken_ms: when that became known, after the speech fell silent in its pause.
        wait_ms: from its true end to the first sound of the answer that follows; None: none came.
        first_delta_ms: the first of it was here; its beginning may be silent.
        server_ms: this server's own account of that answer.
        microphone_late_ms: the worst delay of a chunk in this session: this machine was busy.
    """

    system: str
    session: int
    item: str
    origin: Origin
    pause_ms: int | None
    pause_is: PauseIs | None
    whole: bool
    cut_off: bool = False
    heard_early: bool = False
    taken_ms: float | None = None
    wait_ms: float | None = None
    first_delta_ms: float | None = None
    understood: list[str] = field(default_factory=list)
    server_ms: dict[str, Any] = field(default_factory=dict)
    microphone_late_ms: float = 0.0


@dataclass(slots=True)
class OverlapResult:
    """A sound that came while the agent spoke. Times count from its onset.

    Attributes:
        sound_ms: how long it lasts.
        vad_ms: where a VAD that heard the sound alone puts its onset; see ears.py.
        hold_ms: the agent paused.
        verdict_ms: the server said that what is not played yet shall be dropped.
        resumed_ms: the agent went on after a hold.
        silence_ms: the last of the answer was heard, by the kind of client; only where it was stopped. 0: the
            sound came into a silence of the answer's own.
        gap_ms: the longest silence inside the answer that the sound brought, by the kind of client.
    """

    system: str
    session: int
    item: str
    kind: OverlapKind
    origin: Origin
    into_s: float
    sound_ms: float
    outcome: Outcome = "not played"
    vad_ms: float | None = None
    hold_ms: float | None = None
    verdict_ms: float | None = None
    resumed_ms: float | None = None
    silence_ms: dict[Obedience, float] = field(default_factory=dict)
    gap_ms: dict[Obedience, float] = field(default_factory=dict)
    understood: list[str] = field(default_factory=list)
    answered: bool = False
    microphone_late_ms: float = 0.0


@dataclass(slots=True)
class Found:
    """Of all systems together; each result names its own."""

    sentences: list[SentenceResult] = field(default_factory=list)
    overlaps: list[OverlapResult] = field(default_factory=list)
    busy: float = 0.0


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a session that is about one item.

    Attributes:
        onset_s, end_s: of its sound, loop time.
        since, until: numbers of notes; `until` is the first one that is no more about it.
    """

    onset_s: float
    end_s: float
    since: int
    until: int

    def notes(self, client: Client) -> list[Noted]:
        return client.notes[self.since : self.until]


# --- sentences


def look_up_sentence(result: SentenceResult, item: Sentence, client: Client, window: Window) -> None:
    notes = window.notes(client)
    quiet_s = window.onset_s - item.onset_s + (item.pause_s[0] if item.pause_s else item.onset_s)
    sounds_s = sorted(answers_s(client, notes).items(), key=lambda answer: answer[1])
    signs_s = [note.at_s for note in notes if note.signal == "stopped"] + [at_s for _, at_s in sounds_s]
    early_s = [at_s for at_s in signs_s if window.onset_s < at_s < window.end_s]
    result.cut_off = bool(early_s)
    result.heard_early = any(window.onset_s < at_s < window.end_s for _, at_s in sounds_s)
    result.taken_ms = _ms(min(early_s) - quiet_s) if early_s else None
    for response, at_s in sounds_s:
        if at_s >= window.end_s:
            result.wait_ms = _ms(at_s - window.end_s)
            result.first_delta_ms = _ms(client.speakers[response].played[0].came_s - window.end_s)
            result.server_ms = _timing(client, response)
            break
    result.understood = _understood(notes)
    result.microphone_late_ms = _ms(client.microphone.worst_delay_s)


def answers_s(client: Client, notes: Sequence[Noted]) -> dict[str, float]:
    """When each answer of which the first sound is among these notes was first heard."""
    begun = {note.response for note in notes if note.signal == "sound" and note.response}
    before = {note.response for note in client.notes if notes and note.at_s < notes[0].at_s}
    first_s = {response: client.speakers[response].first_audible_s for response in begun - before}
    return {response: at_s for response, at_s in first_s.items() if at_s is not None}


def _timing(client: Client, response: str) -> dict[str, Any]:
    for note in client.notes:
        if note.event.get("type") == "antiphon.turn.timing" and note.event["response_id"] == response:
            return dict(note.event["timing"])
    return {}


# --- overlaps


def look_up_overlap(result: OverlapResult, client: Client, response: str, window: Window) -> None:
    """
    Args:
        response: the answer that the agent was giving.
    """
    notes = [note for note in window.notes(client) if note.at_s >= window.onset_s]
    first_s = {
        signal: next((note.at_s for note in notes if note.signal == signal), None)
        for signal in ("hold", "resume", "drop")
    }
    hold_s, resume_s, drop_s = first_s["hold"], first_s["resume"], first_s["drop"]
    over = next((n for n in notes if n.signal in ("cut off", "ended") and n.response == response), None)
    stopped = drop_s is not None or (over is not None and over.signal == "cut off")
    result.hold_ms, result.resumed_ms = _after(window, hold_s), _after(window, resume_s)
    result.verdict_ms = _after(window, drop_s)
    if stopped:
        result.outcome = "stopped"
    elif hold_s is not None:
        result.outcome = "left held" if resume_s is None else "held and resumed"
    else:
        result.outcome = "ignored"
    orders = _orders(client)
    until_s = client.notes[window.until - 1].at_s
    for obedience in OBEYED:
        spans = heard(client.speakers[response].played, orders, obedience)
        if stopped:
            result.silence_ms[obedience] = _ms(max(0.0, spans[-1].end_s - window.onset_s))
        else:
            result.gap_ms[obedience] = _ms(longest_gap_s(spans, window.onset_s, until_s))
    result.answered = any(at_s > window.end_s for at_s in answers_s(client, notes).values())
    result.understood = _understood(notes)
    result.microphone_late_ms = _ms(client.microphone.worst_delay_s)


def _orders(client: Client) -> list[tuple[float, Order]]:
    """What the server told the loudspeaker, all along the session."""
    return [(note.at_s, note.signal) for note in client.notes if note.signal in ("hold", "resume", "drop")]


def _after(window: Window, at_s: float | None) -> float | None:
    return None if at_s is None else _ms(at_s - window.onset_s)


def _understood(notes: Sequence[Noted]) -> list[str]:
    return [note.text for note in notes if note.signal == "understood" and note.text is not None]


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
