"""deployments/tts/phonemes.py and the eSpeak NG process behind it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import espeakng_loader
import pytest

from conversation.errors import StageFailed
from deployments.tts import phonemes
from deployments.tts.phonemes import LONGEST_TEXT, Clause, Phonemizer, phoneme_ids, sentences, speakable

ROOT = Path(__file__).parents[2]


@pytest.fixture
def phonemizer() -> Iterator[Phonemizer]:
    phonemizer = Phonemizer()
    yield phonemizer
    phonemizer.close()


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("Sure, one moment.", [",", "."]),
        ("Hello! How are you? Fine; thanks: yes", ["!", "?", ";", ":", ""]),
        ('He asked, "why?" She left.', [",", "?", "."]),
        ("well — maybe… ok", [";", ";", ""]),
        ("It costs 3.5 dollars at 5:30 p.m. on Main Street.", ["."]),
        ("Dr. Smith met John F. Kennedy.", ["."]),
        ("It is no. 5. No. I do not.", [".", ".", "."]),
    ],
)
def test_each_clause_keeps_its_mark(phonemizer: Phonemizer, text: str, marks: list[str]) -> None:
    assert [clause.mark for clause in phonemizer.clauses(text, "en-us")] == marks


def test_words_become_phonemes(phonemizer: Phonemizer) -> None:
    assert phonemizer.clauses("Hello, world!", "en-us") == [Clause("həlˈoʊ", ","), Clause("wˈɜːld", "!")]


def test_each_language_has_its_own_phonemes(phonemizer: Phonemizer) -> None:
    english, french = (phonemizer.clauses("pain", voice) for voice in ("en-us", "fr"))
    assert english != french
    assert phonemizer.clauses("pain", "en-us") == english


@pytest.mark.parametrize(
    "text", ["", "  \n ", "...", "?!", "😀", "👩‍🚀 ❤️", "你好，世界。", "**", "\x00", "\ud800"]
)
def test_what_cannot_be_spoken_gives_nothing(phonemizer: Phonemizer, text: str) -> None:
    assert phonemizer.clauses(text, "en-us") == []


def test_a_script_is_left_to_the_voices_that_read_it(phonemizer: Phonemizer) -> None:
    assert len(phonemizer.clauses("你好，世界。", "cmn")) == 2


def test_emoji_and_markdown_are_not_named() -> None:
    assert speakable("# **Yes** 👍 it's `2*3`", "en-us") == "Yes   it's 2*3"


def test_an_unknown_voice_is_named(phonemizer: Phonemizer) -> None:
    with pytest.raises(StageFailed, match="xx-yy"):
        phonemizer.clauses("hello", "xx-yy")
    assert phonemizer.clauses("hello", "en-us")


def test_the_longest_text_is_taken_and_no_longer_one(phonemizer: Phonemizer) -> None:
    assert phonemizer.clauses("é" + "\x7f" * (LONGEST_TEXT - 1), "en-us")
    assert len(phonemizer.clauses("Oh, " * (LONGEST_TEXT // 4), "en-us")) == LONGEST_TEXT // 4
    with pytest.raises(StageFailed, match="at most"):
        phonemizer.clauses("a" * (LONGEST_TEXT + 1), "en-us")


def test_a_process_that_was_killed_is_started_again(phonemizer: Phonemizer) -> None:
    before = phonemizer.clauses("hello", "en-us")
    first = phonemizer.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert phonemizer.clauses("hello", "en-us") == before
    assert phonemizer.pid != first


def test_a_process_that_always_dies_fails_the_call(
    phonemizer: Phonemizer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "dies.py"
    program.write_text("input()")
    monkeypatch.setattr(phonemes, "_PROGRAM", program)
    with pytest.raises(StageFailed, match="died twice"):
        phonemizer.clauses("hello", "en-us")
    assert phonemizer.pid is None


def test_a_late_answer_fails_the_call_and_never_reaches_the_next() -> None:
    phonemizer = Phonemizer(deadline_s=0.0)
    with pytest.raises(StageFailed, match="no phonemes within"):
        phonemizer.clauses("hello", "en-us")
    assert phonemizer.pid is None


def test_no_process_is_left_after_close(phonemizer: Phonemizer) -> None:
    phonemizer.clauses("hello", "en-us")
    pid = phonemizer.pid
    assert pid is not None
    phonemizer.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_process_ends_with_its_parent_however_that_ends() -> None:
    program = (
        "import os, signal; from deployments.tts.phonemes import Phonemizer; p = Phonemizer();"
        "p.clauses('hello', 'en-us'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    # Both write to the same stderr: it ends, and run() returns, when the last of them is gone.
    parent = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE, timeout=30, check=False
    )
    assert (parent.returncode, parent.stderr) == (-signal.SIGKILL, b"")


def test_it_works_below_a_path_longer_than_espeak_can_hold(
    phonemizer: Phonemizer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    deep = tmp_path / ("d" * 200)
    deep.mkdir()
    (deep / "espeakng_loader").symlink_to(Path(espeakng_loader.__file__).parent)
    monkeypatch.setenv("PYTHONPATH", str(deep))
    assert phonemizer.clauses("hello", "en-us") == [Clause("həlˈoʊ", "")]


def test_sentences_end_at_their_marks_and_before_they_grow_too_long() -> None:
    clauses = [
        Clause("aa", ","),
        Clause("bb", "."),
        Clause("cc cc", ","),
        Clause("dd dd", "!"),
        Clause("e" * 12, ""),
    ]
    assert list(sentences(clauses, longest=100)) == ["aa, bb.", "cc cc, dd dd!", "e" * 12]
    assert list(sentences(clauses, longest=8)) == ["aa, bb.", "cc cc,", "dd dd!", "e" * 8, "e" * 4]


def test_ids_are_padded_and_unknown_phonemes_left_out() -> None:
    id_map = {"_": [0], "^": [1], "$": [2], "a": [7], "̃": [8], ".": [9]}
    beginning, end = [1, 0], [2]
    assert phoneme_ids("aʘã.", id_map) == [beginning, [7, 0], [], [7, 0, 8, 0], [9, 0], end]
