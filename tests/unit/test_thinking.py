from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.llm.thinking import Unthinking


def _said(deltas: Sequence[str], *, thinks_first: bool = False) -> str:
    text = Unthinking(thinks_first=thinks_first)
    return "".join(text.feed(delta) for delta in deltas) + text.end()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Hello.", "Hello."),
        ("<think>Hmm.</think>\n\nHello.", "Hello."),
        ("One. <think>Hmm.</think> Two.", "One. Two."),
        ("<think></think>Hello.", "Hello."),
        ("<think>Nobody closes this", ""),
        ("1 <thin, 2 < 3 <", "1 <thin, 2 < 3 <"),
        ("<<think>a</think>b", "<b"),
        ("<think>a <think> b</think>c", "c"),
        ("Thought aloud.</think>\n\nHello.", "Thought aloud.Hello."),
        ("</think>\nHello.", "Hello."),
        ("1 </thin, 2 </", "1 </thin, 2 </"),
    ],
)
def test_thoughts_are_not_said_and_all_else_is(written: str, said: str) -> None:
    assert _said([written]) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("They greet me.\n</think>\n\nHello.", "Hello."),
        ("<think>\nSome write it all the same.</think>Hello.", "Hello."),
        ("Hm.</think>Hello. <think>And now?</think>Bye.", "Hello. Bye."),
        ("Nobody closes this", ""),
    ],
)
def test_thoughts_that_the_prompt_opened_are_not_said(written: str, said: str) -> None:
    assert _said(list(written), thinks_first=True) == said


@pytest.mark.parametrize(
    ("written", "aloud"),
    [("Hm.</think>Hello.", True), ("<think>Hm.</think>Hello.", False), ("Hello.", False)],
)
def test_thoughts_that_were_said_before_they_could_be_known_are_noticed(written: str, aloud: bool) -> None:
    text = Unthinking()
    text.feed(written)
    assert text.thought_aloud is aloud


@given(st.text(alphabet="ab <>/think\n"), st.text(alphabet="ab <>/"), st.data())
def test_where_the_deltas_are_cut_makes_no_difference(before: str, after: str, data: st.DataObject) -> None:
    written = f"{before}<think>so</think>{after}"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(written)), max_size=8)))
    deltas = [written[a:b] for a, b in zip([0, *cuts], [*cuts, len(written)], strict=True)]
    assert _said(deltas) == _said([written])


def test_text_without_a_mark_is_not_held_back() -> None:
    assert Unthinking().feed("Hello there, 1 < 2 / 3") == "Hello there, 1 < 2 / 3"
