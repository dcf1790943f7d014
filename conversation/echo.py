"""The agent's own voice, come back through the user's microphone: what of the sound heard is only that.

A client without echo cancellation plays the agent over a loudspeaker, and its microphone hears it. Three
things are asked of a frame that holds speech while the agent can be heard: where in what was played it comes
from (by correlation, until that is known); what is left of it when the echo is taken out (echo_path.py); and
whether that is more than the echo, the room and the noise account for. Only then somebody speaks.

Frames without speech cost next to nothing, and those of a silent agent nothing. This module knows no VAD and
no floor: it is told probabilities, and tells those that count.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from conversation.arrivals import Arrivals
from conversation.audio import HEARING_HZ, Samples
from conversation.ears import Frame
from conversation.echo_path import HEARD, LEAD, EchoPath, Parted, voice_power
from conversation.loudspeaker import Loudspeaker, place
from conversation.stages import FRAME_MS, FRAME_SAMPLES

SPEECH = 0.2
"""Frames of a lower probability are nobody's speech, and are not looked into."""

LATEST_S = 1.0
"""An echo comes back no later than this after the ledger's time: the network there and back, the client's
buffer, the room."""

UNDECIDED_FRAMES = 4
"""For so many frames, 128 ms, a sound that may be an echo is nobody's."""

UNECHOED_MS = 1500
"""Where the agent has spoken for so long and the microphone kept silent, it does not hear the agent."""

_EARLY = HEARING_HZ // 50
"""An echo may seem to come before its sound was played: arrivals are timed no better."""
_LATEST = round(LATEST_S * HEARING_HZ)
_WINDOW = 16 * FRAME_SAMPLES
"""Of the microphone, for the correlation: half a second, most of which may lie before the echo began."""
_FFT = 24_576
"""Not less than _WINDOW + _LATEST + _EARLY, and without large prime factors."""
_MOVED = 16
"""An echo that is found this near to where it was is where it was."""

_AUDIBLE = 0.005
"""RMS, -46 dBFS: what is fainter is a pause in the agent's speech."""
_SEARCHES = 4
"""A frame in so many, where an echo is not expected or has been found already."""
_FAINT = 0.01
"""Of the loudest half second that was played: what is fainter is like anything."""
_BAND_HZ = (200, 3800)
_PROMINENCE = 3.2
"""Height of a correlation's peak, times its height over the root mean square, that is hardly chance: one
frame in a hundred of people who speak over an agent that their microphone does not hear has it."""

_MARGIN = 10**0.8
"""Somebody speaks whose power is 8 dB above all that else can be left in a frame."""
_TAIL = 0.8
"""What a room keeps of a sound's power after a frame: 60 dB in two seconds, to be sure."""
_LEAK = 0.5
"""Of that, how much the filter is expected to miss before it is known."""
_LEARNS, _LEARNS_NOISE = 0.1, 0.05
"""How much a frame counts in what is learned of the leak, and of the noise of the user's room."""

