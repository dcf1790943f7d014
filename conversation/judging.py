"""Asks, in a pause, whether the turn is over: a model that goes by the sound, and the words.

It decides nothing: what it makes of the two it tells, and the silence decides until then.
"""

from __future__ import annotations

import logging
from asyncio import timeout
from collections.abc import Callable, Mapping

from conversation.endpointing import Judgement
from conversation.errors import StageError
from conversation.finished import Seems, seems
from conversation.session import Session
from conversation.settings import Eagerness
from conversation.utterance import Utterance

_log = logging.getLogger(__name__)

FINISHED: Mapping[Eagerness, float] = {"low": 0.7, "medium": 0.5, "high": 0.3}
"""The probability from which a turn sounds finished. Smart Turn's own is 0.5."""

JUDGEMENTS: Mapping[tuple[bool, Seems], Judgement | None] = {
    (True, Seems.FINISHED): Judgement.FINISHED,
    (True, Seems.EITHER): Judgement.FINISHED,
    (True, Seems.HANGING): Judgement.DOUBTFUL,
    (True, Seems.UNFINISHED): Judgement.DOUBTFUL,
    (False, Seems.FINISHED): None,
    (False, Seems.EITHER): Judgement.DOUBTFUL,
    (False, Seems.HANGING): Judgement.DOUBTFUL,
    (False, Seems.UNFINISHED): Judgement.UNFINISHED,
}
"""By whether the turn sounds finished, and what its words say. Where the words are a whole question or answer
and only the sound is against it, the silence rule decides."""

COUNTS_AS: Mapping[tuple[Eagerness, Seems], Seems] = {
    ("high", Seems.HANGING): Seems.EITHER,
    ("low", Seems.EITHER): Seems.HANGING,
}
"""Who is eager answers in spite of a comma: sooner after a clause, and too soon where more clauses follow.
Who is patient answers at once only what is surely a question or an answer."""


async def judge(session: Session, utterance: Utterance, judged: Callable[[Judgement | None], None]) -> None:
    """Judges one pause, once: the longer a silence has lasted, the less the model tells an end from a pause.

    What sounds finished waits for its words, which are being found out anyway, but never longer than the
    silence rule. Where the model fails or is late, that rule decides; where the words cannot be had, the
    sound alone. Never raises StageError. Cancelled, it tells nothing more; the final transcript goes on.

    Args:
        judged: told what the pause seems to be, and told again when more is known.
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
        judged(None)
        return
    sounds_finished = probability >= FINISHED[detection.eagerness]
    if not sounds_finished:
        judged(Judgement.DOUBTFUL)
    words = await _seems(utterance)
    judged(JUDGEMENTS[sounds_finished, COUNTS_AS.get((detection.eagerness, words), words)])


async def _seems(utterance: Utterance) -> Seems:
    try:
        return seems((await utterance.transcript()).text)
    except StageError:
        return Seems.EITHER  # whoever wants to answer it says so in the log
