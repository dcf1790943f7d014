"""Speech to measure with: a set of short sounds that lies here, recordings that are fetched, their cutting.

manifest.yaml names every sound of the set, says who or what made it, from where it comes and under which
licence, and marks it; make.py made it. What people said and what a machine said are never averaged together.
"""

from bench.speech.clips import Clip, Kind, Origin, speech_set
from bench.speech.cutting import (
    BLOCK_MS,
    Recording,
    Span,
    Utterance,
    interleaved,
    levels_db,
    spans,
    utterances,
)
from bench.speech.recordings import WHOLE, recordings, synthetic_questions, synthetic_sentences
from bench.speech.sound import at_rate, read_wav, room_noise

__all__ = [
    "BLOCK_MS",
    "WHOLE",
    "Clip",
    "Kind",
    "Origin",
    "Recording",
    "Span",
    "Utterance",
    "at_rate",
    "interleaved",
    "levels_db",
    "read_wav",
    "recordings",
    "room_noise",
    "spans",
    "speech_set",
    "synthetic_questions",
    "synthetic_sentences",
    "utterances",
]
