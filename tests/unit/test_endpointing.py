import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation.endpointing import Endpointing
from conversation.floor import Floor, FloorEvent
from conversation.settings import TurnDetection
from conversation.stages import FRAME_SAMPLES

ONSET, PAUSE, RESUME, END = FloorEvent.ONSET, FloorEvent.PAUSE, FloorEvent.RESUME, FloorEvent.END


def listen(
    probabilities: list[float], *, silence_ms: int = 500, pause_ms: int = 160, onset_ms: int = 64
) -> list[tuple[FloorEvent, int]]:
    """The moves, each with the frame at which it says it happened."""
    endpointing = Endpointing(
        TurnDetection(silence_duration_ms=silence_ms), onset_ms=onset_ms, pause_ms=pause_ms
    )
    return [
        (move.event, move.at_sample // FRAME_SAMPLES)
        for number, probability in enumerate(probabilities)
        for move in endpointing.step(probability, number * FRAME_SAMPLES)
    ]


def frames(pattern: str) -> list[float]:
    """S speech, - silence, ~ between the thresholds."""
    return [{"S": 0.9, "-": 0.1, "~": 0.4}[sign] for sign in pattern]


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


@given(st.lists(st.floats(0, 1), max_size=300), st.integers(0, 1000), st.integers(0, 1000))
def test_moves_always_make_sense(probabilities: list[float], silence_ms: int, pause_ms: int) -> None:
    """Onset first, then pauses and resumptions in turn, then an end; places never run backwards."""
    moves = listen(probabilities, silence_ms=silence_ms, pause_ms=pause_ms)
    follows = {
        None: {ONSET},
        ONSET: {PAUSE, END},
        PAUSE: {RESUME, END},
        RESUME: {PAUSE, END},
        END: {ONSET},
    }
    last: FloorEvent | None = None
    for event, _ in moves:
        assert event in follows[last]
        last = event
    places = [place for _, place in moves]
    assert places == sorted(places)


def test_a_hand_on_the_floor_starts_it_anew() -> None:
    endpointing = Endpointing(TurnDetection(), onset_ms=64, pause_ms=160)
    for number in range(4):
        endpointing.step(0.9, number * FRAME_SAMPLES)
    endpointing.move(FloorEvent.CLEAR)

    assert endpointing.floor is Floor.SILENT
    assert endpointing.step(0.9, 4 * FRAME_SAMPLES) == []
