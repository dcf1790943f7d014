"""Plays items to a server, in real time: sentences into its silence, other sounds into its speech."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bench.client import Client, Noted, Timeout
from bench.turns.items import Overlap, Sentence
from bench.turns.results import (
    OverlapResult,
    SentenceResult,
    Window,
    look_up_overlap,
    look_up_sentence,
)
from conversation.audio import Audio

BETWEEN_S = 0.6
"""From an answer's end to the next sentence."""
ANSWER_S = 6.0
"""An answer that has not begun so long after the end of a sentence is not waited for any longer."""
FRAGMENT_S = 0.3
"""What is no whole sentence is the last thing said in its session, which ends so long after it."""
WATCH_S = 1.2
"""From the end of a sound over the agent until it is settled whether it stopped it."""
LONGEST_S = 15.0
"""An answer that has been heard for so long might end during the next sound: another one is asked for."""
GIVE_UP_S = 3.0
"""What is cancelled is over by then."""


@dataclass
class Scene:
    """One session of one system, and what has been played in it."""

    client: Client
    system: str
    session: int
    questions: Iterator[Sentence]
    sentences: list[tuple[SentenceResult, Sentence, Window]] = field(default_factory=list)
    overlaps: list[tuple[OverlapResult, str, Window]] = field(default_factory=list)
    _said_until_s: float = 0.0
    _settled_s: float = 0.0
    """When the last sound over the agent ended."""

    async def say_sentence(self, item: Sentence) -> SentenceResult:
        """Says it, and awaits the beginning of the answer, if it is a whole one."""
        result = SentenceResult(
            self.system, self.session, item.name, item.origin, item.pause_ms, item.pause_is, item.whole
        )
        since = len(self.client.notes)
        begin_s = await self._say(item.audio)
        end_s = begin_s + item.end_s
        patience_s = ANSWER_S if item.whole else FRAGMENT_S
        await self._until(lambda note: self._is_audible_since(note, end_s), since, end_s + patience_s)
        window = Window(begin_s + item.onset_s, end_s, since, len(self.client.notes))
        self.sentences.append((result, item, window))
        return result

    async def silence(self) -> None:
        """The agent is made to end what it says."""
        response = self.speaking
        if response is not None:
            since = len(self.client.notes)
            await self.client.cancel()
            await self._until(lambda note: self._ends(note, response), since, _now_s() + GIVE_UP_S)
        await asyncio.sleep(BETWEEN_S)

    async def say_over(self, item: Overlap) -> None:
        """Says it over the agent, whom it makes speak if need be; see WATCH_S."""
        result = OverlapResult(
            self.system,
            self.session,
            item.name,
            item.kind,
            item.origin,
            item.into_s,
            round((item.end_s - item.onset_s) * 1000),
        )
        response = await self._spoken_into(item.into_s)
        if response is None:
            self.overlaps.append((result, "", Window(0, 0, 0, 0)))
            return
        since = len(self.client.notes)
        begin_s = await self._say(item.audio)
        end_s = begin_s + item.end_s
        if await self._until(lambda note: self._ends(note, response), since, end_s + WATCH_S):
            await self._until(lambda note: self._is_audible_since(note, end_s), since, end_s + ANSWER_S)
        window = Window(begin_s + item.onset_s, end_s, since, len(self.client.notes))
        self._settled_s = end_s
        self.overlaps.append((result, response, window))

    def look_up(self) -> None:
        """Completes all results; the session must be over."""
        for sentence, item, window in self.sentences:
            look_up_sentence(sentence, item, self.client, window)
        for overlap, response, window in self.overlaps:
            if response:
                look_up_overlap(overlap, self.client, response, window)

    @property
    def speaking(self) -> str | None:
        """The answer that is being given, if it has been heard already."""
        latest = next(reversed(self.client.speakers), None)
        if latest is None or self.client.speakers[latest].first_audible_s is None:
            return None
        return None if any(self._ends(note, latest) for note in self.client.notes) else latest

    async def _spoken_into(self, into_s: float) -> str | None:
        """The answer under way, when so much of it has been heard undisturbed; None if none can be had."""
        for _ in range(2):
            response = await self._made_to_speak()
            if response is None:
                return None
            since_s = max(self.client.speakers[response].first_audible_s or 0.0, self._settled_s)
            if await self._goes_on(response, since_s + into_s):
                return response
        return None

    async def _goes_on(self, response: str, until_s: float) -> bool:
        """Waits so long."""
        return await self._until(lambda note: self._ends(note, response), 0, until_s) is None

    async def _made_to_speak(self) -> str | None:
        if response := self.speaking:
            if _now_s() - (self.client.speakers[response].first_audible_s or 0.0) < LONGEST_S:
                return response
            await self.silence()
        for _ in range(2):
            await self.say_sentence(next(self.questions))
            if response := self.speaking:
                return response
            await asyncio.sleep(BETWEEN_S)
        return None

    async def _say(self, audio: Audio) -> float:
        """Loop time of its first sample."""
        await asyncio.sleep(max(0.0, self._said_until_s - _now_s()))
        begin_s = self.client.microphone.say(audio)
        self._said_until_s = begin_s + audio.duration_s + 0.1
        return begin_s

    async def _until(self, wanted: Callable[[Noted], bool], since: int, at_s: float) -> Noted | None:
        """What is wanted, or None when it has not come until then."""
        try:
            return await self.client.wait(wanted, since=since, within_s=max(0.0, at_s - _now_s()))
        except Timeout:
            return None

    def _is_audible_since(self, note: Noted, at_s: float) -> bool:
        """Whether with this note an answer is heard that was not before."""
        if note.signal != "sound" or note.response is None:
            return False
        first_s = self.client.speakers[note.response].first_audible_s
        return first_s is not None and first_s >= at_s

    def _ends(self, note: Noted, response: str) -> bool:
        return note.signal in ("ended", "cut off") and note.response == response


def _now_s() -> float:
    return asyncio.get_running_loop().time()
