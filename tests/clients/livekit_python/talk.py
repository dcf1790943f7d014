"""LiveKit Agents for Python: an agent's session, with a microphone and a loudspeaker instead of a room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from livekit import rtc
from livekit.agents import Agent, AgentSession, function_tool, io
from livekit.agents.voice.events import ConversationItemAddedEvent, ErrorEvent
from livekit.plugins.openai.realtime import RealtimeModel
from openai.types.realtime import AudioTranscription
from stagecraft import GREETING, OUTPUT, QUESTION, Microphone, Seen, play

HZ = 24_000


class Ear(io.AudioInput):
    """What the microphone hears."""

    def __init__(self) -> None:
        super().__init__(label="microphone")
        self._frames: asyncio.Queue[rtc.AudioFrame] = asyncio.Queue()

    async def hear(self, pcm: bytes) -> None:
        self._frames.put_nowait(rtc.AudioFrame(pcm, HZ, 1, len(pcm) // 2))

    async def __anext__(self) -> rtc.AudioFrame:
        return await self._frames.get()


class Loudspeaker(io.AudioOutput):
    """Plays at the pace of sound; `began` is called at the first sound of each answer."""

    def __init__(self, began: Callable[[], None]) -> None:
        super().__init__(
            label="loudspeaker", capabilities=io.AudioOutputCapabilities(pause=False), sample_rate=HZ
        )
        self._began = began
        self._loop = asyncio.get_running_loop()
        self._since_s: float | None = None
        self._captured_s = 0.0
        self._ending: asyncio.TimerHandle | None = None
        self.sound_ms: list[int] = []
        """What it was given of each answer."""

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if self._since_s is None:
            self._since_s, self._captured_s = self._loop.time(), 0.0
            self._began()
        self._captured_s += frame.duration

    def flush(self) -> None:
        super().flush()
        if self._since_s is not None:
            self._ending = self._loop.call_at(self._since_s + self._captured_s, self._ended, False)

    def clear_buffer(self) -> None:
        if self._since_s is not None:
            self._ended(True)

    def _ended(self, interrupted: bool) -> None:
        if self._ending is not None:
            self._ending.cancel()
        assert self._since_s is not None
        played_s = min(self._loop.time() - self._since_s, self._captured_s)
        self._since_s, self._ending = None, None
        self.sound_ms.append(round(self._captured_s * 1000))
        self.on_playback_finished(playback_position=played_s, interrupted=interrupted)


async def talk(url: str, scene: str, speech: bytes) -> Seen:
    seen, over = Seen(), asyncio.Event()

    @function_tool
    async def weather(city: str) -> str:
        """How the weather is."""
        seen.called.append(("weather", {"city": city}))
        return OUTPUT

    spoken = scene in ("voice", "barge_in")
    model = RealtimeModel(
        model="scripted",
        base_url=f"{url}/v1",
        api_key="none",
        modalities=["audio"] if spoken else ["text"],
        input_audio_transcription=AudioTranscription(model="whisper-1"),
    )
    agent = Agent(instructions="Be brief.", tools=[weather] if scene == "tool" else [])
    async with model, AgentSession(llm=model) as session:

        @session.on("conversation_item_added")
        def added(event: ConversationItemAddedEvent) -> None:
            item = event.item
            if item.type != "message":
                return
            if item.role == "user" and spoken:
                seen.heard.append(item.text_content or "")
            elif item.role == "assistant":
                seen.said.append(item.text_content or "")
                seen.interrupted |= item.interrupted
                if not item.interrupted:
                    over.set()

        @session.on("error")
        def failed(event: ErrorEvent) -> None:
            seen.errors.append(str(event.error))

        if not spoken:
            await session.start(agent)
            await session.generate_reply(user_input=QUESTION if scene == "tool" else GREETING)
            return seen
        ear = Ear()
        async with Microphone(speech, ear.hear) as microphone:
            to_say = [microphone.speak] if scene == "barge_in" else []
            loudspeaker = Loudspeaker(lambda: to_say.pop()() if to_say else None)
            session.input.audio, session.output.audio = ear, loudspeaker
            await session.start(agent)
            microphone.speak()
            await over.wait()
            seen.sound_ms = loudspeaker.sound_ms
    return seen


play(talk)
