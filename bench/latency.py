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
from dataclasses import asdict, dataclass, field
from itertools import count, cycle, islice
from typing import Any

import numpy as np

from bench.client import HZ, JSON, ROOM_DB, Client, Noted, Timeout, session
from bench.endpoints import heard_turns
from bench.report import circumstances, percentiles, table, write
from bench.server import server
from bench.speech import Utterance, at_rate, recordings, room_noise, utterances
from conversation.audio import HEARING_HZ, Audio
from conversation.settings import TurnDetection
from deployments.config import Config, load_config
from deployments.loading import load

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


@dataclass(slots=True)
class TurnResult:
    """One turn; all times in ms, from the end of speech in the audio unless named otherwise."""

    session: int
    utterance: str
    speech_s: float
    interrupts: bool
    outcome: str = "no answer"
    """answered | answered too early (the turn was taken from the speaker) | no answer"""
    heard: str | None = None
    answer: str | None = None
    voice_to_voice_ms: float | None = None
    first_delta_ms: float | None = None
    """The first audio event was here; its beginning may be silent."""
    gaps_ms: float | None = None
    """Silence inside the answer because audio came too late."""
    server_ms: dict[str, float | None] = field(default_factory=dict)
    """The server's own account, from where its VAD heard the end of speech."""
    stop_flushing_ms: float | None = None
    """From the onset of the voice: speech_started is here, on which most clients drop what they have not played."""
    stop_keeping_ms: float | None = None
    """From the onset of the voice: the last of the interrupted answer has been played by one that does not."""
    microphone_late_ms: float = 0.0


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
    clips, marks, unfit = asyncio.run(fit_to_measure(config))
    print(f"{len(clips)} utterances of people, {len(unfit)} more that the server does not hear as one turn")
    if arguments.url:
        results, silence_ms, busy = asyncio.run(measure(arguments.url, clips, arguments))
    else:
        with server(arguments.config) as url:
            results, silence_ms, busy = asyncio.run(measure(url, clips, arguments))
    summary = summarise(results, marks)
    report = {
        **about,
        "configuration": {
            "file": arguments.config,
            **config.model_dump(mode="json"),
            "llm_from_environment": os.environ.get("LLM_MODEL"),
        },
        "silence_duration_ms": silence_ms,
        "speech": {
            "kind": "human",
            "sources": sorted({clip.recording.source for clip in clips}),
            "utterances": [clip.name for clip in clips],
            "not_heard_as_one_turn": unfit,
        },
        "sessions_of_turns": QUIET_TURNS + 1,
        "machine_busy_share": busy,
        "summary": summary,
        "turns": [asdict(result) for result in results],
    }
    path = write(arguments.name, report)
    print(f"\n{about['machine']['cpu']}, {about['machine']['cores']} cores, ", end="")
    print(f"load before {about['machine']['load_before'][0]}, busy meanwhile {busy:.0%}")
    print(f"{arguments.config}, silence_duration_ms {silence_ms}; milliseconds\n")
    for title, rows in summary.items():
        if title != "outcomes":
            print(f"{title}\n{table(rows)}\n")
    print(f"{summary['outcomes']}\n{path}")


# --- what is played


async def fit_to_measure(config: Config) -> tuple[list[Utterance], list[float], list[str]]:
    """The utterances that the configured ears hear as one turn; how much later than the mark they hear its end,
    in ms; and the names of the others."""
    vad = load(config.vad.model, config.vad.options)
    detection = config.session.turn_detection or TurnDetection()
    fit, later_ms, unfit = [], [], []
    for clip in utterances(recordings(), HZ):
        around = room_noise(HZ, ROOM_DB)
        audio = at_rate(Audio(np.concatenate([around, clip.audio.samples, around]), HZ), HEARING_HZ)
        turns = await heard_turns(audio, vad, detection, config.conversation)
        if len(turns) == 1:
            fit.append(clip)
            later_ms.append((turns[0].end / HEARING_HZ - 1.0 - clip.end_s) * 1000)
        else:
            unfit.append(clip.name)
    return interleaved(fit), later_ms, unfit


def interleaved(clips: list[Utterance]) -> list[Utterance]:
    """One of each recording in turn, so that a short run hears all voices."""
    return sorted(clips, key=lambda clip: (clip.number, clip.recording.name))


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
    before = _cpu_times()
    for number in count(1):
        if sum(not result.interrupts for result in results) >= arguments.turns:
            break
        _, turns = await hold(address, settings, number, list(islice(source, QUIET_TURNS + 1)))
        for turn in turns:
            print(_line(turn), flush=True)
        results += turns
    busy, total = (after - start for after, start in zip(_cpu_times(), before, strict=True))
    return results, silence_ms, round(busy / total, 2)


