"""A Piper voice, spoken chunk by chunk inside the sentence, on the CPU.

The front end of the network sees a whole sentence, so the intonation is that of the whole; the rest is made
of convolutions over the front end's frames and is run over a few of them at a time. Between chunks nothing is
kept but frames, so streams of several callers take turns on the one model thread.

streaming-vits, which splits the network, has an engine too. It is not used: its constructor insists on a
phonemizer of its own (a system eSpeak NG or the piper_phonemize package), it sets more context for a chunk
than the network can use, and more work for a step than another caller should wait for.

Voices: https://huggingface.co/rhasspy/piper-voices. This module knows no Ray.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from conversation.audio import Audio, Samples
from conversation.errors import ConfigError
from conversation.stages import SpeechPart, WordTimes
from deployments.model_thread import ModelThread
from deployments.onnx import OnnxModel
from deployments.tts.phonemes import Phonemizer, phoneme_ids, sentences
from deployments.tts.streaming_graphs import config_file, streaming_graphs, voice_file
from deployments.tts.timed_speech import Edges, TimedSpeech
from deployments.weights import locate

if TYPE_CHECKING:
    from onnxruntime import RunOptions

FLOW_CONTEXT = 28
VOCODER_CONTEXT = 10
"""Frames that each part is given on either side of those it is asked for. The flow's receptive field ends at
32 frames and the vocoder's at 20, but beyond these no sample moves by more than a tenth of a step of PCM16
(measured on en_US-joe-medium)."""

LONGEST_SENTENCE = 200
"""Phonemes, about 10 s of speech. The front end's time grows with the square of the length (0.1 s for
this one, 0.4 s for 500), and neither the first chunk nor another caller can have the thread meanwhile."""

ROUNDING = 0.24
"""The share of a sentence's natural length that does not scale with the network's `length_scale`: every
phoneme lasts a whole number of frames, rounded up (measured on en_US-joe-medium for scales of 0.35 to 5)."""

Frames = NDArray[np.float32]
"""What the parts of the network hand on, shape (1, channels, frames)."""

_NOTHING: Samples = np.zeros(0, np.float32)


class Piper:
    """Implements `conversation.stages.Tts`."""

    def __init__(
        self,
        *,
        weights: str = "piper-joe",
        voices: Mapping[str, str] | None = None,
        threads: int = 1,
        chunk_frames: Sequence[int] = (16, 24, 32, 48, 64),
    ) -> None:
        """Loads and warms up: 1 s, and 3 s more the first time a voice is used on this machine.

        Args:
            weights: the default voice: a catalogue name, or the path of a directory that holds one voice.
            voices: the weights of further voices by the name that clients ask for, all of one rate.
            threads: of the network. One computes nine times as fast as playback; a second one saves 6 ms of
                the first chunk's 40.
            chunk_frames: the lengths of the first, second, ... chunk; the last one repeats. Short first, to
                be heard early; then longer, since each costs its context on top.

        Raises ConfigError when a voice cannot be used.
        """
        from onnxruntime import RunOptions

        self._thread = ModelThread("piper")
        self._phonemizer = Phonemizer()
        self._chunk_frames = tuple(chunk_frames)
        self._default = _Voice(locate(weights), threads)
        self._voices = {name: _Voice(locate(path), threads) for name, path in (voices or {}).items()}
        if rates := {voice.rate_hz for voice in self._voices.values()} - {self._default.rate_hz}:
            raise ConfigError(
                f"tts voices: all must have one rate; {self._default.rate_hz} Hz here, {rates} there"
            )
        for voice in (self._default, *self._voices.values()):
            for _ in self._steps("Ready to speak, I am.", voice, 1.0, RunOptions()):
                pass

    async def speak(self, text: str, voice: str, speed: float = 1.0) -> AsyncGenerator[SpeechPart, None]:
        """As in `Tts`; the rate is the voice's own. A text of up to LONGEST_TEXT characters is taken.

        The silence around a sentence is cut short (timed_speech.py). The times of its words come after its
        first sound; of a text that is read quite otherwise than its words are, none come. It cannot speak
        much more than twice as fast as is natural, since no phoneme is shorter than a frame.
        Cancelled, it gives the thread back within one operator of the network.
        """
        from onnxruntime import RunOptions

        speaker = self._voices.get(voice, self._default)
        options = RunOptions()
        work = partial(self._steps, text, speaker, min(max(speed, 0.25), 4.0), options)
        try:
            async with aclosing(self._thread.stream(work)) as steps:
                async for item in steps:
                    if isinstance(item, WordTimes):
                        yield item
                    elif len(item):
                        yield Audio(item, speaker.rate_hz)
        finally:
            options.terminate = True  # the run under way, if any, ends at its next operator

    def close(self) -> None:
        """Ends the thread and the phonemizer's process."""
        self._thread.close()
        self._phonemizer.close()

    def _steps(
        self, text: str, voice: _Voice, speed: float, options: RunOptions
    ) -> Iterator[Samples | WordTimes]:
        """One item for every stretch of work after which somebody else may have the thread."""
        clauses = self._phonemizer.clauses(text, voice.espeak_voice)
        phonemes = list(sentences(clauses, LONGEST_SENTENCE))
        alone = partial(self._phonemizer.alone, voice=voice.espeak_voice)
        speech = TimedSpeech(text, phonemes, alone, voice.rate_hz)
        lengths = itertools.chain(self._chunk_frames, itertools.repeat(self._chunk_frames[-1]))
        for sentence in phonemes:
            latent, edges = voice.latent(sentence, speed, options)
            yield _NOTHING
            yield from speech.sentence(sentence, voice.decode(latent, lengths, options), edges)


