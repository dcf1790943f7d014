"""Talks to a server of the Realtime API, with a question from a WAV file or freely.

    python examples/talk.py ws://127.0.0.1:8765/v1/realtime question.wav answer.wav
    python examples/talk.py ws://127.0.0.1:8765/v1/realtime --mic

The question is mono with 16 bits. --mic needs `pip install sounddevice`; speak over the agent and it stops.
Wear a headset: nothing here keeps the agent from hearing itself.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import soxr
from websockets.asyncio.client import ClientConnection, connect

HZ, CHUNK = 24_000, 960  # 40 ms


@dataclass
class Speaker:
    """What is still to be played."""

    pcm: bytearray = field(default_factory=bytearray)
    is_held: bool = False

    def take(self, length: int) -> bytes:
        """What to play now: silence while held, and when there is no more."""
        taken = b"" if self.is_held else bytes(self.pcm[:length])
        del self.pcm[: len(taken)]
        return taken.ljust(length, b"\0")


async def recording(path: str) -> AsyncIterator[bytes]:
    """As a microphone would give it, then silence, by which the server hears that the question is over."""
    with wave.open(path) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        pcm = soxr.resample(samples, file.getframerate(), HZ).astype("<i2").tobytes()
    clock = asyncio.get_running_loop().time
    start_s, position = clock(), 0
    while True:
        await asyncio.sleep(start_s + position / (2 * HZ) - clock())
        yield pcm[position : position + 2 * CHUNK].ljust(2 * CHUNK, b"\0")
        position += 2 * CHUNK


async def microphone(speaker: Speaker) -> AsyncIterator[bytes]:
    """The sound card: also plays what is in `speaker`."""
    import sounddevice

    loop, heard = asyncio.get_running_loop(), asyncio.Queue[bytes]()

    def exchange(sound: Any, play: Any, frames: int, *_: Any) -> None:
        loop.call_soon_threadsafe(heard.put_nowait, bytes(sound))
        play[:] = speaker.take(2 * frames)

    with sounddevice.RawStream(HZ, CHUNK, channels=1, dtype="int16", callback=exchange):
        while True:
            yield await heard.get()


async def send(server: ClientConnection, sound: AsyncIterator[bytes]) -> None:
    async for pcm in sound:
        append = {"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()}
        await server.send(json.dumps(append))


def obey(event: dict[str, Any], speaker: Speaker) -> None:
    match event:
        case {"type": "response.output_audio.delta", "delta": sound}:
            speaker.pcm += base64.b64decode(sound)
        case {"type": "input_audio_buffer.speech_started"} | {
            "type": "response.done",
            "response": {"status": "cancelled"},
        }:
            speaker.pcm.clear()  # whatever is still to be played was interrupted
            speaker.is_held = False
        case {"type": "antiphon.output.hold"}:
            speaker.is_held = True  # there was a sound, and the server is finding out what it means
        case {"type": "antiphon.output.resume" | "response.done"}:
            speaker.is_held = False


async def talk(url: str, question: str | None, answer: str | None) -> None:
    speaker = Speaker()
    async with connect(f"{url}?model=antiphon&antiphon=hold", max_size=None) as server:
        session = {"type": "realtime", "audio": {"input": {"transcription": {"model": "default"}}}}
        await server.send(json.dumps({"type": "session.update", "session": session}))
        sending = asyncio.create_task(send(server, recording(question) if question else microphone(speaker)))
        async for message in server:
            event = json.loads(message)
            obey(event, speaker)
            match event:
                case {"type": "conversation.item.input_audio_transcription.completed", "transcript": words}:
                    print("you:  ", words)
                case {"type": "response.output_audio_transcript.done", "transcript": words}:
                    print("agent:", words)
                case {"type": "error", "error": {"message": words}}:
                    print("error:", words)
                case {"type": "response.done", "response": {"status": "completed" | "failed"}} if question:
                    break
        sending.cancel()
    if answer:
        with wave.open(answer, "wb") as file:
            file.setparams((1, 2, HZ, 0, "NONE", ""))
            file.writeframes(speaker.pcm)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("question", nargs="?", help="WAV file to ask with")
    parser.add_argument("answer", nargs="?", help="WAV file for the answer")
    parser.add_argument("--mic", action="store_true", help="use the sound card instead")
    chosen = parser.parse_args()
    if chosen.mic == bool(chosen.question):
        parser.error("give either a question or --mic")
    asyncio.run(talk(chosen.url, chosen.question, chosen.answer))
