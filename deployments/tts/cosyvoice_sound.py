"""The second half of CosyVoice: speech tokens become sound, chunk by chunk.

A flow makes mel frames of tokens, HiFT makes samples of the frames; the library does both in `token2wav`.
What differs between its versions is how a chunk joins the one before. CosyVoice 1 runs the flow over the new
tokens and some that overlap, and fades. CosyVoice 2 and 3 run it over all tokens so far, some ahead, and keep
what is new; the longer the chunks, the less is computed twice.

The library keeps an utterance's state in dicts of the model, which it fills at the start and empties at an
end that does not always come, and grows the chunks of all utterances by one number of the model's
(https://github.com/FunAudioLLM/CosyVoice/issues/1892). Here both belong to the utterance. This module does
not know where tokens come from. Every method blocks; several utterances may be computed on several threads.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from conversation.audio import Samples
from conversation.errors import ConfigError

_SHORTEST = 5
"""CosyVoice 2 holds back 8 mel frames, 4 tokens."""


class Sound(Protocol):
    """One sentence on its way from tokens to samples."""

    @property
    def wanted(self) -> int:
        """The next chunk can be computed from so many tokens, counted from the sentence's first."""

    def chunk(self, tokens: Sequence[int]) -> Samples:
        """The next chunk, from the first `wanted` tokens."""

    def rest(self, tokens: Sequence[int]) -> Samples:
        """All that is left, from all tokens, of which there is at least one."""


class Sounds:
    """Makes the `Sound` of each sentence, as the model's version wants it."""

    def __init__(self, model: Any, version: int, chunk_tokens: Sequence[int] | None = None) -> None:
        """Args:
            model: the library's CosyVoiceModel, CosyVoice2Model or CosyVoice3Model.
            version: 1, 2 or 3.
            chunk_tokens: the new tokens of the first, second, ... chunk; the last number repeats. None: the
                library's own, 100 (2 s) for CosyVoice 1; 25, 50, 100 (1, 2, 4 s) for 2 and 3.

        Raises ConfigError when a chunk is too short.
        """
        self._model, self._version = model, version
        own = [model.token_min_hop_len] if version == 1 else [model.token_hop_len * n for n in (1, 2, 4)]
        self._lengths = list(own if chunk_tokens is None else chunk_tokens)
        least = _shortest_overlapping(model) if version == 1 else _SHORTEST
        if not self._lengths or min(self._lengths) < least:
            raise ConfigError(
                f"tts options.chunk_tokens: {chunk_tokens}: CosyVoice {version} needs at least {least} "
                f"tokens a chunk"
            )

    def begin(self, speaker: Mapping[str, Any]) -> Sound:
        """`speaker`: see cosyvoice_speakers."""
        lengths = itertools.chain(self._lengths, itertools.repeat(self._lengths[-1]))
        return (_Overlapping if self._version == 1 else _Growing)(self._model, speaker, lengths)


def _shortest_overlapping(model: Any) -> int:
    """CosyVoice 1 holds back as many mel frames for HiFT, of which there are 1.7 for a token."""
    return int(model.mel_cache_len / (22050 / 256) * model.flow.input_frame_rate) + 1


class _Overlapping:
    """CosyVoice 1. Source: `CosyVoiceModel.tts` in cosyvoice/cli/model.py."""

    def __init__(self, model: Any, speaker: Mapping[str, Any], lengths: Iterator[int]) -> None:
        import torch

        self._model, self._speaker, self._lengths = model, speaker, lengths
        self._state = {
            "hift_cache_dict": None,
            "mel_overlap_dict": torch.zeros(1, 80, 0),
            "flow_cache_dict": torch.zeros(1, 80, 0, 2),
        }
        self._offset, self._length = 0, next(lengths)

    @property
    def wanted(self) -> int:
        return self._offset + self._length + int(self._model.token_overlap_len)

    def chunk(self, tokens: Sequence[int]) -> Samples:
        samples = self._computed(tokens[self._offset : self.wanted], finalize=False)
        self._offset, self._length = self._offset + self._length, next(self._lengths)
        return samples

    def rest(self, tokens: Sequence[int]) -> Samples:
        return self._computed(tokens[self._offset :], finalize=True)

    def _computed(self, tokens: Sequence[int], finalize: bool) -> Samples:
        return _token2wav(self._model, self._state, self._speaker, tokens, finalize=finalize)


class _Growing:
    """CosyVoice 2 and 3, from a reference of whole blocks. Source: `CosyVoice2Model.tts`, same file."""

    def __init__(self, model: Any, speaker: Mapping[str, Any], lengths: Iterator[int]) -> None:
        self._model, self._speaker, self._lengths = model, speaker, lengths
        self._state: dict[str, Any] = {"hift_cache_dict": None}
        self._offset, self._length = 0, next(lengths)

    @property
    def wanted(self) -> int:
        return self._offset + self._length + int(self._model.flow.pre_lookahead_len)

    def chunk(self, tokens: Sequence[int]) -> Samples:
        samples = self._computed(tokens[: self.wanted], finalize=False)
        self._offset, self._length = self._offset + self._length, next(self._lengths)
        return samples

    def rest(self, tokens: Sequence[int]) -> Samples:
        return self._computed(tokens, finalize=True)

    def _computed(self, tokens: Sequence[int], finalize: bool) -> Samples:
        return _token2wav(
            self._model,
            self._state,
            self._speaker,
            tokens,
            token_offset=self._offset,
            stream=not finalize,
            finalize=finalize,
        )


def _token2wav(
    model: Any, state: dict[str, Any], speaker: Mapping[str, Any], tokens: Sequence[int], **options: Any
) -> Samples:
    """The library's `token2wav`, which is lent the state for as long as it runs."""
    import torch

    key = uuid.uuid4().hex
    for name, value in state.items():
        getattr(model, name)[key] = value
    try:
        sound = model.token2wav(
            token=torch.tensor(tokens, dtype=torch.int32).unsqueeze(0),
            prompt_token=speaker["flow_prompt_speech_token"],
            prompt_feat=speaker["prompt_speech_feat"],
            embedding=speaker["flow_embedding"],
            uuid=key,
            **options,
        )
    finally:
        for name in state:
            state[name] = getattr(model, name).pop(key)
    return np.asarray(sound.float().cpu().numpy().reshape(-1), np.float32)
