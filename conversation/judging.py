"""Asks, in a pause, whether the turn is over: a model that goes by the sound, and the words.

It decides nothing: what it makes of the two goes to the endpointing, which goes by the silence until then.
"""

from __future__ import annotations

import logging
from asyncio import timeout
from collections.abc import Mapping

from conversation.endpointing import Endpointing, Verdict
from conversation.errors import StageError
from conversation.finished import Seems, seems
from conversation.session import Session
from conversation.settings import Eagerness
from conversation.utterance import Utterance

_log = logging.getLogger(__name__)

FINISHED: Mapping[Eagerness, float] = {"low": 0.7, "medium": 0.5, "high": 0.3}
"""The probability from which a turn sounds finished. Smart Turn's own is 0.5."""

VERDICTS: Mapping[tuple[bool, Seems], Verdict | None] = {
    (True, Seems.FINISHED): Verdict.FINISHED,
    (True, Seems.EITHER): Verdict.FINISHED,
    (True, Seems.HANGING): Verdict.DOUBTFUL,
    (True, Seems.UNFINISHED): Verdict.DOUBTFUL,
    (False, Seems.FINISHED): None,
    (False, Seems.EITHER): Verdict.DOUBTFUL,
    (False, Seems.HANGING): Verdict.DOUBTFUL,
    (False, Seems.UNFINISHED): Verdict.UNFINISHED,
}
"""By whether the turn sounds finished, and what its words say. Where the words are a whole question or answer
and only the sound is against it, the silence rule decides."""

UNDETERRED: frozenset[Eagerness] = frozenset(["high"])
"""Who answers in spite of a comma: sooner after a clause, and too soon where more clauses follow."""


async def judge(session: Session, utterance: Utterance, endpointing: Endpointing) -> None:
    """Judges one pause, once: the longer a silence has lasted, the less the model tells an end from a pause.

    What sounds finished waits for its words, which are being found out anyway, but never longer than the
    silence rule. Where the model fails or is late, that rule decides; where the words cannot be had, the
    sound alone.
    """
    detection, model = session.settings.turn_detection, session.stages.turn
    assert detection is not None
    assert detection.eagerness is not None
    assert model is not None
    utterance.finish(session.tasks.create_task)
    try:
        async with timeout(session.tuning.deadlines.turn_s):
            probability = await model.predict(utterance.end())
    except (StageError, TimeoutError) as error:
        _log.warning("session %s: turn: %s", session.id, error or "no answer in time")
        endpointing.judge(None)
        return
    sounds_finished = probability >= FINISHED[detection.eagerness]
    if not sounds_finished:
        endpointing.judge(Verdict.DOUBTFUL)
    words = await _seems(utterance)
    if words is Seems.HANGING and detection.eagerness in UNDETERRED:
        words = Seems.EITHER
    endpointing.judge(VERDICTS[sounds_finished, words])


async def _seems(utterance: Utterance) -> Seems:
    try:
        return seems((await utterance.transcript()).text)
    except StageError:
        return Seems.EITHER  # whoever wants to answer it says so in the log
