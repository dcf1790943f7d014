"""This project's models as services of Pipecat, each shaped like Pipecat's own service for a local model.

The models run on threads of their own, so that none holds the event loop. A service here is what its author
is told to write and no more: Pipecat's base classes decide what a segment is, when a sentence is spoken and
how sound is cut and paced.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from pipecat.adapters.llm.services.open_ai_adapter import OpenAILLMAdapter
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TranscriptionFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings, STTSettings, TTSSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.services.tts_service import TTSService
from pipecat.utils.time import time_now_iso8601

from conversation.audio import HEARING_HZ, Audio, from_pcm16, to_pcm16
from conversation.errors import StageError
from conversation.stages import Asr, Llm, Message, ReplyParams, TextDelta, Tts


class Recogniser(SegmentedSTTService):
    """As Pipecat's Moonshine service: a segment of PCM in, its words out."""

    def __init__(self, model: Asr) -> None:
        settings = STTSettings(model="", language="en")
        super().__init__(sample_rate=HEARING_HZ, settings=settings, ttfs_p99_latency=1.0)
        self._model = model

    @property
    def wants_wav_segments(self) -> bool:
        return False

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame, None]:
        transcript, _ = await self._model.step(from_pcm16(audio, HEARING_HZ), None, final=True)
        if transcript.text:
            yield TranscriptionFrame(transcript.text, self._user_id, time_now_iso8601())


class LanguageModel(LLMService):
    """As Pipecat's OpenAI service, but without HTTP: text goes on as it comes."""

    adapter_class = OpenAILLMAdapter

    def __init__(self, model: Llm, instructions: str, session: str) -> None:
        super().__init__(settings=LLMSettings(model="", system_instruction=instructions or None))
        self._model, self._params = model, ReplyParams(session=session)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        await self.push_frame(LLMFullResponseStartFrame())
        try:
            await self._answer(frame.context)
        except StageError as error:
            await self.push_error(error_msg=str(error), exception=error)
        finally:
            await self.push_frame(LLMFullResponseEndFrame())

    async def _answer(self, context: LLMContext) -> None:
        invocation = await self.get_llm_adapter().get_llm_invocation_params(
            context,
            system_instruction=self._settings.system_instruction,
            convert_developer_to_user=True,
        )
        messages = [Message(told["role"], _text(told["content"])) for told in invocation["messages"]]
        async with aclosing(self._model.reply(messages, params=self._params)) as parts:
            async for part in parts:
                if isinstance(part, TextDelta):
                    await self._push_llm_text(part.text)


class Voice(TTSService):
    """As Pipecat's Piper service: sound goes on as it comes, at the rate of the pipeline."""

    def __init__(self, model: Tts, rate_hz: int) -> None:
        """
        Args:
            rate_hz: of the model.
        """
        settings = TTSSettings(model=None, voice="default", language=None)
        super().__init__(push_start_frame=True, push_stop_frames=True, settings=settings)
        self._model, self._rate_hz = model, rate_hz

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame, None]:
        try:
            async with aclosing(self._model.speak(text, "default")) as parts:
                frames = self._stream_audio_frames_from_iterator(
                    (to_pcm16(part) async for part in parts if isinstance(part, Audio)),
                    in_sample_rate=self._rate_hz,
                    context_id=context_id,
                )
                async for frame in frames:
                    yield frame
        except StageError as error:
            yield ErrorFrame(error=str(error))


def _text(content: Any) -> str:
    """Of a message whose content is text or parts of it."""
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content if part["type"] == "text")
