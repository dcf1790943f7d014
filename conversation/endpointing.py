"""Endpointing: when speech begins, pauses, goes on and ends, from each frame and its probability.

The probability says that there is a silence, and how loud the frames were says since when. Time is counted in
samples, so it does not matter how fast audio comes in; a silence that nothing has broken need not be heard to
its last sample, if somebody says that it is over. It can be told what somebody else makes of a pause. This
module knows no model and no clock, and does not decide what follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from conversation.audio import HEARING_HZ, Samples
from conversation.floor import Floor, FloorEvent, next_floor
from conversation.settings import Eagerness, TurnDetection
from conversation.stages import FRAME_SAMPLES
from conversation.voice_level import VoiceLevel

HYSTERESIS = 0.15
"""Speech that has begun lasts until the probability falls so far below the threshold.

Source: `neg_threshold` in https://github.com/snakers4/silero-vad/blob/master/src/silero_vad/utils_vad.py
"""

SURELY = 0.9
"""From this probability on a frame is speech however quiet it is. Below, one that is much quieter than the
voice is how it fades: Silero falls for 60 to 150 ms. Of 37 utterances, pauses are noticed 10 ms later with
0.8 and 10 ms sooner, but also more often in vain, with 0.95."""

UNHEARD_SAMPLES = 64 * HEARING_HZ // 1000
"""So much of a silence is taken on trust, at most: it is on its way, or waits for its frame to fill."""

LONGEST_WAIT_MS: Mapping[Eagerness, int] = {"low": 8000, "medium": 4000, "high": 2000}
"""Silence that ends a turn which is unfinished, by all that can be told: the Realtime API's numbers."""

WITHOUT_A_MODEL: Mapping[Eagerness, float] = {"low": 2.0, "medium": 1.0, "high": 0.6}
"""Where nobody can judge: so many times `silence_duration_ms`."""


class Judgement(Enum):
    """What somebody makes of a pause."""

    FINISHED = "finished"
    DOUBTFUL = "doubtful"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True)
class FloorMove:
    """Something happened on the floor.

    Attributes:
        at_sample: where in the audio received: the first sample of speech for an onset or a resumption, the
            first of silence for a pause or an end; there it may lie before the frames that were silent.
    """

    event: FloorEvent
    at_sample: int


