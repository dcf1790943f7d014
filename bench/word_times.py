"""How well the times that a voice gives its words agree with where the words are.

    python -m bench.word_times              Piper and Kokoro, English and Mandarin, in this process

Answers are cut into clauses and spoken as in a session. Where the words are is measured twice, both by others
than the voice: by Whisper's word timestamps, which know every word, some 60 ms too early, since one ends
where the next begins; and by the loudness, which knows to 10 ms where a word behind a comma's pause begins,
and no other. Beside the voice's times stands what is done without them: words by their share of the clause's
letters. bench/reports/word_times.json gets every word.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import median
from typing import Any, Literal

import numpy as np
from rapidfuzz.distance import Levenshtein

from bench.report import circumstances, percentiles, table, write
from bench.speech import at_rate
from conversation.audio import HEARING_HZ, Audio, join
from conversation.clauses import Clauses
from conversation.stages import Tts, Word, WordTimes
from conversation.words import letters, words
from deployments import weights
from deployments.tts.kokoro import Kokoro
from deployments.tts.piper import Piper

ENGLISH = (
    "Sure, I can help you with that. What day would you like to come in?",
    "The train leaves at 5:30 from platform 12, and it takes about two hours.",
    "Well, Dr. Smith said that it costs $42.50, but I would not pay more than thirty.",
    "One of the best of them is in the old house at the end of the road.",
    "I'm sorry, I did not quite catch that. Could you say it again, please?",
    "It was built in 1994, and since then more than 300,000 people have visited it.",
    "First, boil the water; then add the eggs, wait for eight minutes, and take them out.",
    "Yes. The weather tomorrow will be sunny, with temperatures around 75 degrees.",
    "Unfortunately, internationalization is a responsibility of the manufacturer.",
    "No, he is at his mother's, so you and I are to go to the shop and get it.",
    "Once upon a time there was a little dog who lived in a big house by the sea.",
    "Of course! You can reach the reception desk at 555-0199, any time before noon.",
)
MANDARIN = (
    "我很乐意帮助你安排明天的行程，请问几点出发？",
    "你可以先把水烧开，然后放入鸡蛋，煮八分钟就好了。",
    "火车下午3:45从十二号站台出发，大约需要两个小时。",
    "明天天气晴朗，气温在23.5度左右，适合出去走走。",
    "对不起，我没有听清楚，你能再说一遍吗？",
    "这座桥建于1994年，已经有300多万人来过这里。",
    "当然可以，法国的首都是巴黎，它在塞纳河边。",
    "请打开Python文件，然后看第20行，那里有一个错误。",
    "银行就在前面，过了马路往右走，再走五分钟就到了。",
    "好的。你的订单一共是128元，明天上午送到。",
    "从前有一只小狗，它住在海边的一座大房子里。",
    "长江是亚洲最长的河流，全长大约6300公里。",
)

QUIET_DB = -40.0
PAUSE_S = 0.08
"""So quiet for so long is a pause, where the voice is elsewhere at -20 dBFS."""
NEAR_S = 0.35
"""A word that Whisper places further from the end of a pause is not the one that begins there."""
STOPS = ",;:.!?，；：。！？、—"
"""A pause that stands behind none of these may be the closure of a "t"."""
FRAME_S = 0.01

Kind = Literal["told", "by_letters"]
KINDS: tuple[Kind, ...] = ("told", "by_letters")

Span = tuple[float, float]
"""From and to, in s from the first sample of the clause."""


@dataclass(frozen=True, slots=True)
class Placed:
    """One word of a clause.

    Attributes:
        told: where the voice says that it is.
        by_letters: where it is by its share of the clause's letters.
        recognised: where Whisper hears it; None where Whisper writes something else.
        begins_s: where it begins by the loudness, if it stands behind a pause.
    """

    text: str
    told: Span
    by_letters: Span
    recognised: Span | None
    begins_s: float | None


def main() -> None:
    about = circumstances()
    for name in ("piper-joe", "kokoro-82m", "whisper-base"):
        weights.fetch(name)
    placed = asyncio.run(_spoken())
    numbers = {name: {kind: compared(placed[name], kind) for kind in KINDS} for name in placed}
    every_word = {name: [[asdict(word) for word in clause] for clause in placed[name]] for name in placed}
    path = write("word_times", {**about, "voices": numbers, "words": every_word})
    for name, kinds in numbers.items():
        for kind, found in kinds.items():
            print(f"{name}, {kind}: {found['late_ms']} ms late; right at {found['right']:.1%} of moments, ")
            print(f"{found['words_off']} words off")
            print(table({key: found[key] for key in ("middle_ms", "begin_ms")}))
    print(path)


async def _spoken() -> dict[str, list[list[Placed]]]:
    piper, kokoro, whisper = Piper(), Kokoro(), _Whisper()
    voices: list[tuple[Tts, str, Sequence[str], str]] = [
        (piper, "joe", ENGLISH, "en"),
        (kokoro, "af_heart", ENGLISH, "en"),
        (kokoro, "zf_xiaobei", MANDARIN, "zh"),
    ]
    placed: dict[str, list[list[Placed]]] = {}
    for tts, voice, texts, language in voices:
        clauses = [clause for text in texts for clause in clauses_of(text)]
        placed[voice] = [await _placed(tts, voice, clause, whisper, language) for clause in clauses]
    piper.close()
    kokoro.close()
    return placed


def clauses_of(text: str) -> list[str]:
    """What a session would ask a voice for."""
    splitter = Clauses()
    return [clause.strip() for clause in (*splitter.feed(text), splitter.rest()) if clause.strip()]


async def _placed(tts: Tts, voice: str, clause: str, whisper: _Whisper, language: str) -> list[Placed]:
    parts = [part async for part in tts.speak(clause, voice)]
    chunks = [part for part in parts if isinstance(part, Audio)]
    audio = join(chunks, chunks[0].rate_hz)
    times = [word for part in parts if isinstance(part, WordTimes) for word in part.words]
    told = [(round(word.start_s, 3), round(word.end_s, 3)) for word in times]
    found = words(clause)
    if len(told) != len(found):
        raise RuntimeError(f"{voice} told {len(told)} times for the {len(found)} words of {clause!r}")
    texts = [word.group() for word in found]
    recognised = matched(texts, whisper.words(audio, language))
    paused = {n: span for n, span in recognised.items() if n and texts[n - 1][-1] in STOPS}
    behind = begins(paused, pause_ends_s(audio))
    return [
        Placed(text, told[n], by_letters, recognised.get(n), behind.get(n))
        for n, (text, by_letters) in enumerate(zip(texts, shares(clause, audio.duration_s), strict=True))
    ]


class _Whisper:
    """Whisper base with its word timestamps, from the attention of its decoder."""

    def __init__(self) -> None:
        from faster_whisper import WhisperModel

        path = str(weights.locate("whisper-base"))
        self._model: Any = WhisperModel(path, device="cpu", compute_type="int8", cpu_threads=1)

    def words(self, audio: Audio, language: str) -> list[Word]:
        samples = at_rate(audio, HEARING_HZ).samples
        segments, _ = self._model.transcribe(samples, language=language, beam_size=5, word_timestamps=True)
        return [Word(w.word, w.start, w.end) for segment in segments for w in segment.words]


def matched(texts: Sequence[str], recognised: Sequence[Word]) -> dict[int, Span]:
    """Where each word is heard, by its number, of those that were written as they were spoken."""
    heard = [(letter, word) for word in recognised for letter in [_plain(word.text)] if letter]
    edits = Levenshtein.opcodes([_plain(text) for text in texts], [letter for letter, _ in heard])
    return {
        number: (word.start_s, word.end_s)
        for edit in edits
        if edit.tag == "equal"
        for number, (_, word) in zip(
            range(edit.src_start, edit.src_end), heard[edit.dest_start : edit.dest_end], strict=True
        )
        if _plain(texts[number])
    }


def _plain(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))


def shares(clause: str, duration_s: float) -> list[Span]:
    """As conversation/heard.py places words whose times nobody tells."""
    whole = letters(clause)
    starts = [letters(clause[: word.start()]) for word in words(clause)]
    lengths = [letters(word.group()) for word in words(clause)]
    return [
        (round(start / whole * duration_s, 3), round((start + length) / whole * duration_s, 3))
        for start, length in zip(starts, lengths, strict=True)
    ]


def pause_ends_s(audio: Audio) -> list[float]:
    """Where sound begins again after each pause within."""
    frame = round(FRAME_S * audio.rate_hz)
    power = np.square(audio.samples[: len(audio) // frame * frame]).reshape(-1, frame).mean(axis=1)
    loud = np.flatnonzero(10 * np.log10(power + 1e-12) > QUIET_DB)
    return [
        round(float(after) * FRAME_S, 3)
        for before, after in pairwise(loud)
        if (after - before - 1) * FRAME_S >= PAUSE_S - 1e-9
    ]


def begins(recognised: Mapping[int, Span], pause_ends_s: Sequence[float]) -> dict[int, float]:
    """Where the words behind the pauses begin, by their numbers."""
    found = {}
    for end_s in pause_ends_s if recognised else ():
        number = min(recognised, key=lambda n: abs(recognised[n][0] - end_s))
        if abs(recognised[number][0] - end_s) < NEAR_S:
            found[number] = end_s
    return found


def compared(clauses: Sequence[Sequence[Placed]], kind: Kind) -> dict[str, Any]:
    """How far the words are, as told or by letters, from where they are by others.

    Returns by how much they are later in the median (by Whisper); without that, the errors of their middles;
    the errors of their beginnings behind pauses (by loudness). And what becomes of the history: at how many
    of all moments it would have the very words whose middles were played (by Whisper, without the median),
    and by how many words it would be off in the mean.
    """
    off_ms, begin_ms, off_words = list[float](), list[float](), list[int]()
    middles = [
        [(_middle(getattr(word, kind)), _middle(word.recognised)) for word in clause if word.recognised]
        for clause in clauses
    ]
    late_s = median(here - there for known in middles for here, there in known)
    for clause, known in zip(clauses, middles, strict=True):
        off_ms += [1000 * abs(here - late_s - there) for here, there in known]
        begin_ms += [1000 * abs(getattr(w, kind)[0] - w.begins_s) for w in clause if w.begins_s is not None]
        for moment_s in np.arange(0, max((there for _, there in known), default=0) + FRAME_S, FRAME_S):
            told = sum(here - late_s < moment_s for here, _ in known)
            off_words.append(abs(told - sum(there < moment_s for _, there in known)))
    return {
        "late_ms": round(1000 * late_s),
        "middle_ms": percentiles(off_ms),
        "begin_ms": percentiles(begin_ms),
        "right": round(off_words.count(0) / len(off_words), 3),
        "words_off": round(sum(off_words) / len(off_words), 3),
    }


def _middle(span: Span) -> float:
    return sum(span) / 2


if __name__ == "__main__":
    main()
