"""The program: `python -m bench.peers.pipecat.bot --stages scripted --turn smart --port 7860`.

It loads the models of a configuration of this project, once, and gives each WebSocket at /ws-client a
pipeline of its own, as Pipecat's development runner does. It prints `ready` when a client may connect.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from socket import socket
from typing import get_args

import uvicorn
from fastapi import FastAPI, WebSocket
from loguru import logger

from bench.peers import CONFIGS, Turn
from bench.peers.pipecat.bot.conversation import Models, converse
from conversation.audio import Audio
from conversation.segments import Segments
from conversation.stages import Tts
from deployments.config import Config, load_config
from deployments.loading import load


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.peers.pipecat.bot")
    parser.add_argument("--stages", choices=CONFIGS, default="laptop")
    parser.add_argument("--turn", choices=get_args(Turn), default="smart")
    parser.add_argument("--port", type=int, default=7860)
    arguments = parser.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    models = asyncio.run(loaded(load_config(CONFIGS[arguments.stages])))
    routes = application(models, arguments.turn)
    Server(uvicorn.Config(routes, port=arguments.port, log_level="warning")).run()


async def loaded(config: Config) -> Models:
    """As the server of this project loads them. The recogniser gets whole segments from Pipecat."""
    asr = load(config.asr.model, config.asr.options)
    tts: Tts = load(config.tts.model, config.tts.options)
    rates_hz = {part.rate_hz async for part in tts.speak("Ready.", "default") if isinstance(part, Audio)}
    return Models(
        asr=asr if config.asr_streams else Segments(asr),
        llm=load(config.llm.model, config.llm.options),
        tts=tts,
        voice_hz=rates_hz.pop(),
        instructions=config.session.instructions,
    )


def application(models: Models, turn: Turn) -> FastAPI:
    routes = FastAPI()

    @routes.websocket("/ws-client")
    async def client(websocket: WebSocket) -> None:
        await websocket.accept()
        await converse(websocket, models, turn)

    return routes


class Server(uvicorn.Server):
    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        print("ready", flush=True)


if __name__ == "__main__":
    main()
