"""Two recognisers as one: who is asked what, and whose words stand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from conversation.audio import HEARING_HZ, Audio, join, silence
from conversation.errors import StageLost
from conversation.scripted import Line, ScriptedAsr, ScriptedSegmentAsr, tone
from conversation.segments import CUT_AT_S
from conversation.stages import Hints, Transcript
from conversation.two_pass import PATIENCE_S, TwoPass, TwoPassMemory
from tests import virtual_time

FAST, GOOD = "wun too free fore", "One, two, three, four."


def two_pass(*finals: Line | str) -> TwoPass:
    return TwoPass(
        ScriptedAsr(script=[FAST], repeat=True), ScriptedSegmentAsr(script=finals or (GOOD,), repeat=True)
    )


async def test_partials_come_from_the_one_and_the_final_words_from_the_other() -> None:
    asr = two_pass()
    partial, memory = await asr.step(tone(0.6), None, final=False)
    final, _ = await asr.step(tone(0.6), memory, final=True)
    assert (partial.text, final.text) == ("wun too", GOOD)


async def test_a_segment_that_seemed_over_goes_on_in_both() -> None:
    asr = two_pass()
    _, memory = await asr.step(tone(0.6), None, final=False)
    over, _ = await asr.step(silence(0.2, HEARING_HZ), memory, final=True)
    longer, memory = await asr.step(tone(0.3), memory, final=False)
    final, _ = await asr.step(tone(0.3), memory, final=True)
    assert [over.text, longer.text, final.text] == ["One, two,", "wun too free", GOOD]


async def test_where_the_final_pass_fails_the_streaming_words_stand() -> None:
    asr = two_pass(Line(raises=StageLost("asr", "its replica died")))
    _, memory = await asr.step(tone(0.6), None, final=False)
    final, _ = await asr.step(tone(0.6), memory, final=True)
    assert final.text == FAST


def test_the_final_pass_is_waited_for_only_so_long() -> None:
    async def scene() -> str:
        asr = two_pass(Line(hangs=True))
        _, memory = await asr.step(tone(0.6), None, final=False)
        began_s = asyncio.get_running_loop().time()
        final, _ = await asr.step(tone(0.6), memory, final=True)
        assert asyncio.get_running_loop().time() - began_s == PATIENCE_S
        return final.text

    assert virtual_time.run(scene()) == FAST


class Remembering(ScriptedSegmentAsr):
    def __init__(self, *, fails: int = 0) -> None:
        super().__init__(script=["a"], repeat=True)
        self.heard_s: list[float] = []
        self.hints: list[Hints] = []
        self._fails = fails

    async def transcribe(self, segments: Sequence[Audio], hints: Sequence[Hints] = ()) -> list[Transcript]:
        if self._fails:
            self._fails -= 1
            raise StageLost("asr", "its replica died")
        self.heard_s += [segment.duration_s for segment in segments]
        self.hints += hints
        return await super().transcribe(segments, hints)


async def monologue(finals: Remembering) -> None:
    """A minute; in its pauses the final pass may cut."""
    asr = TwoPass(ScriptedAsr(script=[FAST], repeat=True), finals)
    piece = join([tone(1.5), silence(0.5, HEARING_HZ)], HEARING_HZ)
    memory: TwoPassMemory | None = None
    for _ in range(30):
        _, memory = await asr.step(piece, memory, final=False, hints=Hints("en"))
    await asr.step(piece, memory, final=True, hints=Hints("en"))


async def test_a_long_segment_is_settled_as_it_grows() -> None:
    finals = Remembering()
    await monologue(finals)
    assert len(finals.heard_s) > 2
    assert max(finals.heard_s) <= CUT_AT_S
    assert abs(sum(finals.heard_s) - 62.0) < 0.01
    assert set(finals.hints) == {Hints("en")}


async def test_what_could_not_be_settled_is_settled_later() -> None:
    finals = Remembering(fails=1)
    await monologue(finals)
    assert abs(sum(finals.heard_s) - 62.0) < 0.01
