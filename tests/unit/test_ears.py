import asyncio

import numpy as np
import pytest

from conversation.audio import HEARING_HZ, Audio
from conversation.ears import Ears
from conversation.stages import FRAME_SAMPLES
from tests import virtual_time


def counting(start: int, samples: int) -> Audio:
    """Audio whose every sample says where it stands."""
    return Audio(np.arange(start, start + samples, dtype=np.float32), HEARING_HZ)


async def test_chunks_of_any_size_become_frames_without_loss() -> None:
    ears, heard = Ears(keep_s=1), 0
    frames = []
    for size in [1, 700, 512, 3, 2000, 40]:
        ears.hear(counting(heard, size))
        heard += size
    while ears.pending_s * HEARING_HZ >= FRAME_SAMPLES:
        frame = await ears.frame(None)
        assert ears.pass_by(frame)
        frames.append(frame)

    assert [frame.start_sample for frame in frames] == list(range(0, len(frames) * 512, 512))
    np.testing.assert_array_equal(
        np.concatenate([frame.samples for frame in frames]), np.arange(len(frames) * 512)
    )
    assert ears.received == heard


async def test_a_frame_that_was_taken_meanwhile_is_not_passed_by() -> None:
    ears = Ears(keep_s=1)
    ears.hear(counting(0, 600))
    frame = await ears.frame(None)

    taken = ears.take()

    assert len(taken) == 600
    assert not ears.pass_by(frame)
    assert ears.position == 600


async def test_what_was_listened_to_can_be_asked_for_again_as_far_as_it_is_kept() -> None:
    ears = Ears(keep_s=0.1)
    ears.hear(counting(0, 10 * FRAME_SAMPLES))
    for _ in range(10):
        ears.pass_by(await ears.frame(None))

    assert ears.since(5000).samples.tolist() == list(range(5000, 5120))
    assert len(ears.since(0)) == 1600


def test_a_client_that_sends_nothing_is_noticed() -> None:
    async def wait() -> float:
        with pytest.raises(TimeoutError):
            await Ears(keep_s=1).frame(2.0)
        return asyncio.get_running_loop().time()

    assert virtual_time.run(wait()) == 2.0