class Endpointing:
    """Listens to one user.

    Args:
        detection: threshold and the silence that ends a turn.
        onset_ms: unbroken speech that makes an onset.
        pause_ms: silence that makes a pause; without effect when it is not shorter than the ending silence.
        finished_ms: silence that ends a turn which was judged to be finished.
        doubtful_ms: silence that ends one which was judged to be doubtful; at most an unfinished one's.
        judged: somebody will `judge` the pauses, where the detection wants it.
    """

    def __init__(
        self,
        detection: TurnDetection,
        *,
        onset_ms: int,
        pause_ms: int,
        finished_ms: int = 200,
        doubtful_ms: int = 1000,
        judged: bool = False,
    ) -> None:
        self.floor = Floor.SILENT
        self._onset, self._pause = _samples(onset_ms), _samples(pause_ms)
        self._finished, self._doubtful = _samples(max(finished_ms, pause_ms)), _samples(doubtful_ms)
        self._judged = judged
        self.adjust(detection)
        self._since: int | None = None
        """First sample of the speech that may become an onset, or of the silence that may become a pause."""
        self._heard = 0
        """All samples so far."""
        self._level = VoiceLevel()
        self._spoke_from = 0
        """Where the user last began to speak, or went on: no silence since then is older."""

    def adjust(self, detection: TurnDetection) -> None:
        """From the next frame on."""
        self._threshold = detection.threshold
        silence_ms, eagerness = detection.silence_duration_ms, detection.eagerness
        if eagerness is not None and not self._judged:
            silence_ms = round(silence_ms * WITHOUT_A_MODEL[eagerness])
        self._rule = self._end = _samples(silence_ms)
        self._patience = _samples(LONGEST_WAIT_MS[eagerness]) if eagerness else self._rule

    def judge(self, judgement: Judgement | None) -> list[FloorMove]:
        """What the turn that pauses seems to be; None where nobody can say, so that the silence rule holds.

        Returns its end where the silence has been long enough for that already. Without effect when it does
        not pause any more.
        """
        if self.floor is not Floor.PAUSED:
            return []
        match judgement:
            case Judgement.FINISHED:
                self._end = self._finished
            case Judgement.DOUBTFUL:
                self._end = min(self._doubtful, self._patience)
            case Judgement.UNFINISHED:
                self._end = self._patience
            case None:
                self._end = self._rule
        return self._if_ended()

    @property
    def ends_at(self) -> int | None:
        """The sample at which the turn is over, if its silence lasts; None where there is no silence."""
        return None if self._since is None or self.floor is Floor.SILENT else self._since + self._end

    def run_out(self) -> list[FloorMove]:
        """By the clock, the silence has lasted up to `ends_at`. Returns the end that this makes.

        It makes none where more than UNHEARD_SAMPLES of it have not been heard.
        """
        if self.floor is Floor.SILENT or self._since is None:
            return []
        if self._since + self._end - self._heard > UNHEARD_SAMPLES:
            return []
        return self._end_turn(self._since)

    def step(self, probability: float, start_sample: int, samples: Samples) -> list[FloorMove]:
        """The moves that the frame which starts at `start_sample` brings about, in order; mostly none.

        Args:
            samples: the frame, shape (FRAME_SAMPLES,).
        """
        self._heard = start_sample + FRAME_SAMPLES
        self._level.hear(samples, speech=probability >= self._threshold)
        if self.floor is Floor.SILENT:
            return self._while_silent(probability, start_sample)
        fading = self._is_fading(probability)
        if probability >= self._threshold and not fading:
            return self._while_speaking(start_sample)
        return self._while_held(probability, start_sample, fading)

    def murmurs(self, undecided: Iterable[float] = ()) -> bool:
        """Whether speech may have begun, on a silent floor: there is some, and not enough for an onset.

        Args:
            undecided: probabilities of frames that may still turn out to be nobody's, and come later.
        """
        if self.floor is not Floor.SILENT:
            return False
        return self._since is not None or any(each >= self._threshold for each in undecided)

    def move(self, event: FloorEvent) -> None:
        """Something other than a frame moved the floor."""
        self.floor = next_floor(self.floor, event)
        self._start_anew()

    def _start_anew(self) -> None:
        self._since, self._end, self._level = None, self._rule, VoiceLevel()

    def _while_silent(self, probability: float, start_sample: int) -> list[FloorMove]:
        if probability < self._threshold - (HYSTERESIS if self._since is not None else 0.0):
            self._start_anew()
            return []
        onset_sample = start_sample if self._since is None else self._since
        self._since = onset_sample
        if start_sample + FRAME_SAMPLES - onset_sample < self._onset:
            return []
        self._since, self._spoke_from = None, onset_sample
        return [self._move(FloorEvent.ONSET, onset_sample)]

    def _while_speaking(self, start_sample: int) -> list[FloorMove]:
        self._since, self._end = None, self._rule
        if self.floor is Floor.SPEAKING:
            return []
        self._spoke_from = start_sample
        return [self._move(FloorEvent.RESUME, start_sample)]

    def _is_fading(self, probability: float) -> bool:
        """Whether the voice has fallen, though it may still count as speech."""
        enough = self._pause if self.floor is Floor.SPEAKING else FRAME_SAMPLES
        return probability < max(SURELY, self._threshold) and self._quiet >= enough

    @property
    def _quiet(self) -> int:
        """How long the voice has been quiet by now."""
        return min(self._level.quiet_samples, self._heard - self._spoke_from)

    def _while_held(self, probability: float, start_sample: int, fading: bool) -> list[FloorMove]:
        if probability >= self._threshold:
            self._since = None
        elif self._since is None and (fading or probability < self._threshold - HYSTERESIS):
            self._since = max(min(start_sample, self._heard - self._quiet), self._spoke_from)
        if ended := self._if_ended():
            return ended
        since = self._heard - self._quiet if self._since is None and fading else self._since
        if self.floor is Floor.SPEAKING and since is not None and self._heard - since >= self._pause:
            return [self._move(FloorEvent.PAUSE, since)]
        return []

    def _if_ended(self) -> list[FloorMove]:
        if self._since is None or self._heard - self._since < self._end:
            return []
        return self._end_turn(self._since)

    def _end_turn(self, since: int) -> list[FloorMove]:
        moves = [self._move(FloorEvent.END, since)]
        self._start_anew()
        return moves

    def _move(self, event: FloorEvent, at_sample: int) -> FloorMove:
        self.floor = next_floor(self.floor, event)
        return FloorMove(event, at_sample)


def _samples(ms: int) -> int:
    return ms * HEARING_HZ // 1000
