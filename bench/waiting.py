"""The results of turns, and what they come to: percentiles of the waiting and of its parts.

Pure: knows neither a client nor a server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bench.report import Percentiles, percentiles
from bench.turns.heard import Obedience
from bench.turns.scores import CLIENTS

OUTCOMES = ("answered", "answered too early", "no answer")
"""Too early: the turn was taken from the speaker."""

STAGES = ("asked", "transcript", "llm_first", "clause", "tts_first", "released", "first_audio")
"""What the server's timing record names, see conversation/timing.py."""


ON_TIME_MS = 40.0
"""A session in which each chunk of the microphone left within so much of its time, two chunks, was on a
machine that kept up; in others somebody else's work is measured too."""


@dataclass(slots=True)
class TurnResult:
    """One turn. All times are in ms, from the end of speech in the audio unless another start is named.

    Attributes:
        system: whose it is.
        heard, answer: what the server understood and said.
        first_delta_ms: the first audio event was here; its beginning may be silent.
        gaps_ms: silence inside the answer because audio came late.
        server_ms: the server's own account, from where its VAD heard the end of speech.
        hold_ms: from the onset of the voice until the server told the client to hold.
        verdict_ms: until the answer was over.
        stop_ms: until the last of it was heard, by what a client does.
        microphone_late_ms: the worst delay of a chunk in this session: this machine was busy.
    """

    system: str
    session: int
    utterance: str
    speech_s: float
    interrupts: bool
    outcome: str = "no answer"
    heard: str | None = None
    answer: str | None = None
    voice_to_voice_ms: float | None = None
    first_delta_ms: float | None = None
    gaps_ms: float | None = None
    server_ms: dict[str, float | None] = field(default_factory=dict)
    hold_ms: float | None = None
    verdict_ms: float | None = None
    stop_ms: dict[Obedience, float] = field(default_factory=dict)
    microphone_late_ms: float = 0.0


Measure = Callable[[TurnResult], float | None]
Table = dict[str, Percentiles | None]


def tables(results: list[TurnResult], marks_later_ms: dict[str, list[float]]) -> dict[str, Table]:
    """Percentiles by title and row. Turns that interrupt are apart: the server was busy just before them."""
    answered = [result for result in results if result.outcome == "answered"]
    quiet = [result for result in answered if not result.interrupts]
    over = [result for result in answered if result.interrupts]

    def of(which: list[TurnResult], measure: Measure) -> Percentiles | None:
        return percentiles(measure(result) for result in which)

    return {
        "voice to voice": {
            "in quiet": of(quiet, _voice_to_voice),
            "in quiet, while the machine kept up": of([r for r in quiet if _kept_up(r)], _voice_to_voice),
            "after an interruption": of(over, _voice_to_voice),
        },
        "in quiet, the server's account: after the end of speech as its VAD hears it": {
            stage: of(quiet, _told(stage)) for stage in STAGES
        },
        "in quiet, the parts of the wait": {name: of(quiet, part) for name, part in PARTS.items()},
        "stop, after the onset of the user's voice": {
            **{client: of(results, _stop(obedience)) for obedience, client in CLIENTS.items()},
            "told to hold": of(results, lambda result: result.hold_ms),
            "decided": of(results, lambda result: result.verdict_ms),
        },
        "how exact": {
            **{
                f"{mark} of speech: the VAD's after ours": percentiles(ms)
                for mark, ms in marks_later_ms.items()
            },
            "microphone late, worst of a session": of(results, lambda result: result.microphone_late_ms),
            "gaps in the answer": of(quiet, lambda result: result.gaps_ms),
        },
    }


def counts(results: list[TurnResult]) -> dict[str, int]:
    quiet = [result for result in results if not result.interrupts]
    return {
        "turns in quiet": len(quiet),
        "turns that interrupt": len(results) - len(quiet),
        **{outcome: sum(result.outcome == outcome for result in results) for outcome in OUTCOMES},
        "in quiet, first sound ready before the turn was over": sum(map(_ready_early, quiet)),
    }


def _voice_to_voice(result: TurnResult) -> float | None:
    return result.voice_to_voice_ms


def _kept_up(result: TurnResult) -> bool:
    return result.microphone_late_ms <= ON_TIME_MS


def _stop(obedience: Obedience) -> Measure:
    return lambda result: result.stop_ms.get(obedience)


def _told(stage: str) -> Measure:
    return lambda result: result.server_ms.get(f"{stage}_ms")


def _between(first: str, then: str) -> Measure:
    def part(result: TurnResult) -> float | None:
        start, end = result.server_ms.get(f"{first}_ms"), result.server_ms.get(f"{then}_ms")
        return None if start is None or end is None else end - start

    return part


def _gate(result: TurnResult) -> float | None:
    """An answer that is ready waits for the turn to be over."""
    wait = _between("tts_first", "released")(result)
    return None if wait is None else max(0.0, wait)


def _ready_early(result: TurnResult) -> bool:
    wait = _between("tts_first", "released")(result)
    return wait is not None and wait >= 0


def _between_us(result: TurnResult) -> float | None:
    told = result.server_ms.get("first_audio_ms")
    return None if told is None or result.first_delta_ms is None else result.first_delta_ms - told


def _silent_beginning(result: TurnResult) -> float | None:
    if result.voice_to_voice_ms is None or result.first_delta_ms is None:
        return None
    return result.voice_to_voice_ms - result.first_delta_ms


PARTS: dict[str, Measure] = {
    "VAD's mark after ours, and the way to the client": _between_us,
    "silence until work begins": _told("asked"),
    "asr: final transcript": _between("asked", "transcript"),
    "llm: first text": _between("transcript", "llm_first"),
    "llm: first clause": _between("llm_first", "clause"),
    "tts: first sound": _between("clause", "tts_first"),
    "first sound waits for the end of the turn": _gate,
    "the answer's silent beginning": _silent_beginning,
}
"""They add up to the voice-to-voice latency, turn by turn."""
