"""What the user says in one turn, from the first syllable to the final transcript.

A segment that seemed over can go on: recognition steps from the memory it had before. This module does not
decide when a turn is over.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from conversation.audio import HEARING_HZ, Audio, join
from conversation.errors import ImpossibleMove, StageError, StageLate
from conversation.kept import Recording
from conversation.stages import JUDGED_S, Asr, Hints, Transcript
from conversation.words import words

STEP_S = 60.0
"""The longest that the recogniser is given at a time: what travels between processes has a bound."""


_JUDGED_SAMPLES = round(JUDGED_S * HEARING_HZ)


class Utterance:
    """One segment of speech.

    Attributes:
        item_id: the item that it will become.
        samples: how much of it has come, 16 kHz.
        so_far: the last partial transcript.
    """

    def __init__(self, item_id: str, asr: Asr, deadline_s: float, hints: Hints = Hints()) -> None:
        self.item_id = item_id
        self.samples = 0
        self._asr, self._deadline_s, self._hints = asr, deadline_s, hints
        self._memory: Any = None
        self._recording = Recording()
        self._last: deque[Audio] = deque()
        """The end of it: JUDGED_S, or a little more."""
        self._unheard: list[Audio] = []
        """What the recogniser has not been given yet."""
        self._agreed = self._told = ""
        self.so_far = ""
        self._final: asyncio.Task[Transcript | StageError] | None = None
        self._grew = asyncio.Event()

    @property
    def duration_s(self) -> float:
        return self.samples / HEARING_HZ

    @property
    def sound(self) -> Audio | None:
        """All of it; None when that is more than is kept."""
        return self._recording.whole()

    @property
    def unheard_s(self) -> float:
        return sum(audio.duration_s for audio in self._unheard)

    def add(self, audio: Audio) -> None:
        self._unheard.append(audio)
        self._recording.add(audio)
        self._last.append(audio)
        while sum(map(len, self._last)) - len(self._last[0]) >= _JUDGED_SAMPLES:
            self._last.popleft()
        self.samples += len(audio)
        self._grew.set()

    def end(self) -> Audio:
        """The last JUDGED_S of it, silence included."""
        return join(list(self._last), HEARING_HZ)[-_JUDGED_SAMPLES:]

    async def grown(self, by_s: float) -> None:
        """Waits until so much more has come."""
        enough = self.samples + round(by_s * HEARING_HZ)
        while self.samples < enough:
            self._grew.clear()
            await self._grew.wait()

    def skip(self) -> None:
        """Gives up on what the recogniser has not been given yet."""
        self._unheard.clear()

    async def listen(self) -> None:
        """Gives the recogniser what is new. Raises StageError. Cancelled, it has not happened."""
        new = _oldest(self._unheard)
        transcript, memory = await self._step(join(new, HEARING_HZ), self._memory, final=False)
        self._memory = memory
        del self._unheard[: len(new)]
        self._agreed = _agreed(self.so_far, transcript.text)
        self.so_far = transcript.text

    def news(self) -> str:
        """The words to tell the client now: those that the last two partial transcripts agree on, and that
        were not told yet."""
        if not self._agreed.startswith(self._told):
            return ""
        delta, self._told = self._agreed[len(self._told) :], self._agreed
        return delta

    def finish(self, start: Callable[..., asyncio.Task[Transcript | StageError]]) -> None:
        """Begins the final transcript, as a task that `start` makes, unless it is under way or done."""
        if self._final is None:
            self._final = start(self._finalise(), name=f"final transcript of {self.item_id}")

    async def transcript(self) -> Transcript:
        """The final transcript, once `finish` was called. Raises StageError. Cancelled, the work goes on."""
        if self._final is None:
            raise ImpossibleMove("nobody asked for the final transcript")
        outcome = await asyncio.shield(self._final)
        if isinstance(outcome, StageError):
            raise outcome
        return outcome

    def reopen(self) -> None:
        """The speaker goes on: the final transcript is not final."""
        if self._final is not None:
            self._final.cancel()
            self._final = None

    def rest(self, transcript: str) -> str:
        """What to tell the client after all the deltas, so that they add up to `transcript`; "" when they
        cannot, because the recogniser changed its mind."""
        return transcript[len(self._told) :] if transcript.startswith(self._told) else ""

    async def _finalise(self) -> Transcript | StageError:
        """An error is an outcome like another: whoever asks for the transcript is told, nobody else."""
        rest, memory = self._unheard[:], self._memory
        try:
            while len(new := _oldest(rest)) < len(rest):
                _, memory = await self._step(join(new, HEARING_HZ), memory, final=False)
                del rest[: len(new)]
            transcript, _ = await self._step(join(rest, HEARING_HZ), memory, final=True)
        except StageError as error:
            return error
        return transcript

    async def _step(self, audio: Audio, memory: Any, *, final: bool) -> tuple[Transcript, Any]:
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._asr.step(audio, memory, final=final, hints=self._hints)
        except TimeoutError:
            raise StageLate("asr", f"no transcript within {self._deadline_s:g} s") from None


def _oldest(audios: list[Audio]) -> list[Audio]:
    """As many from the beginning as are STEP_S together, but at least one."""
    total_s = 0.0
    for count, audio in enumerate(audios):
        total_s += audio.duration_s
        if count and total_s > STEP_S:
            return audios[:count]
    return audios[:]


def _agreed(one: str, other: str) -> str:
    """The words that both texts begin with, as `other` has them.

    Source: LocalAgreement-2, Liu et al. 2020, https://arxiv.org/abs/2005.11185
    """
    end = 0
    for word, same in zip(words(other), words(one), strict=False):
        if word.group() != same.group():
            break
        end = word.end()
    return other[:end]
