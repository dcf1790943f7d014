"""Whether an agent that hears itself interrupts itself, and whether it still hears its user.

    python -m bench.echo            the VAD and the voice of $CONFIG (configs/laptop.yaml), in this process

The voice's sentences go through simulated loudspeakers and rooms (rooms.py) to a microphone, at several
delays and levels, alone and with somebody who speaks over them; the VAD and the endpointing of the same
configuration listen, with the comparison of conversation/echo.py and without. People who interrupt and
machines are counted apart. For clients that cancel the echo themselves, the same with hardly any or none.
And what people say over an agent that goes on is written down, with the echo taken out and as it came.
Nothing is played through air: what a real loudspeaker distorts is not in here. bench/reports/echo.json gets
every case.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jiwer
import numpy as np

from bench.report import circumstances, percentiles, write
from bench.rooms import echo_of
from bench.speech import Clip, Origin, at_rate, room_noise, speech_set
from bench.wer import plain
from conversation.arrivals import Arrivals
from conversation.audio import HEARING_HZ, Audio, Samples, join
from conversation.ears import Frame
from conversation.echo import SPEECH, Decided, Echo, Heard
from conversation.endpointing import Endpointing
from conversation.floor import Floor, FloorEvent
from conversation.loudspeaker import Loudspeaker
from conversation.segments import Segments
from conversation.settings import Tuning, TurnDetection
from conversation.stages import FRAME_SAMPLES, Asr, Tts, Vad, VadState
from deployments.config import load_config
from deployments.loading import load

SENTENCES = (
    "Sure, I can help you with that. The train to the coast leaves at nine and takes about two hours.",
    "Plants turn sunlight, water and air into sugar. It happens in the leaves, and it gives us oxygen.",
    "Once upon a time there was a little dog who lived in a big house by the sea and waited for the boats.",
    "It will be mostly cloudy today, with some rain in the afternoon. You may want to take an umbrella.",
)
DELAYS_MS = (0, 50, 120, 300, 700)
LEVELS_DB: tuple[float | None, ...] = (-40, -30, -20, -10, 0)
ROOMS_S = (0.0, 0.2, 0.35, 0.5)
NOISES_DB = (-65, -55)

CANCELLED_DB: tuple[float | None, ...] = (-60, None)
"""What a client leaves of the echo that cancels it; None: nothing."""

WRITTEN_DB = (-20, -10, 0)
"""Echoes over which words are written down."""

USER_DB = -26.0
"""RMS of who interrupts; the agent's own is about the same."""

AGENT_S, USER_S, GAP_S = 0.5, 3.0, 1.2
"""When the agent begins, when somebody speaks over it, and how long it is silent between two sentences."""

CHUNK_S, BURST_S, LEAD_S = 0.04, 0.08, 0.12
"""Pieces that are sent, chunks in which the microphone's sound arrives, and how far ahead sound is sent."""

IN_TIME_S = 0.5
EARLY_S = 0.25
"""Clips are marked by loudness; their breath is heard up to so much before, without an echo too."""


@dataclass(frozen=True, slots=True)
class Case:
    """How the agent comes back. A level of None: not at all."""

    number: int
    level_db: float | None
    delay_ms: float
    room_s: float
    noise_db: float


