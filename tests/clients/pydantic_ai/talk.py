"""Pydantic AI: an agent's session interrupts itself and calls the agent's functions."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from pydantic_ai import Agent
from pydantic_ai.messages import (
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    RealtimeSessionErrorEvent,
    RealtimeTurnCompleteEvent,
    SpeechPart,
    SpeechPartDelta,
    TextPart,
)
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.realtime import RealtimeSession
from pydantic_ai.realtime.openai import OpenAIRealtimeModel
from stagecraft import BYTES_PER_MS, GREETING, OUTPUT, QUESTION, Microphone, Seen, play


async def talk(url: str, scene: str, speech: bytes) -> Seen:
    seen = Seen()
    agent = Agent(instructions="Be brief.")

    if scene == "tool":

        @agent.tool_plain
        def weather(city: str) -> str:
            """How the weather is."""
            seen.called.append(("weather", {"city": city}))
            return OUTPUT

    spoken = scene in ("voice", "barge_in")
    model = OpenAIRealtimeModel(
        "scripted",
        provider=OpenAIProvider(base_url=f"{url}/v1", api_key="none"),
        settings={"output_modality": "audio" if spoken else "text"},
    )
    async with agent.realtime(model).session(handle_barge_in=spoken) as session:
        if spoken:
            async with playing(session), Microphone(speech, session.send_audio) as microphone:
                microphone.speak()
                await watch(session, seen, microphone if scene == "barge_in" else None)
        else:
            await session.send(QUESTION if scene == "tool" else GREETING)
            await watch(session, seen)
        told(session, seen)
    return seen


@contextlib.asynccontextmanager
async def playing(session: RealtimeSession) -> AsyncIterator[None]:
    """A loudspeaker: it takes the next stretch of sound when it has played the last."""

    async def play_on() -> None:
        async for chunk in session.stream_audio():
            await asyncio.sleep(len(chunk) / BYTES_PER_MS / 1000)

    task = asyncio.create_task(play_on())
    yield
    task.cancel()
    await asyncio.wait([task])


async def watch(session: RealtimeSession, seen: Seen, barge_in_with: Microphone | None = None) -> None:
    """What happens until an answer is over; one more where the first is interrupted."""
    interrupted, bytes_ = False, 0
    async for event in session:
        match event:
            case RealtimeSessionErrorEvent():
                seen.errors.append(event.message)
            case PartDeltaEvent(delta=SpeechPartDelta(speaker="assistant", audio_chunk=bytes() as chunk)):
                bytes_ += len(chunk)
                if barge_in_with:
                    barge_in_with.speak()
                    barge_in_with, interrupted = None, True
            case RealtimeTurnCompleteEvent():
                seen.sound_ms.append(bytes_ // BYTES_PER_MS)
                bytes_ = 0
                if not interrupted:
                    return
                interrupted = False


def told(session: RealtimeSession, seen: Seen) -> None:
    """What the session's own history makes of it."""
    for message in session.all_messages():
        for part in message.parts:
            match message, part:
                case ModelRequest(), SpeechPart():
                    seen.heard.append(part.content)
                case ModelResponse(), SpeechPart():
                    seen.said.append(part.content)
                    seen.interrupted |= message.state == "interrupted"
                case ModelResponse(), TextPart():
                    seen.said.append(part.content)


play(talk)
