import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation.audio import HEARING_HZ, Samples
from conversation.endpointing import Endpointing, FloorMove, Judgement
from conversation.floor import Floor, FloorEvent
from conversation.settings import TurnDetection
from conversation.stages import FRAME_SAMPLES
from conversation.voice_level import BLOCK_SAMPLES, LOOK_BACK_SAMPLES

ONSET, PAUSE, RESUME, END = FloorEvent.ONSET, FloorEvent.PAUSE, FloorEvent.RESUME, FloorEvent.END


NOISE = np.random.default_rng(1).standard_normal(FRAME_SAMPLES).astype(np.float32)


def at_level(db: float) -> Samples:
    """A frame so loud."""
    return NOISE * np.float32(10 ** (db / 20))


LOUD = at_level(-20.0)


def heard(
    probabilities: list[float],
    frames: list[Samples] | None = None,
    *,
    silence_ms: int = 500,
    pause_ms: int = 160,
    onset_ms: int = 64,
) -> list[tuple[FloorEvent, int, int]]:
    """The moves: what, at which sample it says it happened, and after which frame.

    Without frames, all are equally loud, so that the probabilities alone count.
    """
    endpointing = Endpointing(
        TurnDetection(silence_duration_ms=silence_ms), onset_ms=onset_ms, pause_ms=pause_ms
    )
    return [
        (move.event, move.at_sample, number)
        for number, probability in enumerate(probabilities)
        for move in endpointing.step(
            probability, number * FRAME_SAMPLES, LOUD if frames is None else frames[number]
        )
    ]


def listen(probabilities: list[float], silence_ms: int = 500) -> list[tuple[FloorEvent, int]]:
    """The moves, each with the frame at which it says it happened."""
    return [(event, at // FRAME_SAMPLES) for event, at, _ in heard(probabilities, silence_ms=silence_ms)]


def frames(pattern: str) -> list[float]:
    """S speech, - silence, ~ between the thresholds."""
    return [{"S": 0.9, "-": 0.1, "~": 0.4}[sign] for sign in pattern]


@pytest.mark.parametrize(
    ("pattern", "murmurs"),
    [
        ("---", "---"),
        ("-S-", "-M-"),
        ("-S~", "-M-"),  # an onset is more
        ("-~-", "---"),
        ("SS------------------S-", "M-------------------M-"),  # nor does what comes in a turn
    ],
)
def test_speech_that_is_too_little_for_an_onset_is_a_murmur(pattern: str, murmurs: str) -> None:
    endpointing = Endpointing(TurnDetection(), onset_ms=64, pause_ms=96)
    told = ""
    for number, probability in enumerate(frames(pattern)):
        endpointing.step(probability, number * FRAME_SAMPLES, LOUD)
        told += "M" if endpointing.murmurs() else "-"
    assert told == murmurs


def test_frames_that_nobody_has_decided_on_are_one_too_on_a_silent_floor() -> None:
    endpointing = Endpointing(TurnDetection(), onset_ms=64, pause_ms=96)
    assert endpointing.murmurs([0.0, 0.6])
    assert not endpointing.murmurs([0.0, 0.4])
    endpointing.move(ONSET)
    assert not endpointing.murmurs([0.6])


@pytest.mark.parametrize(
    ("pattern", "moves"),
    [
        ("-----", []),
        ("--S--S--", []),  # 32 ms is a click
        ("--SS", [(ONSET, 2)]),
        ("--S~", [(ONSET, 2)]),
        ("--~~~~", []),
        ("SS" + "-" * 5, [(ONSET, 0), (PAUSE, 2)]),
        ("SS" + "-" * 4 + "S", [(ONSET, 0)]),  # a breath of 128 ms
        ("SS" + "-" * 6 + "S", [(ONSET, 0), (PAUSE, 2), (RESUME, 8)]),
        ("SS" + "-" * 16, [(ONSET, 0), (PAUSE, 2), (END, 2)]),
        ("SS" + "~" * 40, [(ONSET, 0)]),  # hysteresis: not yet silence
        ("SS-" + "~" * 20, [(ONSET, 0), (PAUSE, 2), (END, 2)]),  # nor speech again
        ("SS" + "-" * 16 + "SS", [(ONSET, 0), (PAUSE, 2), (END, 2), (ONSET, 18)]),
    ],
)
def test_speech_is_told_from_silence(pattern: str, moves: list[tuple[FloorEvent, int]]) -> None:
    assert listen(frames(pattern)) == moves


def test_a_silence_rule_shorter_than_the_pause_ends_without_one() -> None:
    assert listen(frames("SS----"), silence_ms=100) == [(ONSET, 0), (END, 2)]


def test_no_silence_at_all_ends_with_the_first_silent_frame() -> None:
    assert listen(frames("SS-"), silence_ms=0) == [(ONSET, 0), (END, 2)]


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(-90, 0)), max_size=300),
    st.integers(0, 1000),
    st.integers(0, 1000),
)
def test_moves_always_make_sense(frames: list[tuple[float, float]], silence_ms: int, pause_ms: int) -> None:
    """Onset first, then pauses and resumptions in turn, then an end; places never run backwards."""
    moves = heard(
        [probability for probability, _ in frames],
        [at_level(db) for _, db in frames],
        silence_ms=silence_ms,
        pause_ms=pause_ms,
    )
    follows = {
        None: {ONSET},
        ONSET: {PAUSE, END},
        PAUSE: {RESUME, END},
        RESUME: {PAUSE, END},
        END: {ONSET},
    }
    last: FloorEvent | None = None
    for event, _, _ in moves:
        assert event in follows[last]
        last = event
    places = [place for _, place, _ in moves]
    assert places == sorted(places)


