"""Asks, while a speaker pauses, whether the turn is over.

It decides nothing: what it is told goes to the endpointing, which goes by the silence until then.
"""

from __future__ import annotations

import asyncio
import logging

from conversation.endpointing import Endpointing
from conversation.errors import StageError
from conversation.session import Session
from conversation.settings import Eagerness
from conversation.utterance import Utterance

_log = logging.getLogger(__name__)

FINISHED: dict[Eagerness, float] = {"low": 0.7, "medium": 0.5, "high": 0.3}
"""The probability from which a turn counts as finished. Smart Turn's own is 0.5."""


async def judge(session: Session, utterance: Utterance, endpointing: Endpointing) -> None:
    """Asks at once, and again as the silence grows, until the turn seems finished.

    An answer that is late, or none, leaves the decision to the silence.
    """
    detection, model = session.settings.turn_detection, session.stages.turn
    assert detection is not None
    assert detection.eagerness is not None
    assert model is not None
    threshold = FINISHED[detection.eagerness]
    while True:
        try:
            async with asyncio.timeout(session.tuning.deadlines.turn_s):
                probability = await model.predict(utterance.end())
        except (StageError, TimeoutError) as error:
            _log.warning("session %s: turn: %s", session.id, error or "no answer in time")
            endpointing.judge(None)
            return
        endpointing.judge(probability >= threshold)
        if probability >= threshold:
            return
        await utterance.grown(session.tuning.ask_every_ms / 1000)
