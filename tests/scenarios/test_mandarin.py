from conversation.events import OutputText
from conversation.scripted import CHARACTER_S
from tests.scenarios.screenplay import Play

QUESTION = "请 给 我 讲 一 个 故事"
STORY = "从前有一只小狗住在海边，它每天都去沙滩上玩。有一天它发现了一个瓶子，里面有一封信。"


def test_a_mandarin_answer_is_told_clause_by_clause() -> None:
    play = Play(asr=[QUESTION], llm=[STORY])

    seen = play.user_speaks(1.0, 3.1).run(until_s=10.0)

    assert [event.delta for event in seen.of(OutputText)] == [
        "从前有一只小狗住在海边，",
        "它每天都去沙滩上玩。",
        "有一天它发现了一个瓶子，里面有一封信。",
    ]


def test_interrupted_the_history_keeps_the_characters_that_were_heard() -> None:
    play = Play(asr=[QUESTION, "停 一 下 谢 谢"], llm=[STORY, "好的。"])

    seen = play.user_speaks(1.0, 3.1).user_speaks(4.6, 6.1).run(until_s=9.0)

    start_s, end_s = seen.heard()[0]
    [heard] = [message.text for message in play.llm.asked[1] if message.role == "assistant"]
    assert heard.endswith(" —")
    assert STORY.startswith(heard.removesuffix(" —"))
    assert abs(len(heard.removesuffix(" —")) - (end_s - start_s) / (3 * CHARACTER_S)) <= 1
