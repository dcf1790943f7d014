"""Streaming Paraformer: the words of Mandarin speech, with English words in it, while they are spoken.

It hears sound in strides of 600 ms, with 300 ms of what came before and after. Punctuation is not among its
words. How a conversation is cut into segments is not known here.
Model: Gao et al., arXiv:2206.08317, with the chunks of Zhang et al., "Streaming Chunk-Aware Multihead
Attention for Online End-to-End Speech Recognition", arXiv:2006.01712.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from conversation.audio import HEARING_HZ, Audio, Samples
from conversation.errors import ConfigError, StageFailed
from conversation.stages import Hints, Transcript
from deployments.funasr_library import open_model
from deployments.model_thread import ModelThread

FRAME_SAMPLES = 960
"""60 ms: the unit of `chunk_size`, six of the features' frames.

Source: `chunk_stride_samples` in funasr/models/paraformer_streaming/model.py, FunASR 1.4.16.
"""


@dataclass(frozen=True, slots=True)
class StreamingMemory:
    """What has been heard of a segment.

    Attributes:
        cache: FunASR's, of what the model remembers; empty before the first stride. At the published size 9
            MB of values in 13 MB of tensors, on the model's device (measured).
        tokens: all that were heard; a word may be in pieces.
        pending: samples that do not fill a stride yet.
    """

    cache: dict[str, Any] = field(default_factory=dict)
    tokens: tuple[str, ...] = ()
    pending: Samples = field(default_factory=lambda: np.zeros(0, np.float32))

    def __reduce__(self) -> NoReturn:
        raise TypeError("this memory stays with the replica that holds it; give out a ticket for it")


class ParaformerStreaming:
    """An `Asr`. A stride of one segment is one step of the model's thread: the library cannot batch them."""

    def __init__(
        self,
        *,
        weights: str,
        chunk_size: Sequence[int] = (0, 10, 5),
        encoder_look_back: int = 4,
        decoder_look_back: int = 1,
        device: str | None = None,
        threads: int = 1,
    ) -> None:
        """Raises ConfigError when the weights cannot be had or are another model's, or `chunk_size` is wrong.

        Args:
            weights: a catalogue name, or a directory in FunASR's layout: a ParaformerStreaming.
            chunk_size: 0, then a stride and what the model hears beyond it, in frames of 60 ms. (0, 10, 5)
                and (0, 8, 4) are what it was trained for.
            encoder_look_back: strides that the encoder remembers.
            decoder_look_back: strides that the decoder remembers.
            device: "cpu", "cuda:0", ...; None: the first GPU, or the CPU where there is none.
            threads: of the CPU.
        """
        if len(chunk_size) != 3 or chunk_size[0] != 0 or min(chunk_size[1:]) < 1:
            raise ConfigError(
                f"asr: chunk_size must be 0, a stride and a look-ahead in frames of 60 ms, such as "
                f"[0, 10, 5]; got {list(chunk_size)}"
            )
        self._model = open_model(
            weights, "asr", kinds={"ParaformerStreaming"}, device=device, threads=threads
        )
        self._chunks = {
            "chunk_size": list(chunk_size),
            "encoder_chunk_look_back": encoder_look_back,
            "decoder_chunk_look_back": decoder_look_back,
        }
        self._stride = chunk_size[1] * FRAME_SAMPLES
        self._thread = ModelThread("paraformer-streaming")
        silence = np.zeros(self._stride, np.float32)
        self._heard(StreamingMemory(), silence, final=False)  # what the first time costs is paid here

    async def step(
        self,
        audio: Audio,
        memory: StreamingMemory | None,
        *,
        final: bool,
        hints: Hints = Hints(),
    ) -> tuple[Transcript, StreamingMemory | None]:
        """See `Asr.step`; it takes no hints. Cancelled, it gives the thread back after the stride under way.

        Raises StageFailed for another rate than 16 kHz, or when the model fails.
        """
        if audio.rate_hz != HEARING_HZ:
            raise StageFailed("asr", f"audio must be at {HEARING_HZ} Hz, got {audio.rate_hz} Hz")
        memory = memory or StreamingMemory()
        unheard = np.concatenate([memory.pending, audio.samples])
        strides = len(unheard) // self._stride
        for start in range(0, strides * self._stride, self._stride):
            stride = unheard[start : start + self._stride]
            memory = await self._thread.run(self._heard, memory, stride, final=False)
        rest = unheard[strides * self._stride :]
        if final and (memory.cache or len(rest) >= FRAME_SAMPLES):
            memory = await self._thread.run(self._heard, memory, rest, final=True)
            return Transcript(_text(memory.tokens)), None
        return Transcript(_text(memory.tokens)), StreamingMemory(memory.cache, memory.tokens, rest)

    def _heard(self, memory: StreamingMemory, samples: Samples, *, final: bool) -> StreamingMemory:
        """With at most one stride more. The memory that it comes from stays as it is."""
        cache = _copied(memory.cache)
        listening = _TokensHeard(self._model.settings["tokenizer"])
        self._model.infer([samples], cache=cache, is_final=final, tokenizer=listening, **self._chunks)
        return StreamingMemory(cache, (*memory.tokens, *listening.tokens))

    def close(self) -> None:
        """Lets the step under way end; what still waits is dropped."""
        self._thread.close()


class _TokensHeard:
    """FunASR's tokenizer, whose answers are kept.

    The library makes a text of the tokens of one stride alone, and so loses an English word that goes on in
    the next one.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.tokens: list[str] = []

    def ids2tokens(self, ids: list[int]) -> list[str]:
        tokens: list[str] = self._tokenizer.ids2tokens(ids)
        self.tokens += tokens
        return tokens


def _copied(cache: Any) -> Any:
    """Its dictionaries and lists anew, for those are what the library writes to; tensors it replaces.

    All but one: the last stride of a segment is computed in place of `feats`, the features of the look-ahead
    (`forward_chunk` in funasr/models/scama/encoder.py, FunASR 1.4.16).
    """
    if isinstance(cache, dict):
        return {key: value.clone() if key == "feats" else _copied(value) for key, value in cache.items()}
    if isinstance(cache, list):
        return [_copied(value) for value in cache]
    return cache


def _text(tokens: Sequence[str]) -> str:
    """Pieces joined to words, and a space between two words of letters."""
    from funasr.utils.postprocess_utils import sentence_postprocess

    text, _ = sentence_postprocess(list(tokens))
    return str(text)
