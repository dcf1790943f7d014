"""How long a person waits for the answer, and how long the agent talks on when interrupted.

    python -m bench.latency                 starts the server of $CONFIG (configs/laptop.yaml)
    python -m bench.latency --url http://127.0.0.1:8765

Recorded people speak through a real WebSocket in real time; what counts is when sound reaches the client's
loudspeaker. A session is three turns: two in quiet, and a third that begins over the second answer. The
history grows meanwhile, as it does in a conversation. bench/reports/latency.json gets every single turn.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import count, cycle, islice

import numpy as np

from bench.antiphon import Antiphon
from bench.client import JSON, Client, Noted, Timeout, session
from bench.endpoints import heard_turns
from bench.headset import HZ, ROOM_DB
from bench.processes import cpu_times
from bench.report import circumstances, table, write
from bench.server import server
from bench.speech import Utterance, at_rate, interleaved, recordings, room_noise, utterances
from bench.waiting import TurnResult, counts, tables
from conversation.audio import HEARING_HZ, Audio
from conversation.settings import TurnDetection
from deployments.config import Config, load_config
from deployments.loading import load

ENVIRONMENT = ("LLM_MODEL", "RAY_worker_niceness")
"""What else decides how fast an answer is. Without the latter Ray gives its workers a niceness of 15."""

QUIET_TURNS = 2
"""In each session, before the one that interrupts."""

HEARD_S = 3.0
"""A client in quiet hears so much of an answer, then cancels it: toy models talk for long."""
OVER_S = 1.0
"""The user begins to speak over an answer when so much of it has been heard."""
BETWEEN_S = 1.0
"""From the end of an answer to the next turn."""
EARLY_S = 0.1
"""Ears that hear the end of an utterance so much before our mark have missed a word of it."""
ANSWER_S = 15.0
"""An answer that has not begun so long after the end of speech will not come."""


@dataclass(slots=True)
class Spoken:
    """One turn as it is known when the answer has begun; the rest is looked up when the session is over.

    Attributes:
        since: number of the first note of this turn.
        over: id of the answer that this turn interrupts.
        response: id of the answer to it; None when there is none.
    """

    result: TurnResult
    since: int
    onset_s: float
    over: str | None
    response: str | None = None


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description=__doc__.partition("\n")[0])
    parser.add_argument("--url", help="of a running server, e.g. http://127.0.0.1:8765; default: start one")
    parser.add_argument("--config", default=os.environ.get("CONFIG", "configs/laptop.yaml"))
    parser.add_argument("--turns", type=int, default=20, help="turns in quiet; half as many interrupt")
    parser.add_argument("--silence-ms", type=int, help="silence that ends a turn; default: the server's own")
    parser.add_argument("--name", default="latency", help="of the report")
    arguments = parser.parse_args()
    config = load_config(arguments.config)
    about = circumstances()
    clips = asyncio.run(fit_to_measure(config))
    print(f"{len(clips.fit)} utterances of people; {len(clips.unfit)} more are not heard as one turn")
    if arguments.url:
        results, silence_ms, busy = asyncio.run(measure(arguments.url, clips.fit, arguments))
    else:
        with server(arguments.config) as url:
            results, silence_ms, busy = asyncio.run(measure(url, clips.fit, arguments))
    summary = tables(results, clips.later_ms)
    report = {
        **about,
        "configuration": {
            "file": arguments.config,
            **config.model_dump(mode="json"),
            "environment": {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        },
        "silence_duration_ms": silence_ms,
        "speech": {
            "kind": "human",
            "sources": sorted({clip.recording.source for clip in clips.fit}),
            "utterances": [clip.name for clip in clips.fit],
            "not_heard_as_one_turn": clips.unfit,
        },
        "turns_in_a_session": QUIET_TURNS + 1,
        "machine_busy": busy,
        "unit": "ms",
        "counts": counts(results),
        "percentiles": summary,
        "turns": [asdict(result) for result in results],
    }
    path = write(arguments.name, report)
    machine = about["machine"]
    print(f"\n{machine['cpu']}, {machine['cores']} cores, load before {machine['load_before'][0]}, ", end="")
    print(f"busy meanwhile {busy:.0%}\n{arguments.config}, silence_duration_ms {silence_ms}; all in ms\n")
    for title, rows in summary.items():
        print(f"{title}\n{table(rows)}\n")
    for what, how_many in counts(results).items():
        print(f"{how_many:4} {what}")
    print(path)


# --- what is played


@dataclass(frozen=True, slots=True)
class Clips:
    """What there is to say.

    Attributes:
        fit: the utterances that the configured ears hear as one turn.
        unfit: the names of the others.
        later_ms: by how much those ears hear each mark of the fit ones after ours.
    """

    fit: list[Utterance]
    unfit: list[str]
    later_ms: dict[str, list[float]]


async def fit_to_measure(config: Config) -> Clips:
    vad = load(config.vad.model, config.vad.options)
    detection = config.session.turn_detection or TurnDetection()
    clips = Clips([], [], {"onset": [], "end": []})
    around = room_noise(HZ, ROOM_DB)  # a second
    for clip in interleaved(utterances(recordings(), HZ)):
        audio = at_rate(Audio(np.concatenate([around, clip.audio.samples, around]), HZ), HEARING_HZ)
        match await heard_turns(audio, vad, detection, config.conversation):
            case [turn] if (later_s := turn.end / HEARING_HZ - 1 - clip.end_s) > -EARLY_S:
                clips.fit.append(clip)
                clips.later_ms["onset"].append(_ms(turn.onset / HEARING_HZ - 1 - clip.onset_s))
                clips.later_ms["end"].append(_ms(later_s))
            case _:
                clips.unfit.append(clip.name)
    return clips


# --- the measurement


async def measure(
    url: str, clips: list[Utterance], arguments: argparse.Namespace
) -> tuple[list[TurnResult], int, float]:
    """The results of all turns, the silence rule in force, and how busy the machine was."""
    address = url.replace("http", "ws", 1)
    source: Iterator[Utterance] = cycle(clips)
    settings = wanted(arguments.silence_ms)
    results: list[TurnResult] = []
    silence_ms, _ = await hold(address, settings, 0, list(islice(source, 2)))  # warms up, and is not counted
    before = cpu_times()
    for number in count(1):
        if sum(not result.interrupts for result in results) >= arguments.turns:
            break
        _, turns = await hold(address, settings, number, list(islice(source, QUIET_TURNS + 1)))
        for turn in turns:
            print(_line(turn), flush=True)
        results += turns
    busy, total = (after - start for after, start in zip(cpu_times(), before, strict=True))
    return results, silence_ms, round(busy / total, 2)


def wanted(silence_ms: int | None) -> JSON:
    """The session as a stock client sets it: the server's own turn detection, with transcripts."""
    hearing: JSON = {"transcription": {"model": "default"}}
    if silence_ms is not None:
        hearing["turn_detection"] = {"type": "server_vad", "silence_duration_ms": silence_ms}
    return {"audio": {"input": hearing}}


