"""Takes a call to the replica that holds what it builds on: a recogniser's memory, the beginning of a prompt.

Knows Serve's request routers, nothing of stages. One router serves one caller's process; what it remembers is
not shared, since a session's calls all come from the ingress replica that owns it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from ray.serve._private.request_router.pow_2_router import PowerOfTwoChoicesRequestRouter

KEPT_SESSIONS = 4096
"""Whose replica is remembered; the longest unused is forgotten first. Many times what one ingress replica
carries, and less than 1 MB."""


class HolderFirst(PowerOfTwoChoicesRequestRouter):  # type: ignore[misc]  # Ray is untyped
    """Serve's own router, except that a call with a `session_id` goes to the replica that holds its memory.

    A `session_id` may be a replica's unique id (a ticket's): that is the holder. Any other stands for itself:
    its first call goes where Serve's choice between two puts it, and that replica is the holder from then on.

    Whether the holder has room only it knows, so it is asked; if it has none, that one call goes elsewhere
    and the next one asks the holder again: a busy moment must not lose what it holds. Only a holder that is
    gone is replaced. No call waits for another: of several first calls at once the later ones follow the
    first that was placed.

    Serve's own ConsistentHashRouter is no choice: in Ray 2.60 concurrent calls made for one request hang in
    it, since it tells them apart by that request's id.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._holders: OrderedDict[str, str] = OrderedDict()
        """Session to a replica's unique id, the longest unused first."""

    async def _choose_replica_for_request(self, pending_request: Any, *, is_retry: bool = False) -> Any:
        """`is_retry`: the replica that was chosen before is full, or could not be reached."""
        session = pending_request.metadata.session_id
        if session and not is_retry and (holder := self._holder(session)):
            return holder
        chosen = await super()._choose_replica_for_request(pending_request, is_retry=is_retry)
        if not session:
            return chosen
        holder = self._holder(session)  # perhaps since a moment ago, by another call of this session
        if holder is None:
            self._holders[session] = chosen.replica_id.unique_id
            if len(self._holders) > KEPT_SESSIONS:
                self._holders.popitem(last=False)
        return chosen if is_retry or holder is None else holder

    def _holder(self, session: str) -> Any | None:
        """The replica, if it is still there."""
        if session in self._holders:
            self._holders.move_to_end(session)
        unique_id = self._holders.get(session, session)
        for replica_id, replica in self.curr_replicas.items():
            if replica_id.unique_id == unique_id:
                return replica
        return None

    def on_replica_actor_unavailable(self, replica_id: Any) -> None:
        """A replica that cannot be reached holds nothing. Serve lists it until it knows that it is dead."""
        super().on_replica_actor_unavailable(replica_id)
        for session, unique_id in list(self._holders.items()):
            if unique_id == replica_id.unique_id:
                del self._holders[session]
