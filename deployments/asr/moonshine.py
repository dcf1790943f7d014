"""Moonshine: the words of a segment of English speech.

An encoder hears a segment whole, a decoder writes it down a token at a time, always the likeliest one. The
segments of a call are taken one after another: the models quantise each tensor by the largest value in it, so
that segments in one batch would change each other's words (measured: 6 of 16), and on a CPU core a batch is
only 3..35 % faster. A segment that was here before, shorter, is not written from scratch: what was written
then is read in one run of the decoder, as far as it still is the likeliest. How a conversation is cut into
segments is not known here.
Model: Jeffries et al., "Moonshine: Speech Recognition for Live Transcription and Voice Commands",
arXiv:2410.15608; https://github.com/moonshine-ai/moonshine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from conversation.audio import HEARING_HZ, Audio, Samples
from conversation.errors import ConfigError
from conversation.stages import Hints, Transcript
from deployments.asr.drafts import Drafts, Tokens
from deployments.asr.segments import hints_of_each, is_audible
from deployments.model_thread import ModelThread
from deployments.onnx import OnnxModel
from deployments.weights import locate

if TYPE_CHECKING:
    from onnxruntime import RunOptions

SHORTEST_S = 1.0
"""A shorter segment is followed by silence up to here. Measured here on words of 0.3 s: alone, "No." gave
"No, no," and "Go on." gave "The one who won'"; with the silence both were right. Below 0.07 s the encoder has
no output at all.
"""

TOKENS_PER_S = 6.5
"""The fastest that people speak, in tokens; a decoder that goes on is repeating itself.

