"""Whether an answer that was held and resumed is the same, sample by sample, as one that was not.

For a voice that says the same each time (lost.yaml), and this server alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np

from bench.antiphon import Antiphon
from bench.client import JSON, Client, Timeout, session
from bench.turns.items import Overlap, overlaps, questions
from bench.turns.play import BETWEEN_S, Scene
from conversation.audio import Samples

ANSWERS = 3
"""So many are disturbed."""
SOUNDS_S = (1.0, 4.0, 7.0)
"""When, after the beginning of the answer."""
WHOLE_S = 30.0
"""An answer is over by then, whatever held it up."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One answer that was disturbed, beside one that was not.

    Attributes:
        sounds: what was heard over it.
        stopped: it did not come to its end, so that there is nothing to compare.
        lost: samples that are missing; negative where there are too many.
        exact: every sample is the same.
    """

    sounds: list[str]
    holds: int
    resumes: int
    stopped: bool
    samples: int
    reference: int
    lost: int | None
    exact: bool | None


async def comparisons(address: str, settings: JSON) -> list[Comparison]:
    """Asks for the same answer again and again. Raises Timeout when there is none."""
    sounds = cycle([item for item in overlaps() if not item.should_stop and item.kind != "noise"])
    async with session(Antiphon(), address, settings) as client:
        await asyncio.sleep(BETWEEN_S)
        scene = Scene(client, "antiphon", 0, cycle(questions()))
        reference, _ = await _whole_answer(scene, [])
        return [await _compared(scene, reference, [next(sounds) for _ in SOUNDS_S]) for _ in range(ANSWERS)]


async def _compared(scene: Scene, reference: Samples, sounds: list[Overlap]) -> Comparison:
    since = len(scene.client.notes)
    samples, whole = await _whole_answer(scene, sounds)
    notes = scene.client.notes[since:]
    return Comparison(
        [item.name for item in sounds],
        sum(note.signal == "hold" for note in notes),
        sum(note.signal == "resume" for note in notes),
        not whole,
        len(samples),
        len(reference),
        len(reference) - len(samples) if whole else None,
        bool(np.array_equal(samples, reference)) if whole else None,
    )


async def _whole_answer(scene: Scene, sounds: Sequence[Overlap]) -> tuple[Samples, bool]:
    """All that was sent of an answer, and whether it came to its end by itself."""
    client, clock = scene.client, asyncio.get_running_loop().time
    await scene.say_sentence(next(scene.questions))
    response = scene.speaking
    if response is None:
        raise Timeout
    begun_s = client.speakers[response].first_audible_s or clock()
    for at_s, item in zip(SOUNDS_S, sounds, strict=False):
        if await over(client, response, begun_s + at_s - clock()) is not None:
            break
        client.microphone.say(item.audio)
    how = await over(client, response, WHOLE_S)
    await asyncio.sleep(BETWEEN_S)
    return np.concatenate([chunk.samples for chunk in client.speakers[response].played]), how == "ended"


async def over(client: Client, response: str, within_s: float) -> str | None:
    """How the answer was over; None: it goes on."""
    try:
        note = await client.wait(
            lambda note: note.signal in ("ended", "cut off") and note.response == response,
            since=0,
            within_s=max(0.0, within_s),
        )
    except Timeout:
        return None
    return note.signal


def lost_samples(found: Sequence[Comparison]) -> int | None:
    """The most that any answer that was held lacks or has too many; 1 at least where a sample differs.

    None where no answer was held and came to its end.
    """
    held = [one for one in found if one.resumes and not one.stopped]
    if not held:
        return None
    return max(max(abs(one.lost or 0), int(not one.exact)) for one in held)