def test_a_hand_on_the_floor_starts_it_anew() -> None:
    endpointing = Endpointing(TurnDetection(), onset_ms=64, pause_ms=160)
    for number in range(4):
        endpointing.step(0.9, number * FRAME_SAMPLES, LOUD)
    endpointing.move(FloorEvent.CLEAR)

    assert endpointing.floor is Floor.SILENT
    assert endpointing.step(0.9, 4 * FRAME_SAMPLES, LOUD) == []


# --- how loud it is says since when


def spoken(
    levels_db: list[float], speech_frames: int, *, silence_ms: int = 500, pause_ms: int = 160
) -> list[tuple[FloorEvent, int, int]]:
    """What is heard of frames that loud, of which the first are taken for speech."""
    probabilities = [0.9] * speech_frames + [0.1] * (len(levels_db) - speech_frames)
    frames = [at_level(db) for db in levels_db]
    return heard(probabilities, frames, silence_ms=silence_ms, pause_ms=pause_ms)


def test_the_silence_began_where_the_voice_fell_not_where_the_vad_noticed() -> None:
    moves = spoken([-20.0] * 10 + [-60.0] * 20, speech_frames=14)
    assert [(event, at // FRAME_SAMPLES) for event, at, _ in moves] == [(ONSET, 0), (PAUSE, 10), (END, 10)]


def test_a_pause_and_a_rule_of_200_ms_count_from_there() -> None:
    """The VAD notices after four frames; the pause is known at once, the end three frames later."""
    moves = spoken([-20.0] * 10 + [-60.0] * 20, speech_frames=14, silence_ms=200, pause_ms=96)
    assert [number for _, _, number in moves] == [1, 14, 16]


def test_a_room_as_loud_as_the_voice_leaves_it_to_the_vad() -> None:
    moves = spoken([-20.0] * 10 + [-32.0] * 20, speech_frames=14)
    assert [at // FRAME_SAMPLES for _, at, _ in moves] == [0, 14, 14]


def test_the_look_back_has_a_bound() -> None:
    (_, at, _) = spoken([-20.0] * 10 + [-60.0] * 60, speech_frames=30)[1]
    assert at == 30 * FRAME_SAMPLES - LOOK_BACK_SAMPLES


def test_quiet_inside_speech_is_no_pause_while_the_vad_hears_speech() -> None:
    """The closure before a plosive: 128 ms of silence."""
    levels = [-20.0] * 10 + [-60.0] * 4 + [-20.0] * 10
    assert [event for event, _, _ in spoken(levels, speech_frames=24)] == [ONSET]


def test_no_silence_is_older_than_the_speech_before_it() -> None:
    """A frame that is taken for speech, but is quiet, ends a pause."""
    probabilities = [0.9] * 10 + [0.1] * 6 + [0.9] + [0.1] * 20
    frames = [at_level(-20.0)] * 10 + [at_level(-60.0)] * 27
    moves = [(event, at // FRAME_SAMPLES) for event, at, _ in heard(probabilities, frames)]
    assert moves == [(ONSET, 0), (PAUSE, 10), (RESUME, 16), (PAUSE, 16), (END, 16)]


def test_a_silence_begins_inside_a_frame() -> None:
    half = at_level(-20.0)
    half[BLOCK_SAMPLES:] = 0.0
    moves = heard([0.9] * 6 + [0.1] * 20, [LOUD] * 4 + [half] + [at_level(-60.0)] * 21)
    assert moves[-1][:2] == (END, 4 * FRAME_SAMPLES + BLOCK_SAMPLES)


def test_one_who_speaks_more_softly_is_followed() -> None:
    """After 8 s at the new level, 20 dB lower, the old one is forgotten."""
    levels = [-20.0] * 30 + [-40.0] * 900 + [-80.0] * 20
    moves = spoken(levels, speech_frames=935)
    assert moves[-1][1] == 930 * FRAME_SAMPLES


def test_one_block_that_swells_as_a_room_fades_is_no_voice() -> None:
    swell = at_level(-60.0)
    swell[:BLOCK_SAMPLES] = LOUD[:BLOCK_SAMPLES]
    moves = heard([0.9] * 14 + [0.1] * 20, [LOUD] * 10 + [at_level(-60.0), swell] + [at_level(-60.0)] * 22)
    assert moves[1][:2] == (PAUSE, 10 * FRAME_SAMPLES)


def test_two_blocks_are_a_voice() -> None:
    levels = [-20.0] * 10 + [-60.0, -20.0] + [-60.0] * 22
    assert spoken(levels, speech_frames=14)[1][:2] == (PAUSE, 12 * FRAME_SAMPLES)


# --- a voice that fades


def fading(*probabilities: float, silence_ms: int = 500) -> list[tuple[FloorEvent, int, int]]:
    """A voice that falls after ten frames, and what the VAD makes of what follows."""
    heard_s = [0.95] * 10 + list(probabilities)
    levels = [LOUD] * 10 + [at_level(-60.0)] * len(probabilities)
    return heard(heard_s, levels, silence_ms=silence_ms, pause_ms=80)


def test_it_pauses_where_it_fell_though_the_vad_still_hears_it() -> None:
    assert fading(0.95, 0.85, 0.8)[1:] == [(PAUSE, 10 * FRAME_SAMPLES, 12)]


def test_what_is_surely_speech_is_no_pause_however_quiet() -> None:
    assert fading(*[0.95] * 12)[1:] == []


def test_what_fades_on_is_no_resumption() -> None:
    assert [event for event, _, _ in fading(0.85, 0.8, 0.8, 0.7, 0.6, 0.2)] == [ONSET, PAUSE]


@pytest.mark.parametrize(("probability", "level_db"), [(0.95, -60.0), (0.6, -20.0)])
def test_what_is_surely_speech_or_loud_again_is_one(probability: float, level_db: float) -> None:
    levels = [LOUD] * 10 + [at_level(-60.0)] * 3 + [at_level(level_db)]
    moves = heard([0.95] * 10 + [0.8] * 3 + [probability], levels, pause_ms=80)
    assert [event for event, _, _ in moves] == [ONSET, PAUSE, RESUME]


def test_no_turn_ends_while_the_vad_hears_speech() -> None:
    """Once it does not, the silence counts from where the voice fell."""
    assert fading(*[0.7] * 5, 0.3, silence_ms=160)[1:] == [
        (PAUSE, 10 * FRAME_SAMPLES, 12),
        (END, 10 * FRAME_SAMPLES, 15),
    ]


def test_a_pause_that_the_vad_takes_back_is_judged_no_more() -> None:
    endpointing = paused(3)
    endpointing.step(0.6, 13 * FRAME_SAMPLES, at_level(-60.0))
    assert endpointing.ends_at is None


# --- what the clock says


def test_the_clock_may_end_a_silence_before_its_last_frame_is_full() -> None:
    """A rule of 500 ms, after 480 of them."""
    endpointing = paused(15)
    assert endpointing.ends_at == 10 * FRAME_SAMPLES + HEARING_HZ // 2
    assert endpointing.run_out() == [FloorMove(END, 10 * FRAME_SAMPLES)]
    assert endpointing.floor is Floor.SILENT
    assert endpointing.ends_at is None


def test_no_more_than_two_frames_of_it_are_taken_on_trust() -> None:
    endpointing = paused(13)
    assert endpointing.run_out() == []
    endpointing.step(0.1, 23 * FRAME_SAMPLES, LOUD)
    assert endpointing.run_out()


def test_the_clock_ends_nothing_where_somebody_speaks_or_nobody() -> None:
    assert paused(0).ends_at is None
    assert paused(0).run_out() == []
    nobody = Endpointing(TurnDetection(), onset_ms=64, pause_ms=96)
    assert nobody.ends_at is None
    assert nobody.run_out() == []


def test_a_judgement_moves_the_end() -> None:
    endpointing = paused(4)
    endpointing.judge(Judgement.FINISHED)
    assert endpointing.ends_at == 10 * FRAME_SAMPLES + HEARING_HZ // 5


@pytest.mark.parametrize(("silence_ms", "frames_silent"), [(192, 6), (200, 7), (224, 7), (500, 16)])
def test_a_silence_ends_with_the_frame_that_makes_it_long_enough(silence_ms: int, frames_silent: int) -> None:
    moves = heard([0.9] * 10 + [0.1] * 30, silence_ms=silence_ms)
    assert moves[-1][2] == 10 + frames_silent - 1


# --- what somebody makes of a pause


def paused(frames_silent: int) -> Endpointing:
    """With the default rule of 500 ms, after so many frames of silence."""
    endpointing = Endpointing(TurnDetection(eagerness="high"), onset_ms=64, pause_ms=96, judged=True)
    for number in range(10 + frames_silent):
        endpointing.step(0.9 if number < 10 else 0.1, number * FRAME_SAMPLES, LOUD)
    return endpointing


def frames_until_the_end(endpointing: Endpointing, since: int) -> int:
    for number in range(since, 200):
        for move in endpointing.step(0.1, (10 + number) * FRAME_SAMPLES, LOUD):
            assert move.event is END
            return number + 1
    raise AssertionError("it never ended")


@pytest.mark.parametrize(
    ("judgement", "frames_silent"),
    [
        (Judgement.FINISHED, 7),
        (None, 16),
        (Judgement.DOUBTFUL, 32),
        (Judgement.UNFINISHED, 63),
    ],
)
def test_a_judgement_changes_how_long_a_silence_may_last(
    judgement: Judgement | None, frames_silent: int
) -> None:
    endpointing = paused(3)
    assert endpointing.judge(judgement) == []
    assert frames_until_the_end(endpointing, since=3) == frames_silent


def test_one_that_comes_when_it_has_lasted_so_long_ends_it_at_once() -> None:
    endpointing = paused(10)
    assert endpointing.judge(Judgement.FINISHED) == [FloorMove(END, 10 * FRAME_SAMPLES)]
    assert endpointing.floor is Floor.SILENT


def test_one_that_comes_too_late_is_without_effect() -> None:
    endpointing = paused(3)
    endpointing.step(0.9, 13 * FRAME_SAMPLES, LOUD)
    assert endpointing.judge(Judgement.FINISHED) == []
    assert endpointing.floor is Floor.SPEAKING
    for number in range(14, 19):
        endpointing.step(0.1, number * FRAME_SAMPLES, LOUD)
    assert frames_until_the_end(endpointing, since=9) == 20  # 16 after the last word