Source: "Usage" in https://huggingface.co/UsefulSensors/moonshine-tiny.
"""

DOUBTFUL_LOG_PROBABILITY = -1.0
"""Words whose mean log probability is lower are taken for noise. Whisper distrusts its own below the same
value (arXiv:2212.04356, section 4.5). Measured here: speech in equally loud pink noise stays above -0.85.
"""

_NO_WORDS = "You"
"""What the model writes for silence and for most noise. Where somebody says it, it has punctuation."""

_START, _END = 1, 2
_SPECIAL = 3
"""Tokens below are unknown, start, end."""

_TOKENS_A_STEP = 4
"""Between two steps other callers have their turn. One token takes 3..10 ms, more in a longer segment; a
draft of 30 takes 20 ms."""


@dataclass(slots=True)
class _Line:
    """What is written for one segment."""

    tokens: list[int] = field(default_factory=list)
    log_probability: float = 0.0
    """Summed over the tokens and the end."""

    @property
    def doubtful(self) -> bool:
        return self.log_probability < DOUBTFUL_LOG_PROBABILITY * (len(self.tokens) + 1)


class Moonshine:
    """A `SegmentAsr`."""

    def __init__(self, *, weights: str = "moonshine-tiny-en", threads: int = 1) -> None:
        """Raises ConfigError when the weights cannot be had.

        Args:
            weights: a catalogue name or a directory with encoder_model.ort, decoder_model_merged.ort and
                tokenizer.bin.
            threads: for one operator. Measured here, a second one makes no segment faster: most of the time
                goes into the decoder, whose operators are too small to share.
        """
        directory = locate(weights)
        self._encoder = OnnxModel(directory / "encoder_model.ort", stage="asr", threads=threads)
        self._decoder = OnnxModel(directory / "decoder_model_merged.ort", stage="asr", threads=threads)
        self._vocabulary = _read_vocabulary(directory / "tokenizer.bin")
        self._drafts = Drafts()
        self._thread = ModelThread("moonshine")

    async def transcribe(self, segments: Sequence[Audio], hints: Sequence[Hints] = ()) -> list[Transcript]:
        """See `SegmentAsr.transcribe`; it takes no hints. Cancelled, it gives the thread back within one
        operator of the model.

        Raises StageFailed for another rate than 16 kHz, a segment of more than 30 s, or when the model
        fails.
        """
        from onnxruntime import RunOptions

        hints_of_each(segments, hints)
        options = RunOptions()
        work = partial(self._transcribe, [segment.samples for segment in segments], options)
        try:
            async with aclosing(self._thread.stream(work)) as steps:
                return [_transcript(text) async for text in steps if text is not None]
        finally:
            options.terminate = True  # ends the step under way if this was cancelled

    def _transcribe(self, segments: list[Samples], options: RunOptions) -> Iterator[str | None]:
        """Yields the text of each segment, and None between the steps on the way to it."""
        for samples in segments:
            if not is_audible(samples):
                yield ""
                continue
            audio = np.pad(samples, (0, max(0, round(SHORTEST_S * HEARING_HZ) - len(samples))))[None]
            mask = np.ones(audio.shape, np.int64)
            [frames] = self._encoder.run({"input_values": audio, "attention_mask": mask}, options=options)
            yield None
            line, limit = _Line(), _token_limit(audio.size)
            draft = self._drafts.of(samples)[: limit - 1]
            for token, log_probability in islice(self._decode(frames, mask, draft, options), limit):
                line.log_probability += log_probability
                if token == _END:
                    break
                line.tokens.append(token)
                if len(line.tokens) % _TOKENS_A_STEP == 0:
                    yield None
            self._drafts.keep(samples, line.tokens)
            yield self._text(line)

    def _decode(
        self, frames: NDArray[np.float32], mask: NDArray[np.int64], draft: Tokens, options: RunOptions
    ) -> Iterator[tuple[int, float]]:
        """Each next token and its log probability, without end.

        The draft is read in the first run, far sooner than a run for each token. Its tokens are given for
        as long as they are the likeliest, so they are those that would have been written without it, but for
        the rounding of tensors that are quantised as a whole: of 38 utterances, each with the draft that a
        session has, 34 came out the same, 3 with another comma or full stop, one with a wrong word less.
        Source: speculative decoding (Leviathan et al., arXiv:2211.17192), where the draft is one's own.

        Args:
            frames: what the encoder made of the segment, (1, T, width), one frame for 384 samples.
            mask: which samples of the audio count, (1, samples). The decoder wants it at the rate of the
                audio and takes every 384th value itself; at the rate of the frames it fails beyond 9.2 s.
            draft: what may well be the first tokens.
            options: to stop a run from outside.
        """
        inputs: dict[str, NDArray[Any]] = {
            "encoder_hidden_states": frames,
            "encoder_attention_mask": mask,
            "input_ids": np.array([[_START, *draft]]),
            "use_cache_branch": np.array([False]),
        }
        for name, shape in self._decoder.inputs.items():
            if name.startswith("past_key_values"):
                _, heads, _, width = shape
                inputs[name] = np.zeros((1, int(heads), 0, int(width)), np.float32)
        results = dict(zip(self._decoder.outputs, self._decoder.run(inputs, options=options), strict=True))
        token = read = 0
        for read, logits in enumerate(results.pop("logits")[0], 1):  # (vocabulary,)
            token, log_probability = _likeliest(logits)
            yield token, log_probability
            if draft[read - 1 : read] != (token,):
                break
        # The keys and values of what was heard stay what this run made of them; those of the draft's other
        # tokens go.
        outputs = [name for name in self._decoder.outputs if ".encoder." not in name]
        caches = {
            name: cache if ".encoder." in name else cache[:, :, :read] for name, cache in results.items()
        }
        inputs["use_cache_branch"] = np.array([True])
        while True:
            inputs |= {name.replace("present", "past_key_values"): cache for name, cache in caches.items()}
            inputs["input_ids"] = np.array([[token]])
            caches = dict(zip(outputs, self._decoder.run(inputs, outputs, options), strict=True))
            token, log_probability = _likeliest(caches.pop("logits")[0, -1])
            yield token, log_probability

    def _text(self, line: _Line) -> str:
        written = b"".join(self._vocabulary[token] for token in line.tokens)
        text = written.decode("utf-8", "ignore").replace("\u2581", " ").strip()
        if line.doubtful or text == _NO_WORDS or not any(character.isalnum() for character in text):
            return ""
        return text


def _likeliest(logits: NDArray[np.float32]) -> tuple[int, float]:
    """The likeliest token and its log probability; `logits` are (vocabulary,)."""
    token = int(logits.argmax())
    return token, -float(np.log(np.exp(logits - logits[token]).sum()))


def _token_limit(samples: int) -> int:
    """Two more than the rate gives: one is the end, and one is for a second of hasty speech."""
    return math.ceil(samples / HEARING_HZ * TOKENS_PER_S) + 2


def _transcript(text: str) -> Transcript:
    return Transcript(text, language="en" if text else None)


def _read_vocabulary(path: Path) -> list[bytes]:
    """Each token's bytes; those of no text are empty.

    The file has for each token its length, in one byte, or in two from 128 on (the low seven bits, then the
    multiples of 128), and its bytes. Source: core/bin-tokenizer in https://github.com/moonshine-ai/moonshine.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing; does `weights:` name a Moonshine model?") from error
    tokens, at = [], 0
    while at < len(content):
        length, at = content[at], at + 1
        if length >= 128:
            length, at = content[at] * 128 + length - 128, at + 1
        tokens.append(content[at : at + length])
        at += length
    return [
        b"" if number < _SPECIAL or token.startswith(b"<<ST_") else token
        for number, token in enumerate(tokens)
    ]
