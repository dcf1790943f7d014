"""Takes a call to the replica that holds what it builds on: a recogniser's memory, the beginning of a prompt.

Knows Serve's request routers, nothing of stages. One router serves one caller's process; what it remembers is
not shared, since a session's calls all come from the ingress replica that owns it.
"""

from __future__ import annotations

import random
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Any

from ray.serve._private.request_router.pow_2_router import PowerOfTwoChoicesRequestRouter

KEPT_S = 600.0
"""A session that made no call for so long is over, or what was held for it has made room for others."""
KEPT_SESSIONS = 4096
"""The longest unused is forgotten first. Many times what one ingress replica carries, and less than 1 MB."""


@dataclass(frozen=True, slots=True)
class _Held:
    replica: str
    """Its unique id."""
    used_s: float


class HolderFirst(PowerOfTwoChoicesRequestRouter):  # type: ignore[misc]  # Ray is untyped
    """Serve's own router, except that a call with a `session_id` goes to the replica that holds its memory.

    A `session_id` may be a replica's unique id (a ticket's): that is the holder. Any other stands for itself:
    its first call goes to the replica that holds the fewest sessions, and that is the holder from then on.

    Whether the holder has room only it knows, so it is asked; if it has none, that one call goes where Serve
    puts it, and the next one asks the holder again: a busy moment must not lose what it holds. Only a holder
    that is gone is replaced. No call waits for another, however many a session makes at once.

    Serve's own ConsistentHashRouter is no choice: in Ray 2.60 concurrent calls made for one request hang in
    it, since it tells them apart by that request's id.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._held: OrderedDict[str, _Held] = OrderedDict()
        """By session, the longest unused first."""

    async def _choose_replica_for_request(self, pending_request: Any, *, is_retry: bool = False) -> Any:
        """`is_retry`: the replica that was chosen before is full, or could not be reached."""
        session = pending_request.metadata.session_id
        if session and self.curr_replicas and not is_retry:
            return self._holder(session) or self._held_by(self._holds_fewest(), session)
        chosen = await super()._choose_replica_for_request(pending_request, is_retry=is_retry)
        if session and self._holder(session) is None:
            self._held_by(chosen, session)
        return chosen

    def _holder(self, session: str) -> Any | None:
        """The replica, if it is still there."""
        held = self._held.get(session)
        named = held.replica if held else session
        for replica_id, replica in self.curr_replicas.items():
            if replica_id.unique_id == named:
                return self._held_by(replica, session) if held else replica
        return None

    def _holds_fewest(self) -> Any:
        """One of several at random: other ingresses choose too, and know nothing of this one's choice."""
        sessions = Counter(held.replica for held in self._held.values())
        return min(
            self.curr_replicas.values(),
            key=lambda replica: (sessions[replica.replica_id.unique_id], random.random()),
        )

    def _held_by(self, replica: Any, session: str) -> Any:
        """Notes it; returns the replica."""
        now_s = self._get_curr_time_s()
        self._held[session] = _Held(replica.replica_id.unique_id, now_s)
        self._held.move_to_end(session)
        while len(self._held) > KEPT_SESSIONS or next(iter(self._held.values())).used_s < now_s - KEPT_S:
            self._held.popitem(last=False)
        return replica

    def on_replica_actor_unavailable(self, replica_id: Any) -> None:
        """A replica that cannot be reached holds nothing. Serve lists it until it knows that it is dead."""
        super().on_replica_actor_unavailable(replica_id)
        for session, held in list(self._held.items()):
            if held.replica == replica_id.unique_id:
                del self._held[session]
