"""Pipecat: a pipeline whose ears, thoughts and voice are its OpenAI Realtime service."""

from __future__ import annotations

import asyncio
import sys

from loguru import logger
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMRunFrame,
    OutputAudioRawFrame,
    StartFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    AssistantTurnStoppedMessage,
    LLMContextAggregatorPair,
    LLMUserAggregator,
    LLMUserAggregatorParams,
    UserTurnMessageAddedMessage,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.realtime.events import (
    AudioConfiguration,
    AudioInput,
    InputAudioTranscription,
    SessionProperties,
)
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.turns.user_turn_strategies import ExternalUserTurnStrategies
from pipecat.workers.runner import WorkerRunner
from stagecraft import BYTES_PER_MS, GREETING, OUTPUT, QUESTION, Microphone, Seen, play

HZ = 24_000


class Loudspeaker(BaseOutputTransport):
    """Plays at the pace of sound; counts the answers that were interrupted, and the sound of each answer."""

    def __init__(self, seen: Seen) -> None:
        super().__init__(
            TransportParams(audio_out_enabled=True, audio_out_sample_rate=HZ, audio_out_auto_silence=False)
        )
        self._seen, self._bytes = seen, 0
        self._barge_in_with: Microphone | None = None

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, InterruptionFrame) and self._bytes:
            self._seen.interrupted = True
        await super().process_frame(frame, direction)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        self._bytes += len(frame.audio)
        if self._barge_in_with:
            self._barge_in_with.speak()
            self._barge_in_with = None
        await asyncio.sleep(len(frame.audio) / BYTES_PER_MS / 1000)
        return True

    def forget(self) -> None:
        """The greeting is over."""
        self._bytes = 0

    def barge_in(self, microphone: Microphone) -> None:
        """Over the sound that is played next."""
        self._barge_in_with = microphone

    def answered(self) -> None:
        self._seen.sound_ms.append(self._bytes // BYTES_PER_MS)
        self._bytes = 0


def barge_in_once(ears: LLMUserAggregator, loudspeaker: Loudspeaker, microphone: Microphone) -> None:
    """Over the first answer, when the question is in Pipecat's context.

    It is written there a second into the answer; who has spoken again by then has said one thing.
    """
    microphones = [microphone]

    @ears.event_handler("on_user_turn_message_added")
    async def written(aggregator: object, message: UserTurnMessageAddedMessage) -> None:
        if microphones:
            loudspeaker.barge_in(microphones.pop())


async def talk(url: str, scene: str, speech: bytes) -> Seen:
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    seen, spoken = Seen(), scene in ("voice", "barge_in")

    async def weather(params: FunctionCallParams, city: str) -> None:
        """How the weather is.

        Args:
            city: Where.
        """
        seen.called.append(("weather", {"city": city}))
        await params.result_callback(OUTPUT)

    # A bot's first answer is to its context; only then does the service hear a conversation.
    context = LLMContext(
        [{"role": "user", "content": QUESTION if scene == "tool" else GREETING}],
        tools=[weather] if scene == "tool" else [],
    )
    llm = OpenAIRealtimeLLMService(
        api_key="none",
        base_url=url.replace("http", "ws", 1) + "/v1/realtime",
        settings=OpenAIRealtimeLLMService.Settings(
            model="scripted",
            session_properties=SessionProperties(
                output_modalities=["audio" if spoken else "text"],
                audio=AudioConfiguration(input=AudioInput(transcription=InputAudioTranscription())),
            ),
        ),
    )
    ears, memory = LLMContextAggregatorPair(
        context, user_params=LLMUserAggregatorParams(user_turn_strategies=ExternalUserTurnStrategies())
    )
    worker: PipelineWorker

    async def hear(pcm: bytes) -> None:
        await worker.queue_frame(InputAudioRawFrame(pcm, HZ, 1))

    microphone = Microphone(speech, hear)
    loudspeaker = Loudspeaker(seen)
    worker = PipelineWorker(Pipeline([ears, llm, loudspeaker, memory]), enable_rtvi=False)
    greeted, over = asyncio.Event(), asyncio.Event()

    if scene == "barge_in":
        barge_in_once(ears, loudspeaker, microphone)

    @memory.event_handler("on_assistant_turn_stopped")
    async def answered(aggregator: object, message: AssistantTurnStoppedMessage) -> None:
        if spoken and not greeted.is_set():
            loudspeaker.forget()
            greeted.set()
        elif message.content:
            seen.said.append(message.content)
            loudspeaker.answered()
            if len(seen.said) == (2 if scene == "barge_in" else 1):
                over.set()

    @worker.event_handler("on_pipeline_error")
    async def failed(worker: object, frame: Frame) -> None:
        seen.errors.append(str(frame))

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    await worker.queue_frame(LLMRunFrame())
    if spoken:
        async with microphone:
            await greeted.wait()
            microphone.speak()
            await over.wait()
        seen.heard = [message["content"] for message in context.messages[1:] if message["role"] == "user"]
    else:
        await over.wait()
    await worker.cancel()
    await running
    return seen


play(talk)
