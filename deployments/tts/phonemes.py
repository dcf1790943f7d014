"""From text to the phonemes that a Piper voice was trained on.

eSpeak NG turns words into phonemes, in a process of its own (espeak_process.py says why). It drops the
punctuation, which Piper voices need among the phonemes: it makes their pauses and their intonation. So each
clause's mark is read off the text that eSpeak NG took for the clause.

Piper does the same through a patched eSpeak NG that also returns the mark:
https://github.com/rhasspy/piper-phonemize/blob/master/src/phonemize.cpp

This module knows neither the voice's network nor any thread: a call holds its thread for about 0.1 ms, and at
most for `deadline_s`.
"""

from __future__ import annotations

import json
import re
import select
import subprocess
import sys
import time
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from conversation.errors import StageFailed

_PROGRAM = Path(__file__).with_name("espeak_process.py")

BOS, EOS, PAD = "^", "$", "_"

SENTENCE_ENDS = ".!?"

LONGEST_TEXT = 10_000
"""Characters. Even with each escaped as \\uXXXX the request fits a pipe (64 KiB), so writing never blocks."""


@dataclass(frozen=True, slots=True)
class Clause:
    phonemes: str
    """IPA, words separated by spaces."""
    mark: str
    """One of . ! ? , ; : or empty where the clause ends without any."""


class Phonemizer:
    """eSpeak NG, kept running between calls. One caller at a time."""

    def __init__(self, *, deadline_s: float = 5.0) -> None:
        """`deadline_s`: for one answer; the first one includes the start of the process, about 0.1 s."""
        self._deadline_s = deadline_s
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Of the process, None while there is none."""
        return None if self._process is None else self._process.pid

    def clauses(self, text: str, voice: str) -> list[Clause]:
        """The clauses of `text` as the eSpeak NG voice `voice` says them; none where it has nothing to say.

        Raises StageFailed when the text is longer than LONGEST_TEXT or the voice unknown, when the process
        died twice, or was late.
        """
        [clauses] = self._read([speakable(text, voice)], voice)
        return clauses

    def alone(self, words: Sequence[str], voice: str) -> list[str]:
        """The phonemes of each word for itself, as if nothing stood around it; none of what makes no sound.

        Raises as `clauses`, which it must not take longer than: all words are one request.
        """
        each = self._read([speakable(word, voice) for word in words], voice)
        return [" ".join(clause.phonemes for clause in clauses) for clauses in each]

    def _read(self, texts: Sequence[str], voice: str) -> list[list[Clause]]:
        if not any(texts):
            return [[] for _ in texts]
        if (length := sum(map(len, texts))) > LONGEST_TEXT:
            raise StageFailed("tts", f"a text of {length} characters; at most {LONGEST_TEXT} can be spoken")
        request = json.dumps({"voice": voice, "texts": texts}).encode() + b"\n"
        answer = json.loads(self._ask(request))
        if "error" in answer:
            raise StageFailed("tts", answer["error"])
        return [_clauses(pieces) for pieces in answer["pieces"]]

    def close(self) -> None:
        """Ends the process. A later call would start another."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _ask(self, request: bytes) -> bytes:
        """The answer; a process that died is started again, once."""
        for _ in range(2):
            if answer := self._exchange(request):
                return answer
            self.close()
        raise StageFailed("tts", f"eSpeak NG died twice over one text ({sys.executable} {_PROGRAM})")

    def _exchange(self, request: bytes) -> bytes:
        """Empty when the process died."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        deadline = time.monotonic() + self._deadline_s
        readable = select.poll()
        readable.register(process.stdout, select.POLLIN)
        try:
            process.stdin.write(request)
        except BrokenPipeError:
            return b""
        answer = b""
        while not answer.endswith(b"\n"):
            if not readable.poll(max(0.0, deadline - time.monotonic()) * 1000):
                self.close()
                raise StageFailed("tts", f"eSpeak NG gave no phonemes within {self._deadline_s} s")
            part = process.stdout.read(1 << 16)
            if not part:
                return b""
            answer += part
        return answer

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_PROGRAM)],  # -P: modules beside the program must not hide others
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # Ctrl-C at the terminal is for the server, which then closes this
        )
        return self._process


# What a listener would not want to hear named: "grinning face", "asterisk asterisk".
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\ud800-\udfff]")
_EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\u200d\u20e3\ufe0e\ufe0f]")
_MARKUP = re.compile(r"^\s*#+\s|(?<!\w)[*_`~]+|[*_`~]+(?!\w)", re.MULTILINE)
_EAST_ASIAN = re.compile("[\u2e80-\u2fff\u3040-\u30ff\u3100-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_EAST_ASIAN_VOICES = ("cmn", "hak", "yue", "ja", "ko")

# eSpeak NG breaks the clause after an abbreviation's dot; without the dot it says the same, unbroken.
_ENGLISH_ABBREVIATION = re.compile(
    r"\b(Mr|Mrs|Ms|Dr|Prof|St|Mt|Gen|Sen|Gov|Capt|Col|Lt|Sgt|Rev"  # Dr. Smith
    r"|[A-Z][a-z]+ [A-Z])\.(?=\s+[A-Z])"  # John F. Kennedy
    r"|\b([Nn]o|[Ff]ig|approx)\.(?=\s+\d)"  # no. 5
)


def speakable(text: str, voice: str) -> str:
    """What is left of `text` for an eSpeak NG voice to say.

    No emoji, no Markdown, no script that it would only name ("Chinese letter"). Empty when no letter or digit
    remains.
    """
    text = _CONTROL.sub(" ", text)
    text = _MARKUP.sub("", _EMOJI.sub(" ", text))
    if not voice.startswith(_EAST_ASIAN_VOICES):
        text = _EAST_ASIAN.sub(" ", text)
    if voice.startswith("en"):
        text = _ENGLISH_ABBREVIATION.sub(r"\1\2", text)
    return text.strip() if any(character.isalnum() for character in text) else ""


def _clauses(pieces: Sequence[tuple[str, str]]) -> list[Clause]:
    """What eSpeak NG made of one text."""
    clauses = [
        Clause(_plain(phonemes), _mark(read, last=number == len(pieces)))
        for number, (phonemes, read) in enumerate(pieces, 1)
    ]
    return [clause for clause in clauses if clause.phonemes]


_FOREIGN_WORD = re.compile(r"\([a-z-]+\)")
"""eSpeak NG notes a change of language among the phonemes: "(fr)"; Piper was trained without these."""


def _plain(phonemes: str) -> str:
    return _FOREIGN_WORD.sub("", phonemes).strip()


_MARKS = {
    **{mark: mark for mark in ".!?,;:"},
    **{
        "…": ";",
        "—": ";",
        "–": ";",
        "。": ".",
        "！": "!",
        "？": "?",
        "，": ",",
        "、": ",",
        "；": ";",
        "：": ":",
    },
}
"""What eSpeak NG makes of each, in the marks that voices know. Source: `punct_attributes` in its
https://github.com/espeak-ng/espeak-ng/blob/1.52.0/src/libespeak-ng/readclause.c"""
_PUNCTUATION = "[" + "".join(map(re.escape, _MARKS)) + "]"
_ENDING = re.compile(rf"({_PUNCTUATION}(?:[^\w]*{_PUNCTUATION})*)[^\w]*$")