async def hold(url: str, settings: JSON, number: int, clips: list[Utterance]) -> tuple[int, list[TurnResult]]:
    """One session; its third turn begins over the second answer."""
    turns: list[Spoken] = []
    async with session(Antiphon(), url, settings) as client:
        await asyncio.sleep(BETWEEN_S)
        over: str | None = None
        for index, clip in enumerate(clips):
            turn = await speak(client, clip, number, over)
            turns.append(turn)
            over = None
            if index == QUIET_TURNS - 1 and index + 1 < len(clips):
                over = await hear_the_beginning(client, turn.response)
            if over is None:
                await hear_enough(client, turn.response)
                await asyncio.sleep(BETWEEN_S)
    for turn in turns:
        look_up(client, turn)
    return _silence_ms(client), [turn.result for turn in turns]


async def speak(client: Client, clip: Utterance, number: int, over: str | None) -> Spoken:
    """Says an utterance, and waits for the first sound of the answer."""
    since, known = len(client.notes), set(client.speakers)
    said_s = client.microphone.say(clip.audio)
    end_s = said_s + clip.end_s
    result = TurnResult(number, clip.name, round(clip.end_s - clip.onset_s, 2), interrupts=over is not None)
    turn = Spoken(result, since, said_s + clip.onset_s, over)

    def audible(note: Noted) -> bool:
        if note.kind != DELTA:
            return False
        response = str(note.event["response_id"])
        return response not in known and client.speakers[response].first_audible_s is not None

    try:
        note = await client.wait(audible, since=since, within_s=clip.audio.duration_s + ANSWER_S)
    except Timeout:
        return turn
    turn.response = str(note.event["response_id"])
    first_s = client.speakers[turn.response].first_audible_s
    assert first_s is not None
    delta = next(note for note in client.notes[since:] if _is_of(DELTA, turn.response)(note))
    result.outcome = "answered" if first_s > end_s else "answered too early"
    result.voice_to_voice_ms = _ms(first_s - end_s)
    result.first_delta_ms = _ms(delta.at_s - end_s)
    return turn


