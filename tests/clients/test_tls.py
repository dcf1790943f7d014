"""deploy/nginx.conf between clients and a server: nothing that is said is changed on its way."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import websockets
from openai import AsyncOpenAI, DefaultAsyncHttpxClient
from openai.types.websocket_connection_options import WebsocketConnectionOptions

from deployments.ingress.page import WEB
from deployments.local_ray import free_ports
from tests.clients.tls_proxy import TlsProxy, tls_proxy
from tests.serve.server import GONE_WITHIN_S, Server, configuration, launched

pytestmark = pytest.mark.clients

KEY = "a-key-of-more-than-16-characters"
MAX_SESSIONS = 2
SESSION_S = 8.0
"""Enough for a turn in text on a busy machine."""
TOLD_WITHIN_S = 30.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = tmp_path_factory.mktemp("server")
    ingress = {"max_sessions": MAX_SESSIONS, "cpus": 0.1, "limits": {"session_s": SESSION_S}}
    config = configuration(place / "short.yaml", ingress=ingress)
    server = launched(config, free_ports(1)[0], place / "told.txt", environment={"ANTIPHON_API_KEYS": KEY})
    try:
        server.up()
        yield server
    finally:
        server.process.terminate()
        server.process.wait(GONE_WITHIN_S)


@pytest.fixture(scope="module")
def proxy(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsProxy]:
    with tls_proxy(server.port, tmp_path_factory.mktemp("nginx")) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def trust(proxy: TlsProxy) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=proxy.authority)


@pytest.fixture
async def idle(server: Server) -> None:
    """The sessions of the test before are over."""
    async with asyncio.timeout(TOLD_WITHIN_S):
        while (await asyncio.to_thread(server.health))["sessions"]:
            pass


def connect(proxy: TlsProxy, trust: ssl.SSLContext, key: str = KEY, **options: Any) -> websockets.connect:
    return websockets.connect(
        f"wss://{proxy.host}/v1/realtime?model=m",
        ssl=trust,
        additional_headers={"Authorization": f"Bearer {key}"},
        max_size=None,
        **options,
    )


async def until(client: websockets.ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(TOLD_WITHIN_S):
        while True:
            event: dict[str, Any] = json.loads(await client.recv())
            assert event["type"] != "error", event
            if event["type"] == kind:
                return event


async def closing(client: websockets.ClientConnection) -> tuple[int | None, str | None]:
    async with asyncio.timeout(TOLD_WITHIN_S):
        await client.wait_closed()
    return client.close_code, client.close_reason


def asked(proxy: TlsProxy, trust: ssl.SSLContext, path: str, body: Any = None) -> tuple[int, bytes]:
    request = urllib.request.Request(
        f"https://{proxy.host}{path}",
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {KEY}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TOLD_WITHIN_S, context=trust) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


@pytest.mark.usefixtures("idle")
async def test_a_turn_in_text(proxy: TlsProxy, trust: ssl.SSLContext) -> None:
    realtime = websockets.Subprotocol("realtime")
    async with connect(proxy, trust, subprotocols=[realtime]) as client:
        assert client.subprotocol == realtime
        session = {"type": "realtime", "output_modalities": ["text"]}
        await client.send(json.dumps({"type": "session.update", "session": session}))
        await client.send(json.dumps({"type": "response.create"}))
        done = await until(client, "response.done")
    assert done["response"]["status"] == "completed"
    assert done["response"]["output"][0]["content"][0]["text"]


@pytest.mark.usefixtures("idle")
async def test_a_turn_of_the_openai_package_in_the_beta_dialect(
    proxy: TlsProxy, trust: ssl.SSLContext
) -> None:
    client = AsyncOpenAI(
        base_url=f"https://{proxy.host}/v1", api_key=KEY, http_client=DefaultAsyncHttpxClient(verify=trust)
    )
    options: WebsocketConnectionOptions = {"ssl": trust}  # type: ignore[typeddict-unknown-key]
    async with (
        client,
        client.beta.realtime.connect(model="m", websocket_connection_options=options) as session,
        asyncio.timeout(TOLD_WITHIN_S),
    ):
        await session.session.update(session={"modalities": ["text"]})
        await session.response.create()
        kinds, said = [], ""
        async for event in session:
            kinds.append(event.type)
            if event.type == "response.text.delta":
                said += event.delta
            elif event.type == "response.text.done":
                assert said == event.text
            elif event.type == "response.done":
                break
        made = await client.beta.realtime.sessions.create(voice="ben")
    assert said
    assert {"session.updated", "conversation.item.created", "response.text.done"} < set(kinds)
    assert (made.voice, made.client_secret.value[:3]) == ("ben", "ek_")


@pytest.mark.usefixtures("idle")
async def test_an_event_of_twenty_megabytes(proxy: TlsProxy, trust: ssl.SSLContext) -> None:
    async with connect(proxy, trust) as client:
        await until(client, "session.created")
        await client.send(json.dumps({"type": "no.such.event", "filler": "x" * 20_000_000}))
        async with asyncio.timeout(TOLD_WITHIN_S):
            assert json.loads(await client.recv())["error"]["code"] == "invalid_value"


@pytest.mark.usefixtures("idle")
async def test_the_end_of_a_session(proxy: TlsProxy, trust: ssl.SSLContext) -> None:
    async with connect(proxy, trust) as client:
        code, reason = await closing(client)
    assert code == 1001
    assert reason is not None
    assert "maximum duration" in reason


async def test_a_wrong_key(proxy: TlsProxy, trust: ssl.SSLContext) -> None:
    async with connect(proxy, trust, "not-a-key-of-this-server") as client:
        assert await closing(client) == (3000, "invalid_request_error.invalid_api_key")


@pytest.mark.usefixtures("idle")
async def test_a_client_more_than_there_is_room_for(proxy: TlsProxy, trust: ssl.SSLContext) -> None:
    async with connect(proxy, trust) as first, connect(proxy, trust) as second:
        await until(first, "session.created")
        await until(second, "session.created")
        with pytest.raises(websockets.InvalidStatus) as refused:
            await connect(proxy, trust)
    assert refused.value.response.status_code == 503
    assert int(refused.value.response.headers["Retry-After"]) > 0


@pytest.mark.usefixtures("idle")
async def test_pages_are_told_apart_by_their_origin(proxy: TlsProxy, trust: ssl.SSLContext) -> None:
    own = websockets.Origin(f"https://{proxy.host}")
    async with connect(proxy, trust, origin=own) as client:
        await until(client, "session.created")
    with pytest.raises(websockets.InvalidStatus) as refused:
        await connect(proxy, trust, origin=websockets.Origin("https://elsewhere.example"))
    assert refused.value.response.status_code == 403


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize("path", ["client_secrets", "sessions"])
async def test_a_client_secret_is_made_and_opens_a_session(
    proxy: TlsProxy, trust: ssl.SSLContext, path: str
) -> None:
    status, answer = await asyncio.to_thread(asked, proxy, trust, f"/v1/realtime/{path}", {})
    made = json.loads(answer)
    assert status == 200, made
    secret = made["value"] if path == "client_secrets" else made["client_secret"]["value"]
    async with connect(proxy, trust, secret) as client:
        await until(client, "session.created")


def test_the_page_and_its_files(proxy: TlsProxy, trust: ssl.SSLContext) -> None:
    files = ["", "healthz", *(file.name for file in WEB.iterdir())]
    assert {file: asked(proxy, trust, f"/{file}")[0] for file in files} == dict.fromkeys(files, 200)


@pytest.mark.parametrize(
    "path",
    ["/-/routes", "/-/healthz", "/%2d/routes", "/api/version", "/v1/realtime/calls", "/web/app.js", "/.env"],
)
def test_nothing_else_is_there(proxy: TlsProxy, trust: ssl.SSLContext, path: str) -> None:
    status, answer = asked(proxy, trust, path)
    assert (status, b"nginx" in answer) == (404, True)


def test_plain_words_on_the_port_of_tls_are_refused(proxy: TlsProxy) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://{proxy.host}/", timeout=TOLD_WITHIN_S)
    assert refused.value.code == 400
    refused.value.close()


@pytest.mark.usefixtures("idle")
async def test_a_server_that_stops(server: Server, proxy: TlsProxy, trust: ssl.SSLContext) -> None:
    """The last test: there is no server after it."""
    async with connect(proxy, trust) as client:
        await until(client, "session.created")
        server.process.send_signal(signal.SIGTERM)
        code, _ = await closing(client)
    assert code == 1012
