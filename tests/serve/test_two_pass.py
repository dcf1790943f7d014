"""Two recognisers, each a deployment of its own, as the ingress joins them."""

from __future__ import annotations

import pytest

from conversation.scripted import tone
from conversation.stages import Asr
from deployments.ingress.deployment import recogniser
from tests import remote

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def heard(asr: Asr) -> tuple[str, str]:
    """What is partly, and what is finally heard of four words."""
    partial, memory = await asr.step(tone(0.6), None, final=False)
    final, _ = await asr.step(tone(0.6), memory, final=True)
    return partial.text, final.text


def joined(app: str, final: str) -> Asr:
    return recogniser(remote.handle(app, "streaming-asr"), remote.handle(app, final), streams=True)


async def test_each_does_its_part(trouble: str) -> None:
    assert await heard(joined(trouble, "written-asr")) == ("wun too", "One, two, three, four.")


async def test_a_final_pass_that_dies_costs_its_better_words_alone(trouble: str) -> None:
    assert await heard(joined(trouble, "dying-asr")) == ("wun too", "wun too free fore")
