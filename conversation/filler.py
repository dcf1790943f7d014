"""What the agent says for want of an answer, so that nobody thinks it has gone.

A filler is made whole before a sample of it is sent: it is never broken off for want of sound, and where the
answer begins meanwhile, nobody hears of it. Nobody waits for one either: a voice that cannot say it is no
failure of the turn. This module neither sends it nor knows how an answer is made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from conversation.audio import Audio
from conversation.errors import StageError
from conversation.session import Session
from conversation.voicing import Voicing, spoken

_log = logging.getLogger(__name__)

PHRASES: Mapping[str, tuple[str, ...]] = {
    "en": ("One moment.", "Let me think.", "Just a second."),
    "zh": ("稍等一下。", "让我想想。", "请稍等。"),
}
"""Those of the server, by language."""


@dataclass(frozen=True, slots=True)
class Filling:
    """A phrase and its sound, in pieces of at most PIECE_S."""

    text: str
    pieces: tuple[Audio, ...]

    @property
    def duration_s(self) -> float:
        return sum(piece.duration_s for piece in self.pieces)


def phrases(given: tuple[str, ...], language: str | None) -> tuple[str, ...]:
    """Those that are given, else the server's in that language (BCP 47); in English where it has none."""
    primary = (language or "").partition("-")[0].lower()
    return given or PHRASES.get(primary, PHRASES["en"])


class Fillers:
    """The fillers of one session, one phrase after another."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._said = 0

    async def unless(self, begun: asyncio.Event, voicing: Voicing) -> Filling | None:
        """What to say where the answer has not `begun` in time; None where it has, or does meanwhile.

        Cancelled, nothing of the filler is left, here or in the voice.
        """
        filler = self._session.settings.filler
        if filler is None:
            return None
        try:
            async with asyncio.timeout(filler.after_ms / 1000):
                await begun.wait()
        except TimeoutError:
            return await self._before(begun, voicing)
        return None

    async def spoken(self, voicing: Voicing) -> Filling | None:
        """The next phrase. None where the voice has no sound for it, or the session wants none any more.

        Never raises StageError. Cancelled, the phrase is still the next one.
        """
        filler = self._session.settings.filler
        if filler is None:
            return None
        of_them = phrases(filler.phrases, self._session.settings.hints.language)
        phrase = of_them[self._said % len(of_them)]
        stages, deadlines = self._session.stages, self._session.tuning.deadlines
        pieces: list[Audio] = []
        try:
            async with aclosing(spoken(phrase, stages.tts, voicing, deadlines)) as sound:
                pieces = [part async for part in sound if isinstance(part, Audio)]
        except StageError as error:
            _log.info("session %s: no filler: %s", self._session.id, error)
            return None
        self._said += 1
        return Filling(phrase, tuple(pieces)) if pieces else None

    async def _before(self, begun: asyncio.Event, voicing: Voicing) -> Filling | None:
        async with asyncio.TaskGroup() as together:
            making = together.create_task(self.spoken(voicing))
            beginning = together.create_task(begun.wait())
            await asyncio.wait([making, beginning], return_when=asyncio.FIRST_COMPLETED)
            made = making.result() if making.done() and not begun.is_set() else None
            making.cancel()
            beginning.cancel()
        return made


class LateTools:
    """Waits, after an answer that called functions, for what comes of them.

    Args:
        late: told what to say once that has been too long in coming.
    """

    def __init__(self, session: Session, fillers: Fillers, late: Callable[[Filling], None]) -> None:
        self._session, self._fillers, self._late = session, fillers, late
        self._waiting: asyncio.Task[None] | None = None

    def begin(self, after_s: float) -> None:
        """Counts from so many seconds from now on, anew, if the session wants it."""
        self.end()
        settings = self._session.settings
        if settings.filler is not None and settings.filler.tools and settings.modality == "audio":
            after_s += settings.filler.after_ms / 1000
            self._waiting = self._session.tasks.create_task(self._wait(after_s), name="late tools")

    def end(self) -> None:
        """It came, or something else happens. Without effect where nothing is waited for."""
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    async def _wait(self, patience_s: float) -> None:
        await asyncio.sleep(patience_s)
        settings = self._session.settings
        filling = await self._fillers.spoken(Voicing(settings.voice, settings.speed, self._session.output_hz))
        self._waiting = None
        if filling is not None:
            self._late(filling)
