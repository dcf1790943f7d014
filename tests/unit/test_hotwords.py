from __future__ import annotations

import pytest

from conversation.stages import Hints
from deployments.asr.hotwords import MOST, hotwords


@pytest.mark.parametrize(
    ("hints", "words"),
    [
        (Hints(), ()),
        (Hints(words=("科大讯飞", "Antiphon")), ("科大讯飞", "Antiphon")),
        (Hints(words=("New York",)), ("New", "York")),
        (
            Hints(words=("上海",), prompt="北京，上海、Ray Serve; 广州\n深圳"),
            ("上海", "北京", "Ray", "Serve", "广州", "深圳"),
        ),
        (Hints(prompt="天气预报"), ("天气预报",)),
        (Hints(prompt="Node.js, C++"), ("Node.js", "C++")),
        (Hints(prompt="你好。今天天气怎么样？"), ()),
        (Hints(prompt="We talk about birds, cards. And cities"), ()),
        (Hints(prompt="这是一段很长很长的没有标点的文字,北京"), ()),
        (Hints(words=("", "  ", "，", "…")), ()),
    ],
)
def test_words_and_keywords_are_expected_and_prose_is_not(hints: Hints, words: tuple[str, ...]) -> None:
    assert hotwords(hints) == words


def test_more_words_than_the_model_takes_are_left_out() -> None:
    assert hotwords(Hints(words=tuple(map(str, range(100))))) == tuple(map(str, range(MOST)))
