"""What the router remembers of sessions; with real replicas: tests/serve/test_routing.py."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from ray.serve._private.common import (
    DeploymentHandleSource,
    DeploymentID,
    ReplicaID,
    RequestMetadata,
    RunningReplicaInfo,
)
from ray.serve._private.request_router.common import PendingRequest

from deployments import routing
from deployments.routing import HolderFirst

STAGE = DeploymentID("llm", "antiphon")


@dataclass
class Replica:
    """As the router sees one."""

    replica_id: ReplicaID
    ongoing: int = 0
    max_ongoing_requests: int = 10
    node_id: str = "node"
    availability_zone: str | None = None
    multiplexed_model_ids: frozenset[str] = frozenset()

    async def get_queue_len(self, *, deadline_s: float) -> int:
        return self.ongoing

    def update_replica_info(self, info: RunningReplicaInfo) -> None:
        pass


@dataclass
class Clock:
    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def router(clock: Clock) -> HolderFirst:
    """Over replicas a and b. It asks them how busy they are whenever Serve's part of it has to choose."""
    router = HolderFirst(
        deployment_id=STAGE, handle_source=DeploymentHandleSource.REPLICA, get_curr_time_s=clock
    )
    there_are(router, "ab")
    return router


def there_are(router: HolderFirst, names: str) -> None:
    router.update_replicas([Replica(ReplicaID(name, STAGE)) for name in names])


def busy(router: HolderFirst, name: str) -> None:
    """From now on Serve's own choice is another one."""
    for replica_id, replica in router.curr_replicas.items():
        replica.ongoing = 5 if replica_id.unique_id == name else 0


async def chosen(router: HolderFirst, session: str, *, is_retry: bool = False) -> str:
    request = PendingRequest([], {}, RequestMetadata("request", "request", session_id=session))
    async with asyncio.timeout(10):
        replica: Any = await router._choose_replica_for_request(request, is_retry=is_retry)
    return str(replica.replica_id.unique_id)


async def all_chosen(router: HolderFirst, sessions: str) -> str:
    return "".join([await chosen(router, session) for session in sessions])


async def test_a_session_stays_where_it_is_though_another_replica_has_less_to_do(router: HolderFirst) -> None:
    home = await chosen(router, "s")
    busy(router, home)
    assert await chosen(router, "s") == home
    assert await chosen(router, "") != home


async def test_sessions_are_shared_out_evenly(router: HolderFirst) -> None:
    assert sorted(await all_chosen(router, "stuvwx")) == list("aaabbb")


async def test_a_new_replica_gets_the_next_sessions_and_takes_none_away(router: HolderFirst) -> None:
    before = await all_chosen(router, "stuv")
    there_are(router, "abc")
    assert await all_chosen(router, "stuvwx") == before + "cc"


async def test_a_replica_is_a_key_to_itself(router: HolderFirst) -> None:
    assert await all_chosen(router, "bbaab") == "bbaab"
    assert sorted(await all_chosen(router, "st")) == list("ab")  # and holds no session by that


async def test_first_calls_at_once_go_to_one_replica(router: HolderFirst) -> None:
    for session in "stuv":
        assert len(set(await asyncio.gather(*(chosen(router, session) for _ in range(10))))) == 1


async def test_a_call_that_its_full_replica_refused_goes_elsewhere_and_the_next_comes_back(
    router: HolderFirst,
) -> None:
    home = await chosen(router, "s")
    busy(router, home)
    assert await chosen(router, "s", is_retry=True) != home
    assert await chosen(router, "s") == home


async def test_a_replica_that_cannot_be_reached_is_given_up_at_once(router: HolderFirst) -> None:
    home = await chosen(router, "s")
    busy(router, home)
    router.on_replica_actor_unavailable(ReplicaID(home, STAGE))
    elsewhere = await chosen(router, "s", is_retry=True)
    assert elsewhere != home
    assert await chosen(router, "s") == elsewhere


async def test_a_replica_that_is_gone_is_replaced(router: HolderFirst) -> None:
    home = await chosen(router, "s")
    there_are(router, "cd")
    elsewhere = await chosen(router, "s")
    assert elsewhere in "cd"
    busy(router, elsewhere)
    assert await chosen(router, "s") == elsewhere
    there_are(router, "cd" + home)
    assert await chosen(router, "s") == elsewhere


async def test_calls_wait_for_the_first_replica_and_stay_with_it(router: HolderFirst) -> None:
    there_are(router, "")
    waiting = [asyncio.ensure_future(chosen(router, "s")) for _ in range(3)]
    await asyncio.sleep(0)
    there_are(router, "c")
    assert await asyncio.gather(*waiting) == ["c"] * 3
    there_are(router, "cd")
    assert await chosen(router, "s") == "c"


async def test_a_session_that_is_over_counts_no_more(router: HolderFirst, clock: Clock) -> None:
    there_are(router, "a")
    assert await all_chosen(router, "stuv") == "aaaa"
    clock.now_s += routing.KEPT_S / 2
    there_are(router, "ab")
    assert await chosen(router, "v") == "a"
    clock.now_s += routing.KEPT_S / 2 + 1
    assert await all_chosen(router, "wv") == "ba"
    assert sorted(await all_chosen(router, "xy")) == list("ab")


async def test_the_session_that_was_silent_for_longest_is_forgotten(
    router: HolderFirst, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not of the module: once Serve has deployed the class from this process, its methods have other globals.
    monkeypatch.setitem(HolderFirst._held_by.__globals__, "KEPT_SESSIONS", 2)
    there_are(router, "a")
    assert await all_chosen(router, "stsu") == "aaaa"
    there_are(router, "ab")
    assert await all_chosen(router, "sut") == "aab"
