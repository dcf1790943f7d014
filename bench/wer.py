"""How well the configured recogniser writes down what people said.

    python -m bench.wer                     the recogniser of $CONFIG (configs/laptop.yaml), in this process

Each recording is cut into turns by the VAD and the endpointing of the same configuration, and each turn goes
through the adapter that a session uses, partial transcripts first, so that the recogniser gets what it would
get from the server.
What people said and what a machine said are counted apart. bench/reports/wer.json gets every reference and
what was written for it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from dataclasses import asdict, dataclass
from typing import Any

import jiwer

from bench.endpoints import heard_turns
from bench.report import circumstances, write
from bench.speech import Origin, Recording, at_rate, recordings, synthetic_sentences
from conversation.audio import HEARING_HZ, Audio, join, silence
from conversation.segments import Segments
from conversation.settings import TurnDetection
from conversation.stages import Asr, Vad
from deployments.config import Config, load_config
from deployments.loading import load

ROOM_S = 0.5
"""Silence before and after a recording, since most of them begin and end within a word's reach."""

ORIGINS: tuple[Origin, ...] = ("human", "synthetic")

SPELLED_OUT = {"mr": "mister", "mrs": "missus", "dr": "doctor"}
"""References write as people speak."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was made of one recording.

    Attributes:
        duration_s: of the recording.
        decoding_s: time that the final transcripts of its turns took, one after another.
    """

    group: str
    name: str
    source: str
    origin: Origin
    reference: str
    written: str
    turns: int
    duration_s: float
    decoding_s: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.wer", description=__doc__.partition("\n")[0])
    parser.add_argument("--config", default=os.environ.get("CONFIG", "configs/laptop.yaml"))
    arguments = parser.parse_args()
    config, about = load_config(arguments.config), circumstances()
    takes = [*recordings(), *synthetic_sentences()]
    results = asyncio.run(write_down(config, [r for r in takes if r.text]))
    rates = {
        origin: {group: word_error_rate(within) for group, within in _grouped(results, origin).items()}
        for origin in ORIGINS
    }
    asr = {"file": arguments.config, "asr": config.asr.model_dump(mode="json")}
    path = write(
        "wer", {**about, "configuration": asr, "rates": rates, "recordings": [asdict(r) for r in results]}
    )
    print(
        f"{'origin':11}{'set':10}{'words':>7}{'wrong':>7}{'missing':>9}{'added':>7}"
        f"{'WER':>8}{'x real time':>13}"
    )
    for origin, groups in rates.items():
        for group, rate in groups.items():
            print(
                f"{origin:11}{group:10}{rate['words']:7}{rate['wrong']:7}{rate['missing']:9}{rate['added']:7}"
                f"{rate['wer']:8.1%}{rate['times_real_time']:13.2f}"
            )
    print(path)


async def write_down(config: Config, takes: list[Recording]) -> list[Written]:
    vad: Vad = load(config.vad.model, config.vad.options)
    model = load(config.asr.model, config.asr.options)
    asr: Asr = model if config.asr_streams else Segments(model)
    return [await _written(take, vad, asr, config) for take in takes]


async def _written(take: Recording, vad: Vad, asr: Asr, config: Config) -> Written:
    around = silence(ROOM_S, HEARING_HZ)
    audio = join([around, at_rate(take.audio, HEARING_HZ), around], HEARING_HZ)
    detection = config.session.turn_detection or TurnDetection()
    turns = await heard_turns(audio, vad, detection, config.conversation)
    padded = join([audio, silence(detection.silence_duration_ms / 1000 + 0.2, HEARING_HZ)], HEARING_HZ)
    texts: list[str] = []
    decoding_s = 0.0
    for turn in turns:
        text, took_s = await _final(
            asr, padded[turn.start : turn.stop], config.conversation.partial_every_ms / 1000
        )
        texts.append(text)
        decoding_s += took_s
    return Written(
        take.group,
        take.name,
        take.source,
        take.origin,
        plain(take.text or ""),
        plain(" ".join(texts)),
        len(turns),
        round(take.audio.duration_s, 2),
        round(decoding_s, 3),
    )


async def _final(asr: Asr, audio: Audio, partial_every_s: float) -> tuple[str, float]:
    """The final transcript, and the time that it took once there were the partial ones."""
    size, memory = round(partial_every_s * HEARING_HZ), None
    while size and len(audio) > size:
        _, memory = await asr.step(audio[:size], memory, final=False)
        audio = audio[size:]
    start_s = time.perf_counter()
    transcript, _ = await asr.step(audio, memory, final=True)
    return transcript.text, time.perf_counter() - start_s


def plain(text: str) -> str:
    """Lower case, words and single spaces; an apostrophe inside a word stays, titles are spelled out."""
    kept = (character if character.isalnum() or character == "'" else " " for character in text.lower())
    words = (word.strip("'") for word in "".join(kept).split())
    return " ".join(SPELLED_OUT.get(word, word) for word in words if word)


def word_error_rate(results: list[Written]) -> dict[str, Any]:
    """Over all words of all recordings together."""
    counted = jiwer.process_words([r.reference for r in results], [r.written for r in results])
    words = counted.hits + counted.substitutions + counted.deletions
    return {
        "words": words,
        "wrong": counted.substitutions,
        "missing": counted.deletions,
        "added": counted.insertions,
        "wer": round(counted.wer, 4),
        "times_real_time": round(sum(r.decoding_s for r in results) / sum(r.duration_s for r in results), 3),
    }


def _grouped(results: list[Written], origin: Origin) -> dict[str, list[Written]]:
    """The sets of one origin, and all of them together; origins never are."""
    of_origin = [result for result in results if result.origin == origin]
    groups = {result.group: [r for r in of_origin if r.group == result.group] for result in of_origin}
    return {**groups, "all": of_origin}


if __name__ == "__main__":
    main()
