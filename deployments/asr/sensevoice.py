"""SenseVoice: the words of a segment of Mandarin, Cantonese, English, Japanese or Korean speech, punctuated.

It also hears moods and other sounds than speech; those are left out. How a conversation is cut into segments
is not known here.
Model: An et al., "FunAudioLLM", arXiv:2407.04051; https://github.com/FunAudioLLM/SenseVoice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from conversation.audio import HEARING_HZ, Audio, Samples
from conversation.stages import Hints, Transcript
from deployments.asr.batches import batches
from deployments.asr.segments import hints_of_each
from deployments.funasr_library import open_model
from deployments.model_thread import ModelThread

LANGUAGES = frozenset({"zh", "yue", "en", "ja", "ko"})
_ANY = "auto"
_LANGUAGE_TAG = re.compile(r"<\|(zh|yue|en|ja|ko)\|>")


class SenseVoice:
    """A `SegmentAsr`. Segments of one language are decoded together; padding does not change their text."""

    def __init__(
        self,
        *,
        weights: str,
        written_form: bool = True,
        device: str | None = None,
        threads: int = 1,
        batch_size: int = 8,
    ) -> None:
        """Raises ConfigError when the weights cannot be had or are another model's.

        Args:
            weights: a catalogue name, or a directory in FunASR's layout: a SenseVoiceSmall.
            written_form: with punctuation, and numbers in digits ("inverse text normalisation").
            device: "cpu", "cuda:0", ...; None: the first GPU, or the CPU where there is none.
            threads: of the CPU.
            batch_size: segments at once.
        """
        self._model = open_model(weights, "asr", kinds={"SenseVoiceSmall"}, device=device, threads=threads)
        self._written_form, self._batch_size = written_form, batch_size
        self._thread = ModelThread("sensevoice")
        self._decode([np.zeros(HEARING_HZ, np.float32)], _ANY)  # what the first time costs is paid here

    async def transcribe(self, segments: Sequence[Audio], hints: Sequence[Hints] = ()) -> list[Transcript]:
        """See `SegmentAsr.transcribe`; of the hints it takes the language.

        Cancelled, it gives the thread back after the batch under way. Raises StageFailed for another rate
        than 16 kHz, a segment longer than 30 s, or when the model fails.
        """
        told = [_language(hint.language) for hint in hints_of_each(segments, hints)]
        transcripts = [Transcript("")] * len(segments)
        for language, numbers in batches(segments, told, self._batch_size):
            samples = [np.array(segments[number].samples) for number in numbers]
            heard = await self._thread.run(self._decode, samples, language)
            for number, transcript in zip(numbers, heard, strict=True):
                transcripts[number] = transcript
        return transcripts

    def _decode(self, segments: list[Samples], language: str) -> list[Transcript]:
        results = self._model.infer(segments, language=language, use_itn=self._written_form)
        return [_transcript(result["text"]) for result in results]

    def close(self) -> None:
        """Lets the step under way end; what still waits is dropped."""
        self._thread.close()


def _language(tag: str | None) -> str:
    """The model's name for a BCP 47 tag: "zh" for "zh-CN", "yue" for "zh-yue"."""
    for part in reversed((tag or "").lower().split("-")):
        if part in LANGUAGES:
            return part
    return _ANY


def _transcript(tagged: str) -> Transcript:
    """Without the tags, and without the pictures that the library makes of those for moods and sounds."""
    from funasr.utils import postprocess_utils as library

    text = str(library.rich_transcription_postprocess(tagged))
    pictures = library.emo_set | library.event_set | {"❓"}
    text = text.translate({ord(picture): None for picture in pictures}).strip()
    language = _LANGUAGE_TAG.search(tagged)
    return Transcript(text, language=language[1] if language and text else None)
