"""The door. It takes the sockets, and owns each session from the upgrade to the hang-up."""

# No postponed annotations here: the class is pickled by value, without the names that only its annotations
# use, and FastAPI could not tell the socket from a query parameter.

import asyncio
import logging
import os

from fastapi import FastAPI
from ray import serve
from ray.serve.context import _get_global_client
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket

from conversation.segments import Segments
from conversation.stages import Asr, Stages
from conversation.two_pass import TwoPass
from conversation.workload import Workload
from deployments.calls import (
    RemoteAsr,
    RemoteLlm,
    RemoteSegmentAsr,
    RemoteTts,
    RemoteTurn,
    RemoteVad,
    is_ready,
)
from deployments.config import Config
from deployments.hosting import listen_on_loopback_if_asked, log_to_the_replicas_file
from deployments.ingress.app import (
    SUBPROTOCOL,
    new_beta_session,
    new_secret,
    opening_of,
    refusal_of_page,
    refusal_when_full,
    wire,
)
from deployments.ingress.client_secrets import ClientSecrets
from deployments.ingress.keys import Refusal, keys_in, require_keys_beyond_loopback
from deployments.ingress.one_loop import require_one_loop
from deployments.ingress.page import page
from deployments.ingress.transport import set_uvicorn_limits
from realtime.session import converse, turn_away

HANG_UP_S = 2.0
"""For all closing handshakes together."""

_log = logging.getLogger("deployments.ingress")

app = FastAPI(openapi_url=None)


def recogniser(asr: DeploymentHandle, final: DeploymentHandle | None, *, streams: bool) -> Asr:
    """One recogniser for the conversations, whatever there is."""
    if not streams:
        return Segments(RemoteSegmentAsr(asr))
    if final is None:
        return RemoteAsr(asr)
    return TwoPass(RemoteAsr(asr), RemoteSegmentAsr(final, stage="asr_final"))


@serve.deployment(name="ingress")
@serve.ingress(app)
class Ingress:
    async def __init__(  # type: ignore[misc]  # Serve awaits it: the handles need a running loop
        self,
        config: Config,
        vad: DeploymentHandle,
        asr: DeploymentHandle,
        llm: DeploymentHandle,
        tts: DeploymentHandle,
        turn: DeploymentHandle | None = None,
        asr_final: DeploymentHandle | None = None,
    ) -> None:
        require_one_loop()
        log_to_the_replicas_file()
        listen_on_loopback_if_asked()
        limits = config.ingress.limits
        set_uvicorn_limits(ping_every_s=limits.ping_every_s, pong_within_s=limits.pong_within_s)
        self._config = config
        self._keys = keys_in(os.environ)
        self._secrets = ClientSecrets(self._keys, config.session)
        require_keys_beyond_loopback(_get_global_client().http_config.host, self._keys)
        handles = {"vad": vad, "turn": turn, "asr": asr, "asr_final": asr_final, "llm": llm, "tts": tts}
        self._handles = {name: handle for name, handle in handles.items() if handle is not None}
        self._stages = Stages(
            vad=RemoteVad(vad),
            asr=recogniser(asr, asr_final, streams=config.asr_streams),
            llm=RemoteLlm(llm),
            tts=RemoteTts(tts),
            turn=None if turn is None else RemoteTurn(turn),
        )
        self._workload = Workload(config.ingress.answers_at_once, config.ingress.sessions_at_ease)
        self._sessions: set[asyncio.Task[None]] = set()

    @app.get("/healthz")
    async def healthz(self) -> JSONResponse:
        """200 once every stage has answered a call, else 503 with those that did not."""
        answers = await asyncio.gather(*(is_ready(name, handle) for name, handle in self._handles.items()))
        waiting = [name for name, answered in zip(self._handles, answers, strict=True) if not answered]
        return JSONResponse(
            {
                "ready": not waiting,
                "waiting_for": waiting,
                "sessions": len(self._sessions),
                "max_sessions": self._config.ingress.max_sessions,
            },
            status_code=503 if waiting else 200,
        )

    @app.websocket("/v1/realtime")
    async def realtime(self, socket: WebSocket) -> None:
        settings = self._config.ingress
        no = refusal_of_page(socket, keyed=bool(self._keys), origins=settings.origins)
        if no is not None:
            await socket.send_denial_response(no)
            return
        subprotocols = socket.scope["subprotocols"]
        subprotocol = SUBPROTOCOL if SUBPROTOCOL in subprotocols else None
        opening = opening_of(socket, self._keys, self._secrets)
        if isinstance(opening, Refusal):
            await socket.accept(subprotocol)
            await turn_away(wire(socket), opening.error, opening.close_reason)
            return
        full = refusal_when_full(len(self._sessions), settings.max_sessions)
        if full is not None:
            await socket.send_denial_response(full)
            return
        task = asyncio.current_task()
        assert task is not None
        self._sessions.add(task)
        try:
            await socket.accept(subprotocol)
            await converse(
                wire(socket),
                self._stages,
                opening,
                defaults=self._config.session,
                tuning=self._config.conversation,
                limits=settings.limits,
                workload=self._workload,
            )
        finally:
            self._sessions.discard(task)

    @app.post("/v1/realtime/client_secrets")
    async def client_secrets(self, request: Request) -> Response:
        origins = self._config.ingress.origins
        no = refusal_of_page(request, keyed=bool(self._keys), origins=origins)
        return no or await new_secret(request, self._keys, self._secrets)

    @app.post("/v1/realtime/sessions")
    async def beta_sessions(self, request: Request) -> Response:
        no = refusal_of_page(request, keyed=bool(self._keys), origins=self._config.ingress.origins)
        return no or await new_beta_session(request, self._keys, self._secrets, "realtime")

    @app.post("/v1/realtime/transcription_sessions")
    async def beta_transcription_sessions(self, request: Request) -> Response:
        no = refusal_of_page(request, keyed=bool(self._keys), origins=self._config.ingress.origins)
        return no or await new_beta_session(request, self._keys, self._secrets, "transcription")

    @app.get("/{path:path}")  # after all others: it takes whatever they leave
    async def page(self, path: str, request: Request) -> Response:
        return await page(path, request)

    async def ready(self) -> bool:
        return True

    async def hang_up(self) -> int:
        """Ends every session; each client is told (1012). Returns how many there were."""
        sessions = set(self._sessions)
        for session in sessions:
            session.cancel()
        if sessions:
            _, left = await asyncio.wait(sessions, timeout=HANG_UP_S)
            if left:
                _log.warning("%d of %d sessions have not ended in %g s", len(left), len(sessions), HANG_UP_S)
        return len(sessions)
