"""Paraformer: the words of a segment of Mandarin speech, with English words in it.

All characters of a segment are written down at once, and several segments in one batch. SeACo-Paraformer
("paraformer-zh") can be told which names to expect, and says when each character was spoken. How a
conversation is cut into segments is not known here.
Model: Gao et al., "Paraformer: Fast and Accurate Parallel Transformer for Non-autoregressive End-to-End
Speech Recognition", arXiv:2206.08317; Shi et al., "SeACo-Paraformer", arXiv:2308.03266.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from conversation.audio import HEARING_HZ, Audio, Samples
from conversation.stages import Hints, Transcript, Word
from conversation.words import wide
from deployments.asr.batches import batches
from deployments.asr.hotwords import hotwords
from deployments.asr.punctuation import Punctuation
from deployments.asr.segments import hints_of_each
from deployments.funasr_library import open_model
from deployments.model_thread import ModelThread

_BATCHED = "SeacoParaformer"
_ONE_BY_ONE = "Paraformer"
"""Its predictor (`cif_v1` in funasr/models/paraformer/cif_predictor.py, FunASR 1.4.16) reads beyond its
arrays when the last row of a batch has no words, as a cough has none. On a GPU that ends the process."""


class Paraformer:
    """A `SegmentAsr`.

    A text does not depend on the other rows of its batch: see `_mute_padding`. Times can move by 20 ms, a
    third of a frame, since the layer that gives them hears the padding.
    """

    def __init__(
        self,
        *,
        weights: str,
        punctuation: str | None = None,
        device: str | None = None,
        threads: int = 1,
        batch_size: int = 8,
    ) -> None:
        """Raises ConfigError when the weights cannot be had or are another model's.

        Args:
            weights: a catalogue name, or a directory in FunASR's layout: a Paraformer or SeACo-Paraformer.
            punctuation: the same for a CT-Transformer; None: texts without punctuation.
            device: "cpu", "cuda:0", ...; None: the first GPU, or the CPU where there is none.
            threads: of the CPU.
            batch_size: segments at once. Plain Paraformer takes them one by one.
        """
        self._model = open_model(
            weights, "asr", kinds={_BATCHED, _ONE_BY_ONE}, device=device, threads=threads
        )
        self._model.network.encoder.register_forward_hook(_mute_padding)
        self._batch_size = batch_size if self._model.kind == _BATCHED else 1
        self._punctuation = Punctuation(weights=punctuation, threads=threads) if punctuation else None
        self._thread = ModelThread("paraformer")
        self._decode([np.zeros(HEARING_HZ, np.float32)], ())  # what the first time costs is paid here

    async def transcribe(self, segments: Sequence[Audio], hints: Sequence[Hints] = ()) -> list[Transcript]:
        """See `SegmentAsr.transcribe`; of the hints, SeACo-Paraformer takes the words, and keywords in a
        prompt.

        Cancelled, it gives the thread back after the batch under way. Raises StageFailed for another rate
        than 16 kHz, a segment longer than 30 s, or when the model fails.
        """
        told = [hotwords(hint) for hint in hints_of_each(segments, hints)]
        transcripts = [Transcript("")] * len(segments)
        for expected, numbers in batches(segments, told, self._batch_size):
            samples = [np.array(segments[number].samples) for number in numbers]
            heard = await self._thread.run(self._decode, samples, expected)
            for number, result in zip(numbers, heard, strict=True):
                transcripts[number] = await self._transcript(result)
        return transcripts

    def _decode(self, segments: list[Samples], expected: tuple[str, ...]) -> list[dict[str, Any]]:
        told = {"hotword": self._spelt(expected)} if self._model.kind == _BATCHED else {}
        return self._model.infer(segments, **told) or [{"text": ""}] * len(segments)

    def _spelt(self, expected: tuple[str, ...]) -> str | None:
        """As FunASR wants hotwords, without those that the model has no tokens for.

        The spaces at both ends keep it from taking them for the name of a file or an address, which it would
        open.
        """
        tokenizer, front_end = self._model.settings["tokenizer"], self._model.settings["frontend"]
        [unknown] = tokenizer.tokens2ids(["<unk>"])
        known = []
        for word in expected:
            tokens, *_ = self._model.network.generate_hotwords_list(
                f" {word} ", tokenizer=tokenizer, frontend=front_end
            )
            if unknown not in tokens:
                known.append(word)
        return f" {' '.join(known)} " if known else None

    async def _transcript(self, result: dict[str, Any]) -> Transcript:
        text = str(result["text"])
        transcript = Transcript(_joined(text), _words(text, result.get("timestamp", [])))
        if self._punctuation is None:
            return transcript
        return replace(transcript, text=await self._punctuation.punctuated(text))

    def close(self) -> None:
        """Lets the step under way end; what still waits is dropped."""
        self._thread.close()
        if self._punctuation is not None:
            self._punctuation.close()


def _mute_padding(_encoder: Any, _inputs: Any, output: Any) -> Any:
    """A forward hook: the encoder's frames beyond the end of a row become zeros, as beyond a row alone.

    The predictor looks one frame past the end. Measured with small random models and noise of 0.2 to 5 s,
    padding changed the text of 25 of 96 rows in batches of 8 without this, and of none with it.
    """
    import torch

    frames, lengths, rest = output  # (B, T, width), (B,)
    heard = torch.arange(frames.shape[1], device=frames.device) < lengths[:, None]
    return frames * heard[:, :, None], lengths, rest


def _joined(text: str) -> str:
    """Without the spaces beside Han characters, which SeACo-Paraformer puts between all words."""
    return re.sub(r"(\S)\s+(?=(\S))", lambda m: m[1] if wide(m[1]) or wide(m[2]) else f"{m[1]} ", text)


def _words(text: str, times_ms: Sequence[tuple[int, int]]) -> tuple[Word, ...]:
    """Nothing where the library gives another number of times than of words."""
    texts = text.split()
    if len(texts) != len(times_ms):
        return ()
    return tuple(
        Word(word, start / 1000, end / 1000) for word, (start, end) in zip(texts, times_ms, strict=True)
    )
