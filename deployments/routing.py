"""Takes a call to the replica that holds its memory."""

from __future__ import annotations

from typing import Any

from ray.serve._private.request_router.pow_2_router import PowerOfTwoChoicesRequestRouter


class HolderFirst(PowerOfTwoChoicesRequestRouter):  # type: ignore[misc]  # Ray is untyped
    """Serve's own router, except that a call whose `session_id` names a replica goes there at once.

    If that replica is gone or full, any other will do: it answers that it does not know the ticket. Serve's
    own ConsistentHashRouter is no choice: in Ray 2.60 concurrent calls made for one request hang in it.
    """

    async def _choose_replica_for_request(self, pending_request: Any, *, is_retry: bool = False) -> Any:
        named = pending_request.metadata.session_id
        if named and not is_retry:
            for replica_id, replica in self.curr_replicas.items():
                if replica_id.unique_id == named:
                    return replica
        return await super()._choose_replica_for_request(pending_request, is_retry=is_retry)
