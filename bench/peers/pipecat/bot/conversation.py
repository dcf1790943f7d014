"""One client's conversation: a pipeline over the loaded models, ended when the client leaves."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from fastapi import WebSocket
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

from bench.peers import Turn
from bench.peers.pipecat.bot.services import LanguageModel, Recogniser, Voice
from conversation.stages import Asr, Llm, Tts


@dataclass(frozen=True, slots=True)
class Models:
    """What all conversations share.

    Attributes:
        voice_hz: rate of the voice.
    """

    asr: Asr
    llm: Llm
    tts: Tts
    voice_hz: int
    instructions: str


def turns(turn: Turn) -> UserTurnStrategies:
    """Who ends the user's turn. By default it is Smart Turn, asked after the 200 ms of silence from which the
    VAD says that speech has stopped. Without a model it is SpeechTimeout, which then waits another 600 ms, or
    as long as it is told: not at all is as soon as Pipecat can be."""
    match turn:
        case "smart":
            return UserTurnStrategies()
        case "timeout":
            return UserTurnStrategies(stop=[SpeechTimeoutUserTurnStopStrategy()])
        case "silence":
            return UserTurnStrategies(stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.0)])


async def converse(websocket: WebSocket, models: Models, turn: Turn) -> None:
    """Until the client leaves."""
    transport = FastAPIWebsocketTransport(
        websocket,
        FastAPIWebsocketParams(
            audio_in_enabled=True, audio_out_enabled=True, serializer=ProtobufFrameSerializer()
        ),
    )
    user, assistant = LLMContextAggregatorPair(
        LLMContext(),
        user_params=LLMUserAggregatorParams(
            vad_analyzer=SileroVADAnalyzer(), user_turn_strategies=turns(turn)
        ),
    )
    pipeline = Pipeline(
        [
            transport.input(),
            Recogniser(models.asr),
            user,
            LanguageModel(models.llm, models.instructions, session=uuid4().hex),
            Voice(models.tts, models.voice_hz),
            transport.output(),
            assistant,
        ]
    )
    worker = PipelineWorker(pipeline)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)

    @transport.event_handler("on_client_disconnected")
    async def left(_transport: FastAPIWebsocketTransport, _client: WebSocket) -> None:
        await runner.cancel()

    await runner.run()
