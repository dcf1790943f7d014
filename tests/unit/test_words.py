import pytest

from conversation.words import letters, wide, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Hello, world!", ["Hello,", "world!"]),
        ("今天。", ["今", "天", "。"]),
        ("我用GPT-4，你呢？", ["我", "用", "GPT-4，", "你", "呢", "？"]),
        ("東京タワー", ["東", "京", "タ", "ワ", "ー"]),
        ("안녕 세계", ["안녕", "세계"]),
        ("", []),
    ],
)
def test_words_stand_between_spaces_and_chinese_characters_alone(text: str, found: list[str]) -> None:
    assert [word.group() for word in words(text)] == found


@pytest.mark.parametrize("character", "中々〇あア㐀\U00020bb7\uf900")
def test_chinese_characters_and_kana_are_wide(character: str) -> None:
    assert wide(character)


@pytest.mark.parametrize("character", "aé1 １。，“”…가")
def test_letters_digits_and_punctuation_are_not(character: str) -> None:
    assert not wide(character)


def test_a_chinese_character_takes_as_long_as_three_letters() -> None:
    assert letters("Hi, 世界") == 4 + 6