@dataclass(frozen=True, slots=True)
class Onset:
    known_s: float
    at_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Listened:
    """The onsets, the sound as it is handed on, and how often an agent would have paused for nothing."""

    onsets: list[Onset]
    samples: Samples
    paused_in_vain: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the ears made of a case.

    Attributes:
        interrupts: who speaks over the agent; None: nobody.
        with_s, without_s: when onsets were known, with the comparison and without.
        alone_s: when it is known of the user without any echo.
        paused_in_vain: how often the agent paused for less than an onset, with the comparison.
    """

    case: Case
    interrupts: str | None
    origin: Origin | None
    with_s: list[float]
    without_s: list[float]
    alone_s: float | None
    paused_in_vain: int


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.echo", description=__doc__.partition("\n")[0])
    parser.add_argument("--config", default=os.environ.get("CONFIG", "configs/laptop.yaml"))
    arguments = parser.parse_args()
    config, about = load_config(arguments.config), circumstances()
    vad, voice = load(config.vad.model, config.vad.options), load(config.tts.model, config.tts.options)
    recogniser = load(config.asr.model, config.asr.options)
    asr = recogniser if config.asr_streams else Segments(recogniser)
    outcomes, cost, words = asyncio.run(measured(vad, asr, voice, config.conversation))
    path = write(
        "echo",
        {
            **about,
            "configuration": arguments.config,
            "summary": (summary := summarised(outcomes)),
            "frame_ms": cost,
            "word_error_rates": words,
            "cases": [asdict(outcome) for outcome in outcomes],
        },
    )
    print(table(summary), f"a frame with speech over the agent takes {cost} ms of one core", sep="\n")
    for level, rates in words.items():
        print(
            f"words of people over an agent at {level}:",
            *(f"{how} {rate:.1%}" for how, rate in rates.items()),
        )
    print(path)


def cases() -> Iterator[Case]:
    delays = itertools.cycle(DELAYS_MS)
    settings = itertools.product(LEVELS_DB + CANCELLED_DB, ROOMS_S, NOISES_DB)
    for number, (level_db, room_s, noise_db) in enumerate(settings):
        yield Case(number, level_db, next(delays), room_s, noise_db)


async def measured(
    vad: Vad, asr: Asr, voice: Tts, tuning: Tuning
) -> tuple[list[Outcome], dict[str, float] | None, dict[str, dict[str, float]]]:
    """Every case alone, with a person and with a machine that interrupts; ms of CPU that a frame took; and
    word error rates, by level."""
    sentences = [await _spoken(voice, text) for text in SENTENCES]
    people, machines = speech_set(origin="human"), speech_set("interruption", "synthetic")
    outcomes, costs = [], list[float]()
    for case in cases():
        told = itertools.islice(itertools.cycle(sentences), case.number % 4, case.number % 4 + 2)
        played = _laid_out(list(told))
        for group in ([None], people, machines):
            clip = group[case.number % len(group)]
            outcomes.append(await _outcome(case, played, clip, vad, tuning, costs))
    words = {
        f"{level_db} dB": await _word_error_rates(level_db, sentences, vad, asr, tuning)
        for level_db in WRITTEN_DB
    }
    return outcomes, percentiles(costs), words


async def _word_error_rates(
    level_db: float, sentences: Sequence[Samples], vad: Vad, asr: Asr, tuning: Tuning
) -> dict[str, float]:
    """Of all people's clips: as they are, over the echo, and with the echo taken out."""
    said: list[str] = []
    written: dict[str, list[str]] = {"alone": [], "with the echo": [], "without it": []}
    for number, clip in enumerate(speech_set(origin="human")):
        case = Case(number, level_db, DELAYS_MS[number % 5], ROOMS_S[number % 4], NOISES_DB[0])
        played = _laid_out([sentences[number % 4], sentences[(number + 1) % 4]])
        alone = _noise(case, len(played)) + _interrupting(clip, len(played))
        heard = alone + _echo(case, played)
        kept = listened(played, heard, await probabilities(vad, heard), tuning).samples
        end_s = USER_S + (clip.end_ms - clip.onset_ms) / 1000
        turn = slice(round((USER_S - 0.3) * HEARING_HZ), round((end_s + 0.2) * HEARING_HZ))
        said.append(plain(clip.text or ""))
        for texts, samples in zip(written.values(), (alone, heard, kept), strict=True):
            transcript, _ = await asr.step(Audio(samples[turn], HEARING_HZ), None, final=True)
            texts.append(plain(transcript.text))
    return {how: round(jiwer.process_words(said, texts).wer, 4) for how, texts in written.items()}


def _echo(case: Case, played: Samples) -> Samples:
    if case.level_db is None:
        return np.zeros_like(played)
    return echo_of(
        played, delay_ms=case.delay_ms, level_db=case.level_db, room_s=case.room_s, seed=case.number
    )


