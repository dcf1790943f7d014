import asyncio

from conversation.playback import Playback
from tests import virtual_time

HZ = 1000


def test_a_client_plays_what_it_was_sent_at_its_pace() -> None:
    async def play() -> None:
        playback = Playback(HZ)
        playback.sent(500)
        assert (playback.played_samples, playback.ahead_s) == (0, 0.5)
        await asyncio.sleep(0.2)
        assert playback.played_samples == 200
        await asyncio.sleep(9)
        assert (playback.played_samples, playback.ahead_s) == (500, 0.0)
        playback.sent(100)
        await asyncio.sleep(0.05)
        assert playback.played_samples == 550

    virtual_time.run(play())


def test_there_is_room_once_the_lead_is_played() -> None:
    async def play() -> float:
        playback = Playback(HZ)
        await playback.room(0.3)
        playback.sent(1000)
        await playback.room(0.3)
        return asyncio.get_running_loop().time()

    assert virtual_time.run(play()) == 0.7


def test_what_is_thrown_away_was_never_played() -> None:
    async def play() -> None:
        playback = Playback(HZ)
        playback.sent(1000)
        await asyncio.sleep(0.25)
        playback.dropped()
        await asyncio.sleep(5)
        assert (playback.played_samples, playback.sent_samples) == (250, 250)

    virtual_time.run(play())