def wanted(silence_ms: int | None) -> JSON:
    """The session as a stock client sets it: the server's own turn detection, with transcripts."""
    hearing: JSON = {"transcription": {"model": "default"}}
    if silence_ms is not None:
        hearing["turn_detection"] = {"type": "server_vad", "silence_duration_ms": silence_ms}
    return {"audio": {"input": hearing}}


async def hold(url: str, settings: JSON, number: int, clips: list[Utterance]) -> tuple[int, list[TurnResult]]:
    """One session; its third turn begins over the second answer."""
    results: list[TurnResult] = []
    async with session(url, settings) as client:
        silence_ms = _silence_ms(client)
        await asyncio.sleep(BETWEEN_S)
        spoken_over: str | None = None
        for index, clip in enumerate(clips):
            result, response = await take_turn(client, clip, number, spoken_over)
            results.append(result)
            next_interrupts = index + 1 == QUIET_TURNS and index + 1 < len(clips)
            spoken_over = await hear(client, response, stop=not next_interrupts) if response else None
            if not next_interrupts and response:
                _note_end(client, result, response)
                await asyncio.sleep(BETWEEN_S)
    for result in results:
        result.microphone_late_ms = _ms(client.microphone.worst_delay_s)
    return silence_ms, results


async def take_turn(
    client: Client, clip: Utterance, number: int, spoken_over: str | None
) -> tuple[TurnResult, str | None]:
    """Speaks, and waits for the first sound of the answer. Returns what is known so far, and its response id."""
    since, known = len(client.notes), set(client.speakers)
    said_s = client.microphone.say(clip.audio)
    onset_s, end_s = said_s + clip.onset_s, said_s + clip.end_s
    speech_s = round(clip.end_s - clip.onset_s, 2)
    result = TurnResult(number, clip.name, speech_s, interrupts=spoken_over is not None)

    def audible(note: Noted) -> bool:
        response = note.event.get("response_id")
        return response not in known and (
            response in client.speakers and client.speakers[response].first_audible_s is not None
        )

    try:
        note = await client.wait(audible, since=since, within_s=clip.audio.duration_s + ANSWER_S)
    except Timeout:
        return result, None
    response = str(note.event["response_id"])
    first_s = client.speakers[response].first_audible_s
    assert first_s is not None
    delta = next(n for n in client.notes if n.kind == DELTA and n.event["response_id"] == response)
    result.outcome = "answered" if first_s > end_s else "answered too early"
    result.voice_to_voice_ms = _ms(first_s - end_s)
    result.first_delta_ms = _ms(delta.at_s - end_s)
    if spoken_over is not None:
        _note_stop(client, result, spoken_over, onset_s, since)
    result.heard = _text(client, HEARD, since)
    return result, response


async def hear(client: Client, response: str, *, stop: bool) -> str | None:
    """Listens to an answer for a while, then either silences it and waits for its end, or lets it go on.

    Returns its id when it goes on.
    """
    first_s = client.speakers[response].first_audible_s
    assert first_s is not None
    patience_s = first_s + (HEARD_S if stop else OVER_S) - asyncio.get_running_loop().time()
    over = _is_done(response)
    try:
        await client.wait(over, since=0, within_s=max(0.01, patience_s))
        return None
    except Timeout:
        if not stop:
            return response
    await client.send("response.cancel")
    await client.wait(over, since=0, within_s=ANSWER_S)
    return None


def _is_done(response: str) -> Callable[[Noted], bool]:
    return lambda note: note.kind == "response.done" and note.event["response"]["id"] == response


def _note_stop(client: Client, result: TurnResult, spoken_over: str, onset_s: float, since: int) -> None:
    """How the answer `spoken_over` ended, if it was the user's voice that ended it."""
    started = next((note for note in client.notes[since:] if note.kind == STARTED), None)
    done = next((note for note in client.notes if _is_done(spoken_over)(note)), None)
    if started is None or done is None or done.event["response"]["status"] != "cancelled":
        return
    result.stop_flushing_ms = _ms(started.at_s - onset_s)
    result.stop_keeping_ms = _ms(client.speakers[spoken_over].ends_s - onset_s)


def _note_end(client: Client, result: TurnResult, response: str) -> None:
    """What is known of an answer only when it is over."""
    timing = next((n for n in client.notes if n.kind == TIMED and n.event["response_id"] == response), None)
    result.server_ms = timing.event["timing"] if timing else {}
    result.gaps_ms = _ms(client.speakers[response].gap_s)
    result.answer = next(
        (
            n.event["transcript"]
            for n in client.notes
            if n.kind == SAID and n.event["response_id"] == response
        ),
        None,
    )


DELTA = "response.output_audio.delta"
SAID = "response.output_audio_transcript.done"
STARTED = "input_audio_buffer.speech_started"
HEARD = "conversation.item.input_audio_transcription.completed"
TIMED = "antiphon.turn.timing"