async def hear_the_beginning(client: Client, response: str | None) -> str | None:
    """Listens to an answer for OVER_S. Returns its id if it goes on after that."""
    return response if response and not await _ended(client, response, OVER_S) else None


async def hear_enough(client: Client, response: str | None) -> None:
    """Listens to an answer for HEARD_S, or until its end, and silences it."""
    if response and not await _ended(client, response, HEARD_S):
        await client.cancel()
        await client.wait(_is_done(response), since=0, within_s=ANSWER_S)


async def _ended(client: Client, response: str, after_s: float) -> bool:
    """Whether the answer is over within so much of it."""
    first_s = client.speakers[response].first_audible_s
    assert first_s is not None
    patience_s = first_s + after_s - asyncio.get_running_loop().time()
    try:
        await client.wait(_is_done(response), since=0, within_s=max(0.0, patience_s))
    except Timeout:
        return False
    return True


# --- what the notes of a session say about a turn

COMMITTED = "input_audio_buffer.committed"
STARTED = "input_audio_buffer.speech_started"
HEARD = "conversation.item.input_audio_transcription.completed"
DELTA = "response.output_audio.delta"
SAID = "response.output_audio_transcript.done"
TIMED = "antiphon.turn.timing"


def look_up(client: Client, turn: Spoken) -> None:
    """Completes the result of a turn, once its session is over."""
    result, notes = turn.result, client.notes[turn.since :]
    result.microphone_late_ms = _ms(client.microphone.worst_delay_s)
    if committed := _first(notes, lambda note: note.kind == COMMITTED):
        item_id = committed["item_id"]
        heard = _first(notes, lambda note: note.kind == HEARD and note.event["item_id"] == item_id)
        result.heard = heard["transcript"] if heard else None
    if turn.response is not None:
        timed = _first(notes, _is_of(TIMED, turn.response))
        said = _first(notes, _is_of(SAID, turn.response))
        result.server_ms = timed["timing"] if timed else {}
        result.answer = said["transcript"] if said else None
        result.gaps_ms = _ms(client.speakers[turn.response].gap_s)
    if turn.over is not None:
        _look_up_stop(client, turn, turn.over, notes)


def _look_up_stop(client: Client, turn: Spoken, over: str, notes: list[Noted]) -> None:
    """How the answer `over` ended, if it was the user's voice that ended it."""
    done = _first(notes, _is_done(over))
    started = next((note for note in notes if note.kind == STARTED), None)
    if done is not None and started is not None and done["response"]["status"] == "cancelled":
        turn.result.stop_flushing_ms = _ms(started.at_s - turn.onset_s)
        turn.result.stop_keeping_ms = _ms(client.speakers[over].ends_s - turn.onset_s)


def _first(notes: list[Noted], wanted: Callable[[Noted], bool]) -> JSON | None:
    return next((note.event for note in notes if wanted(note)), None)


def _is_of(kind: str, response: str) -> Callable[[Noted], bool]:
    return lambda note: note.kind == kind and note.event["response_id"] == response


def _is_done(response: str) -> Callable[[Noted], bool]:
    return lambda note: note.kind == "response.done" and note.event["response"]["id"] == response


def _silence_ms(client: Client) -> int:
    [updated] = [note.event for note in client.notes if note.kind == "session.updated"]
    return int(updated["session"]["audio"]["input"]["turn_detection"]["silence_duration_ms"])


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _line(turn: TurnResult) -> str:
    waited = "-" if turn.voice_to_voice_ms is None else f"{turn.voice_to_voice_ms:.0f} ms"
    stop = "" if turn.stop_flushing_ms is None else f", stopped after {turn.stop_flushing_ms:.0f} ms"
    return f"{turn.session:3} {turn.utterance:24} {turn.outcome}: {waited}{stop}  [{turn.heard}]"


if __name__ == "__main__":
    main()
