"""What CosyVoice wants to know of a speaker, computed once from a reference voice.

Speech tokens and mel frames of the reference, which every utterance goes on from; the tokens of its words;
and an embedding of the voice. The library keeps these by name in a dict of the process that only grows, and
some versions write the text of an utterance into what they keep; here they are kept by content, a limited
number of them, and never changed. Blocks, and is meant for one thread at a time.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import inspect
import tempfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import soxr

from conversation.audio import HEARING_HZ, Audio, Samples
from deployments.tts.cosyvoice_library import OpenedModel
from deployments.tts.voices import Voice

Speaker = Mapping[str, Any]
"""Tensors by the names that the library gives them: prompt_text, llm_prompt_speech_token, llm_embedding,
flow_prompt_speech_token, prompt_speech_feat, flow_embedding."""

_INSTRUCTION = "You are a helpful assistant.<|endofprompt|>"
"""CosyVoice 3 refuses a text without this mark. Source: example.py at ace7c47."""

_MEL_FRAMES_A_TOKEN = 2
"""Of CosyVoice 2 and 3."""


class Speakers:
    """The speakers used last."""

    def __init__(self, opened: OpenedModel, most: int = 64) -> None:
        """`most`: so many are kept, up to 1 MB each where the model is."""
        self._opened, self.most = opened, most
        self._kept: OrderedDict[str, Speaker] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, voice: Voice) -> Speaker:
        """A tenth of a second on a GPU when it is new. Two voices of equal sound and words are the same."""
        key = _fingerprint(voice)
        if key not in self._kept:
            self._kept[key] = self._computed(voice)
        self._kept.move_to_end(key)
        while len(self._kept) > self.most:
            self._kept.popitem(last=False)
        return self._kept[key]

    def _computed(self, voice: Voice) -> Speaker:
        frontend = self._opened.frontend
        words = frontend.text_normalize(voice.text, split=False)
        if self._opened.version == 3:
            words = _INSTRUCTION + words
        _mend_spectrogram()
        takes_a_file = "prompt_wav" in inspect.signature(frontend.frontend_zero_shot).parameters
        with (_file if takes_a_file else _tensor)(voice.audio) as prompt:
            speaker = frontend.frontend_zero_shot("", words, prompt, self._opened.rate_hz, "")
        if takes_a_file and self._opened.version == 1:
            _mend_mel_frames(speaker, voice.audio, self._opened)
        if self._opened.version > 1:
            _align(speaker, int(self._opened.model.token_hop_len))
        return {name: tensor for name, tensor in speaker.items() if not name.startswith("text")}


def _mend_spectrogram() -> None:
    """Makes Matcha's window anew, which is otherwise the one of the first settings or the last.

    It is kept for all of the process under the device alone, and CosyVoice 1 wants another than 2 and 3.
    Source: `mel_spectrogram` in matcha/utils/audio.py, https://github.com/shivammehta25/Matcha-TTS at dd9105b
    """
    importlib.import_module("matcha.utils.audio").mel_basis.clear()


@functools.lru_cache(maxsize=256)
def _fingerprint(voice: Voice) -> str:
    """Remembered, since it takes milliseconds for megabytes of sound."""
    content = hashlib.sha256(voice.audio.samples.tobytes())
    content.update(f"{voice.audio.rate_hz} {voice.text}".encode())
    return content.hexdigest()


@contextlib.contextmanager
def _file(audio: Audio) -> Iterator[str]:
    """As upstream takes it: the path of a WAV file, which it reads three times."""
    import soundfile

    with tempfile.TemporaryDirectory(prefix="antiphon-voice-") as directory:
        path = Path(directory) / "reference.wav"
        soundfile.write(path, audio.samples, audio.rate_hz, subtype="FLOAT")
        yield str(path)


@contextlib.contextmanager
def _tensor(audio: Audio) -> Iterator[Any]:
    """As cosyvoice2-eu takes it: a tensor of shape (1, n) at 16 kHz."""
    import torch

    yield torch.from_numpy(_resampled(audio, HEARING_HZ)).unsqueeze(0)


def _resampled(audio: Audio, to_hz: int) -> Samples:
    samples: Samples = soxr.resample(audio.samples, audio.rate_hz, to_hz)
    return samples


def _mend_mel_frames(speaker: dict[str, Any], audio: Audio, opened: OpenedModel) -> None:
    """Upstream computes the frames of 24 kHz for every version since 622a3a1, but CosyVoice 1 has 22.05 kHz.

    Its voices would sound a semitone and a half too low, and slow. Source: `_extract_speech_feat` in
    cosyvoice/cli/frontend.py.
    """
    import torch

    sound = torch.from_numpy(_resampled(audio, opened.rate_hz)).unsqueeze(0)
    frames = opened.frontend.feat_extractor(sound).squeeze(0).transpose(0, 1).unsqueeze(0)
    speaker["prompt_speech_feat"] = frames.to(speaker["prompt_speech_feat"])


def _align(speaker: dict[str, Any], block: int) -> None:
    """Lets the flow's part of the reference be whole blocks of so many tokens, cut at its start.

    The flow of CosyVoice 2 and 3 was trained on blocks. The library fills up the last one of the reference
    with the first tokens of every sentence, so that its first chunk needs up to 24 tokens more, a second of
    speech. The language model still has all of the reference, and its words.
    """
    tokens = speaker["flow_prompt_speech_token"]
    if excess := tokens.shape[1] % block if tokens.shape[1] >= block else 0:
        speaker["flow_prompt_speech_token"] = tokens[:, excess:]
        frames = speaker["prompt_speech_feat"]
        speaker["prompt_speech_feat"] = frames[:, excess * _MEL_FRAMES_A_TOKEN :]
