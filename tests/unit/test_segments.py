from conversation.audio import HEARING_HZ, Audio, join, silence
from conversation.scripted import ScriptedSegmentAsr, tone
from conversation.segments import CUT_AT_S, SegmentMemory, Segments, quietest


async def test_every_step_decodes_the_whole_open_segment() -> None:
    asr = Segments(ScriptedSegmentAsr(script=["one two three four"], repeat=True))

    first, memory = await asr.step(tone(0.6), None, final=False)
    second, memory = await asr.step(tone(0.3), memory, final=True)

    assert (first.text, second.text) == ("one two", "one two three")


async def test_a_segment_that_seemed_over_can_go_on() -> None:
    asr = Segments(ScriptedSegmentAsr(script=["one two three four"], repeat=True))

    _, memory = await asr.step(tone(0.6), None, final=False)
    once, _ = await asr.step(silence(0.2, HEARING_HZ), memory, final=True)
    again, _ = await asr.step(join([silence(0.2, HEARING_HZ), tone(0.6)], HEARING_HZ), memory, final=True)

    assert (once.text, again.text) == ("one two", "one two three four")


async def test_a_long_monologue_is_cut_in_its_pauses_and_loses_nothing() -> None:
    """Twenty stretches of 2 s with pauses of half a second between; a word each 0.3 s."""
    heard: list[Audio] = []

    class Remembering(ScriptedSegmentAsr):
        async def transcribe(self, segments, hints=()):  # type: ignore[no-untyped-def]
            heard.extend(segments)
            return await super().transcribe(segments)

    words = " ".join(str(number) for number in range(200))
    asr = Segments(Remembering(script=[words], repeat=True))
    speech = join([join([tone(2.0), silence(0.5, HEARING_HZ)], HEARING_HZ)] * 20, HEARING_HZ)

    memory: SegmentMemory | None = None
    for start in range(0, len(speech), HEARING_HZ):
        transcript, memory = await asr.step(speech[start : start + HEARING_HZ], memory, final=False)

    assert all(segment.duration_s <= CUT_AT_S + 1 for segment in heard)
    said = round(40 / 0.3)
    assert abs(len(transcript.text.split()) - said) <= 2  # each piece rounds its own last word


def test_the_quietest_moment_is_in_the_pause() -> None:
    speech = join([tone(9.0), silence(0.3, HEARING_HZ), tone(12.0)], HEARING_HZ)
    assert 9.0 < quietest(speech) / HEARING_HZ < 9.3
