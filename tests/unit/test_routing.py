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


@pytest.fixture
async def router() -> HolderFirst:
    """Over replicas a and b. It asks them how busy they are whenever it has to choose."""
    router = HolderFirst(deployment_id=STAGE, handle_source=DeploymentHandleSource.REPLICA)
    router.update_replicas([Replica(ReplicaID(name, STAGE)) for name in "ab"])
    return router


def empty(router: HolderFirst, name: str) -> None:
    """From now on Serve's own choice is this one, since the other has more to do."""
    for replica_id, replica in router.curr_replicas.items():
        replica.ongoing = 0 if replica_id.unique_id == name else 5


async def chosen(router: HolderFirst, session: str, *, is_retry: bool = False) -> str:
    request = PendingRequest([], {}, RequestMetadata("request", "request", session_id=session))
    async with asyncio.timeout(10):
        replica: Any = await router._choose_replica_for_request(request, is_retry=is_retry)
    return str(replica.replica_id.unique_id)


async def test_a_session_stays_where_it_is_though_another_replica_has_less_to_do(router: HolderFirst) -> None:
    empty(router, "a")
    assert await chosen(router, "s") == "a"
    empty(router, "b")
    assert await chosen(router, "s") == "a"
    assert await chosen(router, "") == "b"


async def test_a_replica_is_a_key_to_itself(router: HolderFirst) -> None:
    empty(router, "a")
    assert await chosen(router, "b") == "b"


async def test_first_calls_at_once_go_to_one_replica(router: HolderFirst) -> None:
    for session in "stuv":
        assert len(set(await asyncio.gather(*(chosen(router, session) for _ in range(10))))) == 1


async def test_a_call_that_its_full_replica_refused_goes_elsewhere_and_the_next_comes_back(
    router: HolderFirst,
) -> None:
    empty(router, "a")
    assert await chosen(router, "s") == "a"
    empty(router, "b")
    assert await chosen(router, "s", is_retry=True) == "b"
    assert await chosen(router, "s") == "a"


async def test_a_replica_that_cannot_be_reached_is_given_up_at_once(router: HolderFirst) -> None:
    empty(router, "a")
    assert await chosen(router, "s") == "a"
    router.on_replica_actor_unavailable(ReplicaID("a", STAGE))
    empty(router, "b")
    assert await chosen(router, "s", is_retry=True) == "b"
    empty(router, "a")
    assert await chosen(router, "s") == "b"


async def test_a_replica_that_is_gone_is_replaced(router: HolderFirst) -> None:
    empty(router, "a")
    assert await chosen(router, "s") == "a"
    router.update_replicas([Replica(ReplicaID(name, STAGE)) for name in "bc"])
    moved = await chosen(router, "s")
    empty(router, "b" if moved == "c" else "c")
    assert await chosen(router, "s") == moved


async def test_the_session_that_was_silent_for_longest_is_forgotten(
    router: HolderFirst, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "KEPT_SESSIONS", 2)
    empty(router, "a")
    for session in ("first", "silent", "first", "third"):
        assert await chosen(router, session) == "a"
    empty(router, "b")
    assert [await chosen(router, session) for session in ("first", "third", "silent")] == ["a", "a", "b"]
