"""Stands for the application that deploy/llm-application.yaml describes: the same address, no model."""

# No postponed annotations here: FastAPI reads them, and the class is pickled by value.

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request
from ray import serve
from ray.serve import Application
from starlette.responses import StreamingResponse

app = FastAPI()


@serve.deployment(name="chat", ray_actor_options={"num_cpus": 0.1}, graceful_shutdown_timeout_s=1)
@serve.ingress(app)
class Chat:
    """Says which environment it runs in, and goes on saying it to whoever asks it to."""

    def __init__(self) -> None:
        self._left = asyncio.Event()

    @app.post("/v1/chat/completions")
    async def completions(self, request: Request) -> StreamingResponse:
        asked = (await request.json())["messages"][-1]["content"]
        return StreamingResponse(self._said(endless=asked == "Go on."), media_type="text/event-stream")

    async def _said(self, *, endless: bool) -> AsyncIterator[str]:
        try:
            yield self._event({"content": sys.prefix})
            while endless:
                await asyncio.sleep(0.01)
                yield self._event({"content": "."})
            yield self._event({}, "stop")
        finally:
            if endless:
                self._left.set()

    @staticmethod  # a module's own functions do not travel with the class
    def _event(delta: dict[str, Any], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {
            "id": "1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [choice],
        }
        return f"data: {json.dumps(chunk)}\n\n"

    async def left(self) -> bool:
        """Once nobody listens to the endless reply any more."""
        return await self._left.wait()


def build(args: dict[str, Any]) -> Application:
    chat: Any = Chat  # a Deployment, which Ray does not say
    return chat.bind()