def _mark(read: str, *, last: bool) -> str:
    """The mark that ends a clause, from the text that eSpeak NG had read when it ended the clause.

    That text reaches to the first character of the next clause, unless it was the `last`.
    """
    if not last and read[-1:].isalnum():
        read = read[:-1]
    found = _ENDING.search(read)
    if found is None:
        return ""
    marks = [_MARKS[character] for character in found[1] if character in _MARKS]
    return next((mark for mark in "?!" if mark in marks), marks[0])


def sentences(clauses: Iterable[Clause], longest: int) -> Iterator[str]:
    """The clauses as phonemes with their marks, cut into sentences; one of more than `longest` phonemes is
    cut at a clause, else at a word, else wherever it must be."""
    sentence = ""
    for clause in clauses:
        phonemes = clause.phonemes + clause.mark
        if sentence and len(sentence) + 1 + len(phonemes) > longest:
            yield sentence
            sentence = ""
        sentence = f"{sentence} {phonemes}" if sentence else phonemes
        while len(sentence) > longest:
            cut = sentence.rfind(" ", 0, longest) + 1 or longest
            yield sentence[:cut].rstrip()
            sentence = sentence[cut:]
        if clause.mark and clause.mark in SENTENCE_ENDS:
            yield sentence
            sentence = ""
    if sentence:
        yield sentence


def phoneme_ids(phonemes: str, id_map: Mapping[str, Sequence[int]]) -> list[list[int]]:
    """Those of the beginning, of each phoneme and of the end, as the voice was trained: a pad after each.

    A phoneme that the voice does not know has none, as in Piper.
    """
    letters = [unicodedata.normalize("NFD", phoneme) for phoneme in phonemes]
    ids = [[n for x in each if x in id_map for n in (*id_map[x], *id_map[PAD])] for each in letters]
    return [[*id_map[BOS], *id_map[PAD]], *ids, [*id_map[EOS]]]
