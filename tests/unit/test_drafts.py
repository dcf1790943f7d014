from __future__ import annotations

import numpy as np

from conversation.audio import HEARING_HZ, Samples
from deployments.asr.drafts import KEPT, Drafts


def sound(seed: int, duration_s: float) -> Samples:
    noise = np.random.default_rng(seed).normal(0, 0.1, round(duration_s * HEARING_HZ))
    return noise.astype(np.float32)


def test_a_segment_that_grew_is_known_by_its_beginning() -> None:
    drafts, segment = Drafts(), sound(1, 3)
    drafts.keep(segment[:HEARING_HZ], [7])
    assert drafts.of(segment[: 2 * HEARING_HZ]) == (7,)
    drafts.keep(segment[: 2 * HEARING_HZ], [7, 8])
    assert drafts.of(segment) == (7, 8)


def test_a_segment_that_did_not_grow_has_no_draft() -> None:
    drafts, segment = Drafts(), sound(1, 3)
    drafts.keep(segment, [7])
    assert drafts.of(segment) == ()
    assert drafts.of(segment[: 2 * HEARING_HZ]) == ()


def test_another_segment_has_no_draft() -> None:
    drafts = Drafts()
    drafts.keep(sound(1, 1), [7])
    assert drafts.of(sound(2, 2)) == ()


def test_a_segment_too_short_to_be_known_again_has_none() -> None:
    drafts = Drafts()
    drafts.keep(sound(1, 0.3), [7])
    assert drafts.of(sound(1, 0.4)) == ()


def test_few_are_kept_and_the_oldest_go_first() -> None:
    drafts = Drafts()
    for seed in range(KEPT + 1):
        drafts.keep(sound(seed, 0.5), [seed])
        drafts.keep(sound(1, 0.5), [1])  # keeps growing
    assert drafts.of(sound(0, 1)) == ()
    assert drafts.of(sound(1, 1)) == (1,)
    assert drafts.of(sound(KEPT, 1)) == (KEPT,)
