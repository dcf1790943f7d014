from __future__ import annotations

import pytest

from bench.wer import Written, plain, word_error_rate


def written(reference: str, text: str) -> Written:
    return Written("set", "name", "made here", "human", reference, text, 1, 10.0, 0.5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It was the best of times, it was...", "it was the best of times it was"),
        ("  cold-hearted \n", "cold hearted"),
        ("We're 'here'.", "we're here"),
        ("Mr. Dashwood", "mister dashwood"),
        (" ' ... ' ", ""),
    ],
)
def test_a_text_is_compared_by_its_words(text: str, words: str) -> None:
    assert plain(text) == words


def test_errors_are_counted_over_all_words_together() -> None:
    results = [written("a b c d e f", "a x c d e f"), written("g h", "g h i"), written("k l", "k")]
    rate = word_error_rate(results)
    assert (rate["words"], rate["wrong"], rate["missing"], rate["added"]) == (10, 1, 1, 1)
    assert rate["wer"] == 0.3
    assert rate["times_real_time"] == 0.05
