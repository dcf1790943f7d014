"""The `openai` package: its connection gives typed events, and everything else is left to whoever uses it."""

from __future__ import annotations

import base64
import json
from typing import Any

from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from stagecraft import GREETING, OUTPUT, QUESTION, Microphone, Seen, Sounds, play

WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "How the weather is.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


async def talk(url: str, scene: str, speech: bytes) -> Seen:
    client = AsyncOpenAI(base_url=f"{url}/v1", api_key="none")
    async with client.realtime.connect(model="scripted") as connection:
        return await globals()[scene](connection, speech)


async def text(connection: AsyncRealtimeConnection, speech: bytes) -> Seen:
    await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
    await write(connection, GREETING)
    return await watch(connection, answers=1)


async def voice(connection: AsyncRealtimeConnection, speech: bytes) -> Seen:
    await listen(connection)
    async with Microphone(speech, lambda pcm: append(connection, pcm)) as microphone:
        microphone.speak()
        return await watch(connection, answers=1)


async def barge_in(connection: AsyncRealtimeConnection, speech: bytes) -> Seen:
    await listen(connection)
    async with Microphone(speech, lambda pcm: append(connection, pcm)) as microphone:
        microphone.speak()
        return await watch(connection, answers=2, barge_in_with=microphone)


async def tool(connection: AsyncRealtimeConnection, speech: bytes) -> Seen:
    await connection.session.update(
        session={"type": "realtime", "output_modalities": ["text"], "tools": [WEATHER]}
    )
    await write(connection, QUESTION)
    return await watch(connection, answers=1)


async def write(connection: AsyncRealtimeConnection, words: str) -> None:
    content = [{"type": "input_text", "text": words}]
    await connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
    await connection.response.create()


async def listen(connection: AsyncRealtimeConnection) -> None:
    hearing = {"transcription": {"model": "whisper-1"}}
    await connection.session.update(session={"type": "realtime", "audio": {"input": hearing}})


async def append(connection: AsyncRealtimeConnection, pcm: bytes) -> None:
    await connection.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())


async def watch(
    connection: AsyncRealtimeConnection, *, answers: int, barge_in_with: Microphone | None = None
) -> Seen:
    """What happens until so many answers are over."""
    seen, sounds = Seen(), Sounds(barge_in_with.speak if barge_in_with else None)
    async for event in connection:
        match event.type:
            case "error":
                seen.errors.append(event.error.message)
            case "conversation.item.input_audio_transcription.completed":
                seen.heard.append(event.transcript)
            case "response.output_audio.delta":
                sounds.add(event.item_id, base64.b64decode(event.delta))
            case "input_audio_buffer.speech_started":
                await fall_silent(connection, sounds)
            case "conversation.item.truncated":
                seen.interrupted = True
            case "response.function_call_arguments.done":
                seen.called.append((event.name, json.loads(event.arguments)))
                output = {"type": "function_call_output", "call_id": event.call_id, "output": OUTPUT}
                await connection.conversation.item.create(item=output)
            case "response.done":
                await answered(connection, event.response, seen, sounds)
                if len(seen.said) == answers:
                    return seen
    return seen


async def fall_silent(connection: AsyncRealtimeConnection, sounds: Sounds) -> None:
    if sounds.last is not None:
        await connection.conversation.item.truncate(
            item_id=sounds.last, content_index=0, audio_end_ms=sounds.ms(sounds.last)
        )


async def answered(connection: AsyncRealtimeConnection, response: Any, seen: Seen, sounds: Sounds) -> None:
    for item in response.output:
        if item.type == "function_call":
            await connection.response.create()
        else:
            [part] = item.content
            seen.said.append(part.transcript or part.text)
            seen.sound_ms.append(sounds.ms(item.id))


play(talk)
