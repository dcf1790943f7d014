"""Which pages may talk to a server."""

from __future__ import annotations

import pytest
from starlette.websockets import WebSocket

from deployments.ingress.app import refusal_of_page


def is_refused(origin: str | None, host: str, *, keyed: bool = False) -> bool:
    headers = [(b"host", host.encode())]
    if origin is not None:
        headers.append((b"origin", origin.encode()))

    async def nothing(*_: object) -> None:
        raise AssertionError("nothing is said at the door")

    socket = WebSocket({"type": "websocket", "headers": headers}, nothing, nothing)  # type: ignore[arg-type]
    refusal = refusal_of_page(socket, keyed=keyed, origins=["https://listed.example"])
    return refusal is not None


@pytest.mark.parametrize("host", ["localhost:8765", "127.0.0.1:8765", "[::1]:8765", "192.168.1.5"])
def test_a_page_of_this_server_may(host: str) -> None:
    assert not is_refused(f"http://{host}", host)


def test_what_is_no_page_may() -> None:
    assert not is_refused(None, "anything.example")


@pytest.mark.parametrize("keyed", [True, False])
def test_others_may_not_unless_they_are_listed(keyed: bool) -> None:
    assert is_refused("https://evil.example", "localhost:8765", keyed=keyed)
    assert is_refused("null", "localhost:8765", keyed=keyed)
    assert not is_refused("https://listed.example", "localhost:8765", keyed=keyed)


def test_a_name_that_was_made_to_point_here_is_no_name_of_ours_unless_a_key_is_asked_for() -> None:
    assert is_refused("http://evil.example:8765", "evil.example:8765")
    assert not is_refused("https://talk.example", "talk.example", keyed=True)
    assert not is_refused("https://listed.example", "listed.example")