def _length_scale(speed: float) -> float:
    return max((1 / speed - ROUNDING) / (1 - ROUNDING), 0.01)


class _Voice:
    """One voice's network, and what its configuration says."""

    def __init__(self, directory: Path, threads: int) -> None:
        file = voice_file(directory)
        config = json.loads(config_file(file).read_text(encoding="utf-8"))
        try:
            self.rate_hz: int = config["audio"]["sample_rate"]
            self.espeak_voice: str = config["espeak"]["voice"]
            self._id_map: dict[str, list[int]] = config["phoneme_id_map"]
            self._noise: float = config["inference"]["noise_scale"]
            self._length: float = config["inference"]["length_scale"]
            self._duration_noise: float = config["inference"]["noise_w"]
        except KeyError as error:
            raise ConfigError(f"{config_file(file)} is no Piper voice's: it lacks {error}") from error
        self._graphs = streaming_graphs(file)
        self._frontend = OnnxModel(self._graphs.frontend, stage="tts", threads=threads)
        self._flow = OnnxModel(self._graphs.flow, stage="tts", threads=threads)
        self._vocoder = OnnxModel(self._graphs.vocoder, stage="tts", threads=threads)

    def latent(self, phonemes: str, speed: float, options: RunOptions | None = None) -> tuple[Frames, Edges]:
        """The frames of one sentence, and where in them its phonemes are. They are sampled: no two calls give
        the same."""
        ids_of_each = phoneme_ids(phonemes, self._id_map)
        ids = list(itertools.chain.from_iterable(ids_of_each))
        inputs: dict[str, NDArray[Any]] = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array(
                [self._noise, self._length * _length_scale(speed), self._duration_noise], np.float32
            ),
        }
        latent, durations = self._frontend.run(inputs, [self._graphs.latent, self._graphs.durations], options)
        frames = np.cumsum(durations.reshape(-1)).astype(np.int64)
        last_ids = np.cumsum([len(each) for each in ids_of_each[:-1]]) - 1
        return latent, frames[last_ids] * self._graphs.hop_samples

    def decode(
        self, latent: Frames, lengths: Iterator[int], options: RunOptions | None = None
    ) -> Iterator[Samples]:
        """The sound of the frames, in chunks of so many frames."""
        frames, hop = latent.shape[2], self._graphs.hop_samples
        flowed = latent[:, :, :0]
        start = 0
        while start < frames:
            end = min(start + next(lengths), frames)
            first, last = max(start - VOCODER_CONTEXT, 0), min(end + VOCODER_CONTEXT, frames)
            if (known := flowed.shape[2]) < last:
                flowed = np.concatenate([flowed, self._flowed(latent, known, last, options)], axis=2)
            part = flowed[:, :, first:last]
            sound = self._vocoder.run({self._graphs.flowed: part}, options=options)[0].reshape(-1)
            yield sound[(start - first) * hop : (end - first) * hop]
            start = end

    def _flowed(self, latent: Frames, start: int, end: int, options: RunOptions | None) -> Frames:
        """The frames from `start` to `end`, of all that there are, past the flow."""
        first = max(start - FLOW_CONTEXT, 0)
        part = latent[:, :, first : end + FLOW_CONTEXT]
        inputs = {self._graphs.latent: part, self._graphs.mask: np.ones_like(part[:, :1])}
        return self._flow.run(inputs, options=options)[0][:, :, start - first : end - first]
