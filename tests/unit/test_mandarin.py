"""deployments/tts/mandarin.py: text in, words and phonemes out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deployments.local_ray import ROOT
from deployments.tts.mandarin import Mandarin, in_words, is_mandarin
from deployments.tts.phonemes import Clause


@pytest.fixture(scope="module")
def mandarin() -> Mandarin:
    return Mandarin(lambda words: f"<{words}>")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("现在是3:45分", "现在是三点四十五分"),
        ("8:05出发", "八点零五分出发"),
        ("10:00—12:30", "十点到十二点三十分"),
        ("2026年11月22日", "二零二六年十一月二十二日"),
        ("2026-11-22", "二零二六年十一月二十二日"),
        ("涨了12%", "涨了百分之十二"),
        ("50%~60%", "百分之五十到百分之六十"),
        ("温度23.5度，夜里-5度", "温度二十三点五度，夜里负五度"),
        ("10-20分钟", "十到二十分钟"),
        ("$30，￥1,299.5", "三十美元，一千二百九十九点五元"),
        ("1.75m，70kg，100km/h", "一点七五米，七十公斤，一百公里每小时"),
        ("-3°C", "负三摄氏度"),
        ("1/3的人", "三分之一的人"),
        ("比分3:2", "比分三比二"),
        ("1+1=2", "一加一等于二"),
        ("电话13800138000", "电话幺三八零零幺三八零零零"),
        ("007", "零零七"),
        ("12345678901234567890", "幺二三四五六七八九零幺二三四五六七八九零"),
        ("GPT-4和iPhone 15", "GPT 四和iPhone 十五"),
        ("三个苹果", "三个苹果"),
    ],
)
def test_numbers_and_what_belongs_to_them_are_put_into_words(text: str, words: str) -> None:
    assert in_words(text) == words


@pytest.mark.parametrize(
    ("text", "expected"),
    [("你好", True), ("打开Python", True), ("3.5%", True), ("Hello, 3 of you", False), ("Ünder", False)],
)
def test_what_is_read_in_chinese(text: str, expected: bool) -> None:
    assert is_mandarin(text) is expected


def test_a_word_is_said_as_in_its_context(mandarin: Mandarin) -> None:
    assert mandarin.clauses("你好。") == [Clause("ni↓xau↓", ".")]
    [bank] = mandarin.clauses("银行")
    [walk] = mandarin.clauses("行走")
    assert "xa↗ŋ" in bank.phonemes
    assert "ɕi↗ŋ" in walk.phonemes


def test_clauses_end_at_punctuation_and_keep_its_tone(mandarin: Mandarin) -> None:
    clauses = mandarin.clauses("他说：“好！”《红楼梦》（小说）……真的？真的\n再见")
    assert [clause.mark for clause in clauses] == [":", "!", ",", ";", "?", ".", ""]


def test_english_words_are_left_to_whoever_speaks_english(mandarin: Mandarin) -> None:
    [first, second] = mandarin.clauses("打开Visual Studio文件，看example.com。")
    assert "<Visual Studio>" in first.phonemes
    assert "<example.com>" in second.phonemes


@pytest.mark.parametrize("text", ["", "。。。", "？！", "《》", "…"])
def test_punctuation_alone_is_nothing(mandarin: Mandarin, text: str) -> None:
    assert mandarin.clauses(text) == []


def test_the_dictionary_is_read_in_silence_and_not_kept_where_anybody_could_change_it(tmp_path: Path) -> None:
    program = "from deployments.tts.mandarin import Mandarin; assert Mandarin(str).clauses('你好')"
    process = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert (process.stdout, process.stderr) == (b"", b"")
    assert list(tmp_path.iterdir()) == []
