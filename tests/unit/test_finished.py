import pytest

from conversation.finished import Seems, seems

FINISHED, EITHER, HANGING, UNFINISHED = Seems.FINISHED, Seems.EITHER, Seems.HANGING, Seems.UNFINISHED


@pytest.mark.parametrize(
    ("text", "what"),
    [
        # questions and whole answers
        ("What is the weather like today?", FINISHED),
        ("Who is it for?", FINISHED),
        ("Yes.", FINISHED),
        ("Ok,", FINISHED),
        ("No, no, no.", FINISHED),
        ("Okay, thank you", FINISHED),
        # a full stop tells nothing: recognisers end everything with it
        ("I would like to book a table.", EITHER),
        ("Turn it on.", EITHER),
        ("I like that", EITHER),
        ("Yes, it is.", EITHER),
        ("", EITHER),
        ("...", EITHER),
        # a comma
        ("I would like to book a table,", HANGING),
        ("Seven of clubs,", HANGING),
        # broken off
        ("Seven of.", UNFINISHED),
        ("I was thinking about", UNFINISHED),
        ("What is the difference between?", UNFINISHED),
        ("The thing that I want to know is,", UNFINISHED),
        ("Could you, um,", UNFINISHED),
        ("I don\u2019t know whether I\u2019ll", UNFINISHED),
        ("Let me see...", UNFINISHED),
        ("Tell me about my", UNFINISHED),
        ('He said "and', UNFINISHED),
    ],
)
def test_english_words_tell(text: str, what: Seems) -> None:
    assert seems(text) is what


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("今天天气怎么样？", FINISHED),
        ("你会说英语吗", FINISHED),
        ("好的。", FINISHED),
        ("對。", FINISHED),
        ("沒有", FINISHED),
        ("对", FINISHED),
        ("等一下", FINISHED),
        ("對", FINISHED),
        ("知道了", FINISHED),
        ("没有", FINISHED),
        ("沒有。", FINISHED),
        ("謝謝", FINISHED),
        ("我明天去北京。", EITHER),
        ("我明天去北京", EITHER),
        ("我明天去北京，", HANGING),
        ("我想要那个", UNFINISHED),
        ("如果明天下雨的话，", UNFINISHED),
        ("然后", UNFINISHED),
        ("我明天去北京，因为", UNFINISHED),
        ("我想", UNFINISHED),
        ("我明天去北京，因為", UNFINISHED),
        ("你會說英語嗎", FINISHED),
        ("嗯，", UNFINISHED),
        ("我要苹果和", UNFINISHED),
        ("帮我查一下 iPhone", EITHER),
    ],
)
def test_mandarin_words_tell(text: str, what: Seems) -> None:
    assert seems(text) is what
