from __future__ import annotations

import pytest

from deployments.tts.kokoro_english import kokoro_phonemes


@pytest.mark.parametrize(
    ("ipa", "kokoro"),
    [
        ("aɪ wʊd lˈaɪk tə ɡˌoʊ ðˈɛɹ", "I wʊd lˈIk tə ɡˌO ðˈɛɹ"),
        ("tʃˈɜːtʃ", "ʧˈɜɹʧ"),
        ("sˈɜːɹ", "sˈɜɹ"),
        ("dʒˈʌdʒ", "ʤˈʌʤ"),
        ("wˈɔːɾɚ", "wˈɔTəɹ"),
        ("tˈeɪbəl", "tˈAbᵊl"),
    ],
)
def test_american_sounds_are_kokoros_letters(ipa: str, kokoro: str) -> None:
    assert kokoro_phonemes(ipa, british=False) == kokoro


def test_british_vowels_keep_their_length_and_colour() -> None:
    assert kokoro_phonemes("ɡˌəʊ ðˈeə, bˈɑːθ", british=True) == "ɡˌQ ðˈɛː, bˈɑːθ"
