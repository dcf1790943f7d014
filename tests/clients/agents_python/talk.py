"""OpenAI's Agents SDK for Python: a session interrupts itself and calls the agent's functions."""

from __future__ import annotations

from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner, RealtimeSession
from agents.realtime.items import RealtimeItem
from stagecraft import GREETING, OUTPUT, QUESTION, Microphone, Seen, Sounds, play


async def talk(url: str, scene: str, speech: bytes) -> Seen:
    seen = Seen()

    @function_tool
    def weather(city: str) -> str:
        """How the weather is."""
        seen.called.append(("weather", {"city": city}))
        return OUTPUT

    agent = RealtimeAgent(
        name="Antiphon", instructions="Be brief.", tools=[weather] if scene == "tool" else []
    )
    spoken = scene in ("voice", "barge_in")
    settings = {"model_name": "scripted", "output_modalities": ["audio" if spoken else "text"]}
    runner = RealtimeRunner(agent, config={"model_settings": settings})
    socket = url.replace("http", "ws", 1) + "/v1/realtime?model=scripted"
    async with await runner.run(model_config={"url": socket, "api_key": "none"}) as session:
        if spoken:
            async with Microphone(speech, session.send_audio) as microphone:
                microphone.speak()
                await watch(session, seen, microphone if scene == "barge_in" else None)
        else:
            await session.send_message(QUESTION if scene == "tool" else GREETING)
            await watch(session, seen, answers=2 if scene == "tool" else 1)
    return seen


async def watch(
    session: RealtimeSession, seen: Seen, barge_in_with: Microphone | None = None, *, answers: int = 1
) -> None:
    """What happens until so many answers are over; one more where the first is interrupted."""
    answers += barge_in_with is not None
    history: dict[str, RealtimeItem] = {}
    sounds = Sounds(barge_in_with.speak if barge_in_with else None)
    async for event in session:
        match event.type:
            case "error":
                seen.errors.append(str(event.error))
            case "audio":
                sounds.add(event.item_id, event.audio.data)
            case "audio_interrupted":
                seen.interrupted = True
            case "history_added":
                history[event.item.item_id] = event.item
            case "history_updated":
                history = {item.item_id: item for item in event.history}
            case "agent_end":
                answers -= 1
                if not answers:
                    break
    for item in history.values():
        tell(item, seen, sounds)


def tell(item: RealtimeItem, seen: Seen, sounds: Sounds) -> None:
    """What the session's history makes of it."""
    match item.type, getattr(item, "role", None):
        case "message", "user":
            seen.heard += [part.transcript for part in item.content if part.type == "input_audio"]
        case "message", "assistant":
            [part] = item.content
            seen.said.append(part.transcript if part.type == "audio" else part.text)
            seen.sound_ms.append(sounds.ms(item.item_id))


play(talk)
