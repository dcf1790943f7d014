import asyncio

from conversation.audio import silence
from conversation.playback import Playback
from tests import virtual_time

HZ = 1000


def test_a_client_plays_what_it_was_sent_at_its_pace() -> None:
    async def play() -> None:
        playback = Playback(HZ)
        playback.sent(silence(500 / HZ, HZ))
        assert (playback.played_samples, playback.ahead_s) == (0, 0.5)
        await asyncio.sleep(0.2)
        assert playback.played_samples == 200
        await asyncio.sleep(9)
        assert (playback.played_samples, playback.ahead_s) == (500, 0.0)
        playback.sent(silence(100 / HZ, HZ))
        await asyncio.sleep(0.05)
        assert playback.played_samples == 550

    virtual_time.run(play())


def test_there_is_room_once_the_lead_is_played() -> None:
    async def play() -> float:
        playback = Playback(HZ)
        await playback.room(0.3)
        playback.sent(silence(1000 / HZ, HZ))
        await playback.room(0.3)
        return asyncio.get_running_loop().time()

    assert virtual_time.run(play()) == 0.7


def test_what_is_thrown_away_was_never_played() -> None:
    async def play() -> None:
        playback = Playback(HZ)
        playback.sent(silence(1000 / HZ, HZ))
        await asyncio.sleep(0.25)
        playback.dropped()
        await asyncio.sleep(5)
        assert (playback.played_samples, playback.sent_samples) == (250, 250)

    virtual_time.run(play())


def test_a_client_that_holds_has_as_much_left_afterwards() -> None:
    async def play() -> None:
        playback = Playback(HZ)
        playback.sent(silence(500 / HZ, HZ))
        await asyncio.sleep(0.2)
        playback.hold(at_once=True)
        await asyncio.sleep(3)
        assert (playback.played_samples, playback.ahead_s) == (200, 0.3)
        playback.resume()
        await asyncio.sleep(0.1)
        assert playback.played_samples == 300

    virtual_time.run(play())


def test_another_plays_what_it_has_to_its_end() -> None:
    async def play() -> None:
        playback = Playback(HZ)
        playback.sent(silence(500 / HZ, HZ))
        playback.hold(at_once=False)
        await asyncio.sleep(3)
        assert (playback.played_samples, playback.ahead_s) == (500, 0.0)

    virtual_time.run(play())


def test_there_is_no_room_while_it_is_held() -> None:
    async def play() -> float:
        playback = Playback(HZ)
        playback.sent(silence(1000 / HZ, HZ))
        loop = asyncio.get_running_loop()
        loop.call_at(0.5, lambda: playback.hold(at_once=False))
        loop.call_at(2.5, playback.resume)
        await playback.room(0.3)
        return loop.time()

    assert virtual_time.run(play()) == 2.5


def test_what_is_thrown_away_is_held_no_more() -> None:
    async def play() -> None:
        playback = Playback(HZ)
        playback.sent(silence(1000 / HZ, HZ))
        await asyncio.sleep(0.25)
        playback.hold(at_once=True)
        playback.dropped()
        await playback.room(0.1)
        assert playback.played_samples == 250

    virtual_time.run(play())
