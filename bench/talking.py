"""One conversation as it is measured: two turns in quiet, and a third that begins over the second answer.

The history grows meanwhile, as it does in a conversation. What comes of a turn is looked up in the notes of
the client when the session is over. Which server it is makes no difference here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench.client import Client, Noted, Signal, Timeout
from bench.speech import Utterance
from bench.systems import System
from bench.turns.heard import OBEYED, heard
from bench.waiting import TurnResult

QUIET_TURNS = 2
"""In each session, before the one that interrupts."""

HEARD_S = 3.0
"""A client in quiet hears so much of an answer, then cancels it: toy models talk for long."""
OVER_S = 1.0
"""The user begins to speak over an answer when so much of it has been heard."""
BETWEEN_S = 1.0
"""From the end of an answer to the next turn."""
ANSWER_S = 15.0
"""An answer that has not begun so long after the end of speech will not come."""
AGAIN_S = 3.0
"""A turn that was answered too early is answered again, or not at all, so long after its end."""


@dataclass(slots=True)
class Spoken:
    """One turn as it is known when the answer has begun; the rest is looked up when the session is over.

    Attributes:
        since: number of the first note of this turn.
        silent_s: when the microphone has said all.
        over: id of the answer that this turn interrupts.
        response: id of the answer to it; None when there is none.
    """

    result: TurnResult
    since: int
    onset_s: float
    silent_s: float
    over: str | None
    response: str | None = None


async def converse(system: System, number: int, clips: Sequence[Utterance]) -> list[TurnResult]:
    """One session, the `number`th."""
    turns: list[Spoken] = []
    async with system.session() as client:
        await asyncio.sleep(BETWEEN_S)
        over: str | None = None
        for index, clip in enumerate(clips):
            turn = await speak(client, system.name, number, clip, over)
            turns.append(turn)
            over = None
            if index == QUIET_TURNS - 1 and index + 1 < len(clips):
                over = await hear_the_beginning(client, turn)
            if over is None:
                await hear_enough(client, turn)
                await asyncio.sleep(BETWEEN_S)
    for turn in turns:
        look_up(client, turn)
    return [turn.result for turn in turns]


async def speak(client: Client, system: str, number: int, clip: Utterance, over: str | None) -> Spoken:
    """Says an utterance, and waits for the first sound of the answer."""
    since, known = len(client.notes), set(client.speakers)
    said_s = client.microphone.say(clip.audio)
    end_s = said_s + clip.end_s
    result = TurnResult(
        system, number, clip.name, round(clip.end_s - clip.onset_s, 2), interrupts=over is not None
    )
    turn = Spoken(result, since, said_s + clip.onset_s, said_s + clip.audio.duration_s, over)

    def audible(note: Noted) -> bool:
        if note.signal != "sound" or note.response is None or note.response in known:
            return False
        return client.speakers[note.response].first_audible_s is not None

    try:
        note = await client.wait(audible, since=since, within_s=clip.audio.duration_s + ANSWER_S)
    except Timeout:
        return turn
    assert note.response is not None
    turn.response = note.response
    first_s = client.speakers[turn.response].first_audible_s
    assert first_s is not None
    delta = next(note for note in client.notes[since:] if _is(note, "sound", turn.response))
    result.outcome = "answered" if first_s > end_s else "answered too early"
    result.voice_to_voice_ms = _ms(first_s - end_s)
    result.first_delta_ms = _ms(delta.at_s - end_s)
    return turn


async def hear_the_beginning(client: Client, turn: Spoken) -> str | None:
    """Listens to an answer for OVER_S. Returns its id if it goes on after that."""
    if turn.response is None or turn.result.outcome != "answered":
        return None
    return None if await _ended(client, turn.response, OVER_S) else turn.response


async def hear_enough(client: Client, turn: Spoken) -> None:
    """Listens to what is said for HEARD_S, or until its end, and silences it. Then nobody speaks."""
    await asyncio.sleep(max(0.0, turn.silent_s - asyncio.get_running_loop().time()))
    if turn.result.outcome == "answered too early":
        await _another_answer(client, turn)
    for response in list(client.speakers):
        if not _is_over(client, response) and not await _ended(client, response, HEARD_S):
            await client.cancel()
            await client.wait(_over(response), since=0, within_s=ANSWER_S)


async def _another_answer(client: Client, turn: Spoken) -> None:
    """To all that was said, where its beginning was answered already."""
    known = set(client.speakers)
    try:
        await client.wait(
            lambda note: note.signal == "sound" and note.response not in known,
            since=turn.since,
            within_s=AGAIN_S,
        )
    except Timeout:
        return


async def _ended(client: Client, response: str, after_s: float) -> bool:
    """Whether the answer is over within so much of it."""
    first_s = client.speakers[response].first_audible_s or 0.0
    patience_s = first_s + after_s - asyncio.get_running_loop().time()
    try:
        await client.wait(_over(response), since=0, within_s=max(0.0, patience_s))
    except Timeout:
        return False
    return True


# --- what the notes of a session say about a turn

TIMED = "antiphon.turn.timing"


def look_up(client: Client, turn: Spoken) -> None:
    """Completes the result of a turn, once its session is over."""
    result, notes = turn.result, client.notes[turn.since :]
    result.microphone_late_ms = _ms(client.microphone.worst_delay_s)
    known = {note.item for note in client.notes[: turn.since]} - {None}
    result.heard = _words(
        note
        for note in _until_answered(notes, turn)
        if note.signal == "understood" and note.item not in known
    )
    if turn.response is not None:
        timed = next((note for note in notes if note.kind == TIMED and note.response == turn.response), None)
        result.server_ms = timed.event["timing"] if timed else {}
        result.answer = _words(note for note in notes if _is(note, "said", turn.response))
        result.gaps_ms = _ms(client.speakers[turn.response].gap_s)
    if turn.over is not None:
        _look_up_stop(client, turn, turn.over, notes)


def _look_up_stop(client: Client, turn: Spoken, over: str, notes: Sequence[Noted]) -> None:
    """How the answer `over` ended, if it was the user's voice that ended it."""
    cut_off = next((note for note in notes if _is(note, "cut off", over)), None)
    orders = [(note.at_s, note.signal) for note in notes if note.signal in ("hold", "resume", "drop")]
    if cut_off is None or not orders:
        return
    turn.result.hold_ms = next((_ms(at_s - turn.onset_s) for at_s, order in orders if order == "hold"), None)
    turn.result.verdict_ms = _ms(cut_off.at_s - turn.onset_s)
    for obedience in OBEYED:
        spans = heard(client.speakers[over].played, orders, obedience)
        turn.result.stop_ms[obedience] = _ms(spans[-1].end_s - turn.onset_s)


def _until_answered(notes: Sequence[Noted], turn: Spoken) -> list[Noted]:
    """What was told before the answer sounded; all, where there was none."""
    first = next((i for i, note in enumerate(notes) if _is(note, "sound", turn.response)), len(notes))
    return list(notes[:first])


def _words(notes: Iterable[Noted]) -> str | None:
    """What these tell, one after the other."""
    return " ".join(text for note in notes if (text := (note.text or "").strip())) or None


def _is(note: Noted, signal: Signal, response: str | None) -> bool:
    return note.signal == signal and note.response == response


def _over(response: str) -> Callable[[Noted], bool]:
    return lambda note: note.signal in ("ended", "cut off") and note.response == response


def _is_over(client: Client, response: str) -> bool:
    return any(map(_over(response), client.notes))


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
