"""How well Mandarin was understood, for tests that judge by ear."""

from __future__ import annotations

import re
from collections.abc import Sequence

import jiwer
import soxr
from pypinyin import lazy_pinyin

from conversation.audio import HEARING_HZ, Audio, join, silence
from conversation.stages import Hints
from deployments.asr.whisper import Whisper
from deployments.tts.mandarin import in_words

MANDARIN = Hints(language="zh")


def plain(text: str) -> str:
    """Characters alone, numbers written out: a recogniser may write 8 for 八."""
    return re.sub(r"\W", "", in_words(text)).lower()


def character_errors(said: Sequence[str], heard: Sequence[str]) -> float:
    """The character error rate of all together."""
    return float(jiwer.cer([plain(text) for text in said], [plain(text) or "-" for text in heard]))


def syllable_errors(said: Sequence[str], heard: Sequence[str]) -> float:
    """The same of syllables without their tones: homophones are no mistakes of a voice, and characters may be
    traditional."""
    return float(jiwer.wer([_syllables(text) for text in said], [_syllables(text) for text in heard]))


def _syllables(text: str) -> str:
    return " ".join(lazy_pinyin(plain(text))) or "-"


def as_a_session_hears_it(audio: Audio) -> Audio:
    """At 16 kHz, in the silence that a session keeps around it: Whisper needs some to get the first sound."""
    at_16_khz = Audio(soxr.resample(audio.samples, audio.rate_hz, HEARING_HZ), HEARING_HZ)
    return join([silence(0.3, HEARING_HZ), at_16_khz, silence(0.3, HEARING_HZ)], HEARING_HZ)


async def heard(whisper: Whisper, audio: Audio, hints: Hints = MANDARIN) -> str:
    [transcript] = await whisper.transcribe([as_a_session_hears_it(audio)], [hints])
    return transcript.text