async def _outcome(
    case: Case, played: Samples, clip: Clip | None, vad: Vad, tuning: Tuning, costs: list[float]
) -> Outcome:
    heard = _noise(case, len(played))
    alone_s = None
    if clip is not None:
        heard += _interrupting(clip, len(played))
        alone = listened(None, heard, await probabilities(vad, heard), tuning)
        alone_s = next((onset.known_s for onset in alone.onsets), None)
    heard += _echo(case, played)
    speech = await probabilities(vad, heard)
    compared = listened(played, heard, speech, tuning, costs)
    return Outcome(
        case,
        clip.name if clip else None,
        clip.origin if clip else None,
        [onset.known_s for onset in compared.onsets],
        [onset.known_s for onset in listened(None, heard, speech, tuning).onsets],
        alone_s,
        compared.paused_in_vain,
    )


async def probabilities(vad: Vad, heard: Samples) -> list[float]:
    state: VadState | None = None
    told = []
    for start in range(0, len(heard) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        [probability], [state] = await vad.step(heard[None, start : start + FRAME_SAMPLES], [state])
        told.append(float(probability))
    return told


def listened(
    played: Samples | None,
    heard: Samples,
    speech: Sequence[float],
    tuning: Tuning,
    costs: list[float] | None = None,
) -> Listened:
    """What a session would make of it.

    Args:
        played: what the client plays by the ledger, from the same moment on; None: it is not looked at.
        speech: of each frame of `heard`, that it holds speech.
        costs: gets the ms of CPU time that each frame with speech took.
    """
    loudspeaker = Loudspeaker()
    arrivals = Arrivals()
    echo = Echo(loudspeaker, arrivals)
    sending = _Sending(loudspeaker, played) if played is not None else None
    endpointing = Endpointing(TurnDetection(), onset_ms=tuning.onset_ms, pause_ms=tuning.pause_ms)
    onsets, kept = list[Onset](), list[Samples]()
    murmurs, paused_in_vain = False, 0
    for number, probability in enumerate(speech):
        start = number * FRAME_SAMPLES
        frame = Frame(start, heard[start : start + FRAME_SAMPLES])
        now_s = (start + FRAME_SAMPLES) / HEARING_HZ
        made = Heard(frame, [Decided(probability, frame)])
        if sending is not None:
            arrived_s = np.ceil(now_s / BURST_S) * BURST_S
            sending.go_on(arrived_s + LEAD_S)
            arrivals.note(round(arrived_s * HEARING_HZ), arrived_s)
            before_s = time.process_time()
            made = echo.hear(frame, probability)
            if costs is not None and probability >= SPEECH:
                costs.append((time.process_time() - before_s) * 1000)
        kept.append(made.frame.samples)
        for each in made.decided:
            for move in endpointing.step(each.probability, each.frame.start_sample, each.frame.samples):
                if move.event is FloorEvent.ONSET:
                    onsets.append(Onset(now_s, move.at_sample / HEARING_HZ))
        undecided = [each.probability for each in echo.waiting]
        before, murmurs = murmurs, not echo.is_known and endpointing.murmurs(undecided)
        paused_in_vain += before and not murmurs and endpointing.floor is Floor.SILENT
    return Listened(onsets, np.concatenate(kept), paused_in_vain)


class _Sending:
    """Hands the agent's sound over, piece by piece, silence left out."""

    def __init__(self, loudspeaker: Loudspeaker, played: Samples) -> None:
        self._loudspeaker, self._played, self._sent = loudspeaker, played, 0

    def go_on(self, until_s: float) -> None:
        size = round(CHUNK_S * HEARING_HZ)
        while self._sent < min(until_s * HEARING_HZ, len(self._played)):
            piece = self._played[self._sent : self._sent + size]
            if piece.any():
                self._loudspeaker.play(Audio(piece, HEARING_HZ), self._sent / HEARING_HZ)
            self._sent += len(piece)


def summarised(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """By level, and all with an echo together."""
    levels = {level: "none" if level is None else f"{level} dB" for level in LEVELS_DB + CANCELLED_DB}
    groups = {name: [o for o in outcomes if o.case.level_db == level] for level, name in levels.items()}
    echoing = [o for o in outcomes if o.case.level_db in LEVELS_DB]
    return {name: _scores(group) for name, group in {**groups, "with an echo": echoing}.items()}


def _scores(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    alone = [outcome for outcome in outcomes if outcome.origin is None]
    scores: dict[str, Any] = {
        "cases": len(alone),
        "interrupts_itself": sum(bool(outcome.with_s) for outcome in alone),
        "interrupts_itself_uncompared": sum(bool(outcome.without_s) for outcome in alone),
        "pauses_in_vain": sum(outcome.paused_in_vain for outcome in alone),
    }
    for origin in ("human", "synthetic"):
        over = [outcome for outcome in outcomes if outcome.origin == origin and outcome.alone_s is not None]
        known = [(outcome, when) for outcome in over if (when := _known_s(outcome)) is not None]
        scores[origin] = {
            "interruptions": len(over),
            "known_in_time": sum(when <= USER_S + IN_TIME_S for _, when in known),
            "later_ms": percentiles((when - (outcome.alone_s or 0)) * 1000 for outcome, when in known),
        }
    return scores


def _known_s(outcome: Outcome) -> float | None:
    """When the user's onset was known; None when it was not, or the floor was taken before."""
    first = next(iter(outcome.with_s), None)
    return first if first is not None and first >= USER_S - EARLY_S else None


def table(summary: dict[str, Any]) -> str:
    lines = [
        f"{'echo':14}{'itself':>9}{'before':>9}{'paused in vain':>16}"
        f"{'people':>10}{'later ms':>14}{'machines':>10}{'later ms':>14}"
    ]
    for name, scores in summary.items():
        line = f"{name:14}" + "".join(
            f"{scores[key]:>6}/{scores['cases']}"
            for key in ("interrupts_itself", "interrupts_itself_uncompared")
        )
        line += f"{scores['pauses_in_vain']:>16}"
        for origin in ("human", "synthetic"):
            told, later = scores[origin], scores[origin]["later_ms"]
            line += f"{told['known_in_time']:>7}/{told['interruptions']}"
            line += (
                f"{later['p50']:>6.0f} {later['p90']:>4.0f} {later['max']:>4.0f}" if later else f"{'-':>16}"
            )
        lines.append(line)
    return "\n".join(lines)


async def _spoken(voice: Tts, text: str) -> Samples:
    parts = [part async for part in voice.speak(text, "default") if isinstance(part, Audio)]
    return at_rate(join(parts, parts[0].rate_hz), HEARING_HZ).samples


def _laid_out(sentences: Sequence[Samples]) -> Samples:
    gap = np.zeros(round(GAP_S * HEARING_HZ), np.float32)
    parts = [
        gap[: round(AGENT_S * HEARING_HZ)],
        *(part for sentence in sentences for part in (sentence, gap)),
    ]
    whole = np.concatenate(parts)
    return whole[: len(whole) - len(whole) % FRAME_SAMPLES]


def _noise(case: Case, samples: int) -> Samples:
    return room_noise(samples, case.noise_db, seed=case.number + 1)


def _interrupting(clip: Clip, samples: int) -> Samples:
    """The clip, so that its sound begins at USER_S, in silence."""
    sound = clip.audio().samples
    begin, end = (ms * HEARING_HZ // 1000 for ms in (clip.onset_ms, clip.end_ms))
    gain = 10 ** (USER_DB / 20) / np.sqrt(np.mean(sound[begin:end] ** 2))
    whole = np.zeros(samples, np.float32)
    at = round(USER_S * HEARING_HZ) - begin
    said = sound[: samples - at]
    whole[at : at + len(said)] = said * gain
    return whole


if __name__ == "__main__":
    main()