_FREQUENCIES = np.arange(_FFT // 4 + 1) * HEARING_HZ / _FFT
_WEIGHT = (
    np.abs(1 - 0.9 * np.exp(-2j * np.pi * _FREQUENCIES / HEARING_HZ))
    * ((_BAND_HZ[0] <= _FREQUENCIES) & (_BAND_HZ[1] >= _FREQUENCIES))
).astype(np.float32)
"""Voices fall by 6 dB an octave; evened out, their peak is sharp. Up to 4 kHz: half the samples do."""


class Decided(NamedTuple):
    """A frame, and the probability that it holds speech of the user's."""

    probability: float
    frame: Frame


@dataclass(frozen=True, slots=True)
class Heard:
    """What is to be made of a frame.

    Attributes:
        frame: it, without the echo as far as that could be taken out.
        decided: the frames that are decided on now, in order: none while this one is not, those that waited
            and this one when it is.
    """

    frame: Frame
    decided: Sequence[Decided]


class _Verdict(Enum):
    ECHO = "echo"
    SOMEBODY = "somebody"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class _Found:
    """An echo in the window.

    Attributes:
        shift: a sample of the microphone's comes from the place `shift` later on the loudspeaker.
        gain: its power for each unit of power played, roughly.
    """

    shift: int
    gain: float


class Echo:
    """One client's.

    Args:
        arrivals: of the microphone's audio.
    """

    def __init__(self, loudspeaker: Loudspeaker, arrivals: Arrivals) -> None:
        self._loudspeaker, self._arrivals = loudspeaker, arrivals
        self._frames: deque[Samples] = deque(maxlen=_WINDOW // FRAME_SAMPLES)
        self._end = 0
        """Of the latest frame, in samples received."""
        self._path: _KnownPath | None = None
        self._noise: float | None = None
        self._is_settled = False
        """An echo was recognised since the agent began to speak: what is not explained is no echo."""
        self._begun = 0
        """Where it did."""
        self._waiting: list[Decided] = []
        self._found: _Found | None = None
        """What the latest frame of speech came to, if that had a clear place."""
        self._searched = 0
        """The end of the frame for which that was done last."""
        self._unechoed_frames = 0

    @property
    def is_known(self) -> bool:
        """This client has one: what is left of a single frame may be all sorts of things."""
        return self._path is not None

    @property
    def waiting(self) -> Sequence[Decided]:
        """The frames that are not decided on yet; of those that are nobody's, the probability is 0."""
        return self._waiting

    def hear(self, frame: Frame, probability: float) -> Heard:
        """Of every frame in turn: that it holds speech, and what to make of it."""
        self._remember(frame)
        if self._begun != self._loudspeaker.begun:
            self._begun, self._is_settled = self._loudspeaker.begun, False
        if not self._can_echo():
            return self._decided(frame, probability)
        if probability < SPEECH:
            self._note_silence(frame.samples)
            self._dismiss()
            return self._decided(frame, probability)
        verdict, samples = self._judge(frame.samples)
        if verdict is _Verdict.UNDECIDED:
            return self._undecided(Decided(probability, frame))
        if verdict is _Verdict.ECHO:
            self._dismiss()
            probability = 0.0
        return self._decided(Frame(frame.start_sample, samples), probability)

    def _place(self, sample: int) -> int:
        """Where on the loudspeaker a sample of the microphone lies, had it taken no time at all."""
        return place(self._arrivals.when_s(sample))

    def _remember(self, frame: Frame) -> None:
        if frame.start_sample != self._end:  # what lay between was taken by somebody
            self._frames.clear()
            self._waiting.clear()
        self._frames.append(frame.samples)
        self._end = frame.start_sample + FRAME_SAMPLES

    def _can_echo(self) -> bool:
        now = self._place(self._end)
        return self._loudspeaker.sounds(now - FRAME_SAMPLES - _LATEST, now)

    def _note_silence(self, samples: Samples) -> None:
        power = voice_power(samples)
        before = power if self._noise is None else self._noise
        self._noise = before + _LEARNS_NOISE * (min(power, 4 * before) - before)
        if self._path is None and not self._knows_no_echo():
            now = self._place(self._end)
            played = self._loudspeaker.played(now - FRAME_SAMPLES, now)
            self._unechoed_frames += bool(np.mean(played**2) > _AUDIBLE**2)

    def _is_unlikely(self) -> bool:
        """That an echo comes from where none is known to come from."""
        return self._is_settled or self._knows_no_echo()

    def _knows_no_echo(self) -> bool:
        return self._unechoed_frames * FRAME_MS >= UNECHOED_MS

    def _undecided(self, frame: Decided) -> Heard:
        """It waits with those before it, but for so long only."""
        self._waiting.append(frame)
        if len(self._waiting) <= UNDECIDED_FRAMES:
            return Heard(frame.frame, ())
        waited, self._waiting = self._waiting, []
        return Heard(frame.frame, waited)

    def _dismiss(self) -> None:
        """What was undecided turned out to be nobody's."""
        self._waiting = [Decided(0.0, waited.frame) for waited in self._waiting]

    def _decided(self, frame: Frame, probability: float) -> Heard:
        waited, self._waiting = self._waiting, []
        return Heard(frame, (*waited, Decided(probability, frame)))

    def _judge(self, samples: Samples) -> tuple[_Verdict, Samples]:
        """Whose a frame of speech is, and what is left of it without an echo."""
        if self._noise is None:
            self._noise = min(voice_power(each) for each in self._frames)
        rest = samples
        if self._path is not None:
            parted = self._path.part(self._loudspeaker, self._end, samples)
            rest = parted.rest
            if self._path.explains(parted, self._noise):
                self._is_settled = True
                return _Verdict.ECHO, rest
        before, found = self._found, self._search() if self._is_due() else None
        self._found = found
        if found is not None and self._is_new(found, before):
            path = _KnownPath(found)
            parted = self._learned(path)
            if path.explains(parted, self._noise):
                self._path, self._is_settled, self._unechoed_frames = path, True, 0
                return _Verdict.ECHO, parted.rest
        doubtful = not self._is_settled and (found is not None or not self._knows_no_echo())
        return (_Verdict.UNDECIDED if doubtful else _Verdict.SOMEBODY), rest if self._is_settled else samples

    def _is_new(self, found: _Found, before: _Found | None) -> bool:
        """When the agent begins again, its echo may be late by a few samples more, which is another way.

        Where an echo is known since, or known not to be, another must be found twice at the same place.
        """
        if not self._is_unlikely():
            return True
        if self._path is not None and _is_near(found.shift, self._path.shift):
            return False
        return before is not None and _is_near(found.shift, before.shift)

    def _is_due(self) -> bool:
        """A search is dear: where the answer is hardly in doubt, not every frame is worth one."""
        if (
            self._is_unlikely()
            and self._found is None
            and self._end - self._searched < _SEARCHES * FRAME_SAMPLES
        ):
            return False
        self._searched = self._end
        return True

    def _learned(self, path: _KnownPath) -> Parted:
        """Goes through all frames that are remembered; returns the last one, parted."""
        first_end = self._end - (len(self._frames) - 1) * FRAME_SAMPLES
        for number, samples in enumerate(self._frames):
            parted = path.part(self._loudspeaker, first_end + number * FRAME_SAMPLES, samples)
        return parted

    def _search(self) -> _Found | None:
        """Looks for the latest frames in what was played. None where there is no clear place."""
        heard = np.concatenate(self._frames)
        end = self._place(self._end) + _EARLY
        begin = end - _EARLY - _LATEST - len(heard)
        played = self._loudspeaker.played(begin, end)
        across = _WEIGHT * np.fft.rfft(played, _FFT)[: len(_WEIGHT)]
        along = _WEIGHT * np.fft.rfft(heard, _FFT)[: len(_WEIGHT)]
        places = (len(played) - len(heard)) // 2 + 1
        alike = np.fft.irfft(along.conj() * across)[:places]
        powers = _moving_sum(np.fft.irfft(across) ** 2, len(heard) // 2)[:places]
        heard_power = float(np.sum(np.fft.irfft(along) ** 2))
        if not heard_power or not powers.max():
            return None
        coefficients = alike / np.sqrt((powers + _FAINT * powers.max()) * heard_power)
        best = int(np.abs(coefficients).argmax())
        peak = abs(float(coefficients[best]))
        if peak * peak < _PROMINENCE * float(np.sqrt(np.mean(coefficients**2))):
            return None
        at = begin + 2 * best
        return _Found(at - (self._end - len(heard)), 2 * peak * peak * heard_power / float(powers[best]))


class _KnownPath:
    """A way that echoes are known to take, and how well they are known."""

    def __init__(self, found: _Found) -> None:
        self.shift = found.shift
        self._path = EchoPath(found.gain)
        self._tail, self._leak = 0.0, _LEAK
        self._end = 0

    def part(self, loudspeaker: Loudspeaker, end: int, samples: Samples) -> Parted:
        """The frame that ends at the sample `end`."""
        last = end + self.shift + LEAD
        parted = self._path.part(loudspeaker.played(last - HEARD, last), samples)
        frames = max(1, (end - self._end) // FRAME_SAMPLES)
        self._tail, self._end = max(parted.echo_power, self._tail * _TAIL**frames), end
        return parted

    def explains(self, parted: Parted, noise_power: float) -> bool:
        """Whether the frame parted last is an echo and no more; learns from one that is."""
        allowed = 2 * noise_power + parted.doubt_power + self._leak * self._tail
        if parted.rest_power > _MARGIN * allowed:
            return False
        if self._tail:
            missed = (parted.rest_power - noise_power) / self._tail
            self._leak += _LEARNS * (min(max(missed, 0.0), 1.0) - self._leak)
        return True


def _is_near(shift: int, other: int) -> bool:
    return abs(shift - other) <= _MOVED


def _moving_sum(values: NDArray[np.floating], count: int) -> NDArray[np.float64]:
    sums: NDArray[np.float64] = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    moving: NDArray[np.float64] = sums[count:] - sums[:-count]
    return moving
