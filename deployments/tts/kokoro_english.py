"""From eSpeak NG's phonemes to those that Kokoro was trained on. Knows neither text nor sound.

Kokoro's own are described in https://github.com/hexgrad/misaki/blob/main/EN_PHONES.md: diphthongs and
affricates are one letter, and American vowels have no length.
"""

from __future__ import annotations

_ALIKE = {
    "tʃ": "ʧ",
    "dʒ": "ʤ",
    "eɪ": "A",
    "aɪ": "I",
    "aʊ": "W",
    "ɔɪ": "Y",
    "əl": "ᵊl",
    "n̩": "ᵊn",
    "r": "ɹ",
    "x": "k",
    "ç": "k",
    "ɐ": "ə",
    "ɬ": "l",
    "ʔ": "t",
    "ʲ": "",
}
_AMERICAN = {"oʊ": "O", "ɜː": "ɜɹ", "ɚ": "əɹ", "ɪə": "iə", "ɾ": "T", "ː": ""}
_BRITISH = {"əʊ": "Q", "eə": "ɛː", "ɚ": "ə", "ɾ": "t"}


def kokoro_phonemes(ipa: str, *, british: bool) -> str:
    """The same in Kokoro's letters; stress and spaces stay."""
    table = _ALIKE | (_BRITISH if british else _AMERICAN)
    for theirs in sorted(table, key=len, reverse=True):
        ipa = ipa.replace(theirs, table[theirs])
    ipa = ipa.replace("ɜɹɹ", "ɜɹ").replace("əɹɹ", "əɹ")
    return ipa if british else ipa.replace("e", "A").replace("o", "ɔ")
