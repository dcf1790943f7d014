"""deployments/tts/word_spans.py"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.tts.word_spans import word_spans

alone = st.lists(st.text("abc", max_size=6), min_size=1, max_size=8)


def parts(alone: list[str], spoken: str) -> list[str] | None:
    spans = word_spans(alone, spoken)
    return None if spans is None else [spoken[first:last] for first, last in spans]


@pytest.mark.parametrize(
    ("alone", "spoken", "expected"),
    [
        (["wˈɛl", "jˈɛs"], "wˈɛl, jˈɛs.", ["wˈɛl", "jˈɛs"]),
        (["wˌʌn", "ʌv", "ðə", "bˈɛst"], "wˈʌn ʌvðə bˈɛst", ["wˈʌn", "ʌv", "ðə", "bˈɛst"]),
        (["pˈeɪd", "fˈɔːɹɾi tˈuː", "æt"], "pˈeɪd fˈɔːɹɾi tˈuː æt", ["pˈeɪd", "fˈɔːɹɾi tˈuː", "æt"]),
        (
            ["sˈʌmθɪŋ", "ˌiːdʒˈiː", "ɪmpˈɔːɹtənt"],
            "sˈʌmθɪŋ fˌɔːɹɛɡzˈæmpəl ɪmpˈɔːɹtənt",
            ["sˈʌmθɪŋ", "fˌɔːɹɛɡzˈæmpəl", "ɪmpˈɔːɹtənt"],
        ),
        (["wˈɛl", "", "nˈoʊ"], "wˈɛl; nˈoʊ", ["wˈɛl", "", "nˈoʊ"]),
        (["", "nˈoʊ"], "nˈoʊ", ["", "nˈoʊ"]),
        (["hˈʌndɹɪd", "fˈaɪv"], "hˈʌndɹɪd ænd fˈaɪv", ["hˈʌndɹɪd ænd", "fˈaɪv"]),
    ],
)
def test_each_word_has_its_phonemes(alone: list[str], spoken: str, expected: list[str]) -> None:
    assert parts(alone, spoken) == expected


def test_of_a_text_that_is_read_otherwise_nothing_is_said() -> None:
    assert word_spans(["aaaa", "bbbb"], "cdcdcd cdcd") is None


@given(alone)
def test_words_said_as_they_are_alone_are_found_again(alone: list[str]) -> None:
    assert parts(alone, " ".join(alone)) == alone


@given(alone, st.text("abc .", max_size=40))
def test_words_stand_in_their_order_whatever_is_said(alone: list[str], spoken: str) -> None:
    spans = word_spans(alone, spoken)
    if spans is not None:
        edges = [edge for span in spans for edge in span]
        assert len(spans) == len(alone)
        assert edges == sorted(edges)
        assert all(0 <= edge <= len(spoken) for edge in edges)
