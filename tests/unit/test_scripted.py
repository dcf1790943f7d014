"""What is particular to the scripted stages, beyond their contracts."""

from __future__ import annotations

from conversation.scripted import Line, ScriptedLlm
from conversation.stages import Message, ReplyPart, TextDelta, Tool, ToolCall

WEATHER = Tool("weather", "How the weather is.", {"type": "object"})
CALL = ToolCall("call_1", "weather", "{}")


async def replied(llm: ScriptedLlm, question: str, *tools: Tool) -> list[ReplyPart]:
    earlier = Message("user", "Hello.")
    return [part async for part in llm.reply([earlier, Message("user", question)], tools)]


async def test_a_word_of_the_last_message_chooses_the_answer_and_else_the_script_goes_on() -> None:
    answers = {"Hello": Line("Hello."), "weather": Line(calls=(CALL,))}
    llm = ScriptedLlm(script=["One.", "Two."], answers=answers)

    assert TextDelta("One.") in await replied(llm, "What?")
    assert CALL in await replied(llm, "How is the weather?", WEATHER)
    assert CALL not in await replied(llm, "How is the weather?")
    assert TextDelta("Two.") in await replied(llm, "What else?")
    llm.script.check()
