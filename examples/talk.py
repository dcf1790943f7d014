"""Talks to a server of the Realtime API: a question from a WAV file, the answer to a WAV file; or freely.

    python examples/talk.py ws://127.0.0.1:8765/v1/realtime question.wav answer.wav
    python examples/talk.py ws://127.0.0.1:8765/v1/realtime --mic

The question may have any rate; it is mono, 16 bits. With --mic (needs `pip install sounddevice`) you may
interrupt the agent, and it stops. Wear a headset: nothing here keeps the agent from hearing itself.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import itertools
import json
import sys
import wave
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import soxr
from websockets.asyncio.client import ClientConnection, connect

HZ = 24_000
CHUNK_S = 0.04
CHUNK_BYTES = round(HZ * CHUNK_S) * 2


def recording(path: str) -> AsyncIterator[bytes]:
    """The file as a microphone would give it, then silence, by which the server hears that it is over."""
    with wave.open(path) as file:
        if (file.getnchannels(), file.getsampwidth()) != (1, 2):
            sys.exit(f"{path}: not mono with 16 bits. To convert: ffmpeg -i IN -ac 1 -c:a pcm_s16le OUT.wav")
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        pcm = soxr.resample(samples, file.getframerate(), HZ).astype("<i2").tobytes()

    async def chunks() -> AsyncIterator[bytes]:
        clock = asyncio.get_running_loop().time
        start_s = clock()
        for number in itertools.count():
            await asyncio.sleep(start_s + number * CHUNK_S - clock())
            yield pcm[number * CHUNK_BYTES : (number + 1) * CHUNK_BYTES].ljust(CHUNK_BYTES, b"\0")

    return chunks()


def headset(speaker: bytearray) -> AsyncIterator[bytes]:
    """The microphone; meanwhile plays what is in `speaker`."""
    try:
        import sounddevice
    except ImportError:
        sys.exit("--mic needs a library for the sound card: pip install sounddevice")

    async def chunks() -> AsyncIterator[bytes]:
        loop, heard = asyncio.get_running_loop(), asyncio.Queue[bytes]()

        def exchange(microphone: Any, play: Any, frames: int, *_: Any) -> None:
            loop.call_soon_threadsafe(heard.put_nowait, bytes(microphone))
            play[:] = bytes(speaker[: frames * 2]).ljust(frames * 2, b"\0")
            del speaker[: frames * 2]

        with sounddevice.RawStream(HZ, CHUNK_BYTES // 2, channels=1, dtype="int16", callback=exchange):
            while True:
                yield await heard.get()

    return chunks()


async def send(server: ClientConnection, sound: AsyncIterator[bytes]) -> None:
    async for pcm in sound:
        audio = base64.b64encode(pcm).decode()
        await server.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))


async def listen(server: ClientConnection, speaker: bytearray, *, one_answer: bool) -> None:
    async for message in server:
        event = json.loads(message)
        match event["type"]:
            case "input_audio_buffer.speech_started":
                speaker.clear()  # whatever is still to be played was interrupted
            case "conversation.item.input_audio_transcription.completed":
                print("you:  ", event["transcript"])
            case "response.output_audio.delta":
                speaker += base64.b64decode(event["delta"])
            case "response.output_audio_transcript.done":
                print("agent:", event["transcript"])
            case "response.done" if event["response"]["status"] == "failed":
                sys.exit(event["response"]["status_details"]["error"]["message"])
            case "response.done" if one_answer and event["response"]["status"] != "cancelled":
                return
            case "error":
                sys.exit(event["error"]["message"])


async def main(url: str, question: str | None, answer: str | None) -> None:
    speaker = bytearray()
    sound = recording(question) if question else headset(speaker)
    async with connect(f"{url}?model=antiphon", max_size=None) as server:
        transcribe = {"audio": {"input": {"transcription": {"model": "default"}}}}
        await server.send(
            json.dumps({"type": "session.update", "session": {"type": "realtime", **transcribe}})
        )
        sending = asyncio.create_task(send(server, sound))
        await listen(server, speaker, one_answer=question is not None)
        sending.cancel()
    if answer:
        with wave.open(answer, "wb") as file:
            file.setparams((1, 2, HZ, 0, "NONE", ""))
            file.writeframes(speaker)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("url")
    arguments.add_argument("question", nargs="?", help="WAV file to ask with")
    arguments.add_argument("answer", nargs="?", help="WAV file for the answer")
    arguments.add_argument("--mic", action="store_true", help="use the sound card instead")
    chosen = arguments.parse_args()
    if chosen.mic == bool(chosen.question):
        arguments.error("give either a question or --mic")
    asyncio.run(main(chosen.url, chosen.question, chosen.answer))