def _text(client: Client, kind: str, since: int) -> str | None:
    return next((note.event["transcript"] for note in client.notes[since:] if note.kind == kind), None)


def _silence_ms(client: Client) -> int:
    [updated] = [note.event for note in client.notes if note.kind == "session.updated"]
    return int(updated["session"]["audio"]["input"]["turn_detection"]["silence_duration_ms"])


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _cpu_times() -> tuple[int, int]:
    """Jiffies that all cores were busy, and all jiffies there were."""
    with open("/proc/stat") as stat:
        times = [int(value) for value in stat.readline().split()[1:9]]
    idle = times[3] + times[4]
    return sum(times) - idle, sum(times)


def _line(turn: TurnResult) -> str:
    waited = "-" if turn.voice_to_voice_ms is None else f"{turn.voice_to_voice_ms:.0f} ms"
    stop = "" if turn.stop_flushing_ms is None else f", stopped after {turn.stop_flushing_ms:.0f} ms"
    return f"{turn.session:3} {turn.utterance:24} {turn.outcome}: {waited}{stop}  [{turn.heard}]"


# --- the summary


def summarise(results: list[TurnResult], marks_later_ms: list[float]) -> JSON:
    """Percentiles. Turns that interrupt are counted apart: the machine was busy with the answer before."""
    answered = [result for result in results if result.outcome == "answered"]
    quiet = [result for result in answered if not result.interrupts]
    over = [result for result in answered if result.interrupts]

    def of(which: list[TurnResult], value: Callable[[TurnResult], float | None]) -> dict[str, float] | None:
        return percentiles(value(result) for result in which)

    stages = ("asked", "transcript", "llm_first", "clause", "tts_first", "released", "first_audio")
    return {
        "voice to voice": {
            "in quiet": of(quiet, lambda r: r.voice_to_voice_ms),
            "after an interruption": of(over, lambda r: r.voice_to_voice_ms),
        },
        "server, from the end of speech as its VAD hears it (in quiet)": {
            name: of(quiet, lambda r, name=name: r.server_ms.get(f"{name}_ms")) for name in stages
        },
        "parts (in quiet)": {name: of(quiet, part) for name, part in PARTS.items()},
        "stop latency, from the onset of the user's voice": {
            "client that flushes on speech_started": of(results, lambda r: r.stop_flushing_ms),
            "client that plays what it has": of(results, lambda r: r.stop_keeping_ms),
        },
        "silence inside answers, because audio came late": {
            "gaps in the part heard": of(quiet, lambda r: r.gaps_ms)
        },
        "how exact": {
            "Silero hears the end after our mark": percentiles(marks_later_ms),
            "microphone late, worst of a session": of(results, lambda r: r.microphone_late_ms),
        },
        "outcomes": {
            "quiet_turns": sum(not result.interrupts for result in results),
            "interrupting_turns": sum(result.interrupts for result in results),
            **{outcome: sum(r.outcome == outcome for r in results) for outcome in OUTCOMES},
            "answers_ready_before_the_turn_was_over": sum(_ready_early(result) for result in quiet),
        },
    }


OUTCOMES = ("answered", "answered too early", "no answer")


def _between(first: str, then: str) -> Callable[[TurnResult], float | None]:
    def part(result: TurnResult) -> float | None:
        start, end = result.server_ms.get(f"{first}_ms"), result.server_ms.get(f"{then}_ms")
        return None if start is None or end is None else end - start

    return part


def _gate(result: TurnResult) -> float | None:
    """An answer that is ready waits for the turn to be over."""
    wait = _between("tts_first", "released")(result)
    return None if wait is None else max(0.0, wait)


def _unaccounted(result: TurnResult) -> float | None:
    """Between the marks of the end of speech, and on the way to the client."""
    told = result.server_ms.get("first_audio_ms")
    return None if told is None or result.first_delta_ms is None else result.first_delta_ms - told


def _silent_beginning(result: TurnResult) -> float | None:
    if result.voice_to_voice_ms is None or result.first_delta_ms is None:
        return None
    return result.voice_to_voice_ms - result.first_delta_ms


def _ready_early(result: TurnResult) -> bool:
    wait = _between("tts_first", "released")(result)
    return wait is not None and wait >= 0


PARTS: dict[str, Callable[[TurnResult], float | None]] = {
    "silence until work begins": lambda result: result.server_ms.get("asked_ms"),
    "asr: final transcript": _between("asked", "transcript"),
    "llm: first text": _between("transcript", "llm_first"),
    "llm: first clause": _between("llm_first", "clause"),
    "tts: first sound": _between("clause", "tts_first"),
    "ready, waits for the end of the turn": _gate,
    "VAD's mark and ours, and the way to the client": _unaccounted,
    "the answer's silent beginning": _silent_beginning,
}


if __name__ == "__main__":
    main()
