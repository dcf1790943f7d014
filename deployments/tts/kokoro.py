"""Kokoro: Mandarin and English voices on the CPU, spoken chunk by chunk inside the sentence.

The front end of the network sees a whole sentence, so the intonation is that of the whole; its frames are
then decoded a few at a time (kokoro_graphs.py), and chunks meet where the voice is at its quietest. Between
chunks nothing is kept but frames, so streams of several callers take turns on the one model thread.
Measured on two shared cores, threads=2: a first chunk of 0.5 s after 0.35 s, the whole clause twice as fast
as it is heard. In one piece, its first sound would come after 1 s.

Model and voices: https://huggingface.co/hexgrad/Kokoro-82M. This module knows no Ray.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
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
from deployments.tts.kokoro_english import kokoro_phonemes
from deployments.tts.kokoro_graphs import FRAME_SAMPLES, RATE_HZ, kokoro_graphs
from deployments.tts.mandarin import Mandarin, in_plain_letters, is_mandarin
from deployments.tts.phonemes import Clause, Phonemizer, sentences, speakable
from deployments.tts.timed_speech import Edges, TimedSpeech
from deployments.weights import locate

if TYPE_CHECKING:
    from onnxruntime import RunOptions

LONGEST_SENTENCE = 160
"""Phonemes, about 10 s of speech; the network takes 510. The front end's time grows with the length, and
neither the first chunk nor another caller can have the thread meanwhile."""

CONTEXT = 8
"""Frames that the decoder is given on either side of those it is asked for: 0.2 s. With 4, Whisper made a
third more mistakes in what it heard; with 16, as many."""

SEEK = 6
"""Frames by which a chunk may be longer or shorter, so that it ends where the voice is quiet."""

DB_PER_ENERGY, DB_WITHOUT = 3.7, -47.5
"""How loud a frame is to be, in dBFS, by the energy that the front end gives it: a line through what whole
sentences are (measured on three voices, which are 1 dB apart; a frame is off by 2.5 dB). Left alone, the
decoder makes the first chunk of a sentence 3 to 7 dB too quiet, later ones up to 10 dB too loud, and noise of
silence."""

AUDIBLE_DB = -45.0
"""A frame that is to be louder is part of the sentence. By this the sentence's ends are found to a frame."""

LATE = 2
"""Frames by which the durations place a phoneme later than it sounds: behind pauses, words begin 8 to 63 ms
before (medians by loudness, of four voices, of two at three speeds). Kokoro's own timestamps take off 3, and
ask if that is right (https://github.com/hexgrad/kokoro/blob/main/kokoro/pipeline.py, `join_timestamps`)."""

LEAD, TAIL = 4, 8
"""Frames of the silence before and after the sentence that are decoded: for the first sound's onset, and for
a pause of 200 ms after a full stop."""

AMERICAN, BRITISH = "en-us", "en-gb-x-rp"
"""eSpeak NG's voices."""

_FADE_SAMPLES = 240
"""10 ms, over which one chunk gives way to the next."""

_PAD = 0
"""The token before and after every sentence."""

_STYLES = 510
"""A voice has one for each number of tokens."""

_NOTHING: Samples = np.zeros(0, np.float32)


class Kokoro:
    """Implements `conversation.stages.Tts`."""

    def __init__(
        self,
        *,
        weights: str = "kokoro-82m",
        voice: str = "zf_xiaobei",
        threads: int = 2,
        chunk_frames: Sequence[int] = (24, 40, 64, 96),
    ) -> None:
        """Loads and warms up: 3 s, and 2 s more the first time on this machine; 400 MB.

        Args:
            weights: a catalogue name, or a directory with kokoro.onnx, config.json and voices, NAME.bin.
            voice: the one that speaks where a client asks for one that there is not. By the first letter a
                voice is Mandarin (z), American (a) or British (b).
            threads: of the network. One needs 0.6 s for a second of speech, which leaves no room.
            chunk_frames: the lengths of the first, second, ... chunk, of 25 ms each; the last one repeats.
                Short first, to be heard early; each is computed while the one before is heard.

        Raises ConfigError when the weights cannot be used.
        """
        from onnxruntime import RunOptions

        directory = locate(weights)
        graphs = kokoro_graphs(directory)
        self._vocabulary = _vocabulary(directory / "config.json")
        self._voices = _voices(directory)
        if voice not in self._voices:
            raise ConfigError(f"tts.options.voice: no {voice!r}; there are {', '.join(sorted(self._voices))}")
        self._default = voice
        self._chunk_frames = tuple(chunk_frames)
        self._front = OnnxModel(graphs.front, stage="tts", threads=threads)
        self._decoder = OnnxModel(graphs.decoder, stage="tts", threads=threads)
        self._phonemizer = Phonemizer()
        self._mandarin = Mandarin(self._american)
        self._thread = ModelThread("kokoro")
        for _ in self._steps("你好，world。", voice, 1.0, RunOptions()):
            pass

    async def speak(self, text: str, voice: str, speed: float = 1.0) -> AsyncGenerator[SpeechPart, None]:
        """As in `Tts`, at 24 kHz. Any voice says both languages; an English one says Mandarin with an accent.

        The silence around a sentence is cut short (timed_speech.py). The times of its words come after its
        first sound; of a text that is read quite otherwise than its words are, none come. Cancelled, it gives
        the thread back within one operator of the network.
        """
        from onnxruntime import RunOptions

        speaker = voice if voice in self._voices else self._default
        options = RunOptions()
        work = partial(self._steps, text, speaker, min(max(speed, 0.25), 4.0), options)
        try:
            async with aclosing(self._thread.stream(work)) as steps:
                async for item in steps:
                    if isinstance(item, WordTimes):
                        yield item
                    elif len(item):
                        yield Audio(item.clip(-1, 1), RATE_HZ)
        finally:
            options.terminate = True  # the run under way, if any, ends at its next operator

    def close(self) -> None:
        """Ends the thread and the phonemizer's process."""
        self._thread.close()
        self._phonemizer.close()

    def _steps(
        self, text: str, voice: str, speed: float, options: RunOptions
    ) -> Iterator[Samples | WordTimes]:
        """Yields after each step of the work, also when there is nothing to be heard yet."""
        phonemes = list(sentences(self._clauses(text, voice), LONGEST_SENTENCE))
        yield _NOTHING
        speech = TimedSpeech(text, phonemes, partial(self._alone, text, voice), RATE_HZ)
        lengths = itertools.chain(self._chunk_frames, itertools.repeat(self._chunk_frames[-1]))
        for sentence in phonemes:
            frames, edges = self._frames(sentence, voice, speed, options)
            yield _NOTHING
            yield from speech.sentence(sentence, self._decode(frames, lengths, options), edges)

    def _clauses(self, text: str, voice: str) -> list[Clause]:
        text = _readable(text)
        return self._mandarin.clauses(text) if is_mandarin(text) else self._english(text, _accent(voice))

    def _alone(self, text: str, voice: str, words: Sequence[str]) -> list[str]:
        """The phonemes of each word for itself, in the language of the text."""
        words = [_readable(word) for word in words]
        if is_mandarin(_readable(text)):
            return [" ".join(clause.phonemes for clause in self._mandarin.clauses(word)) for word in words]
        accent = _accent(voice)
        return [
            kokoro_phonemes(word, british=accent == BRITISH) for word in self._phonemizer.alone(words, accent)
        ]

    def _english(self, text: str, accent: str) -> list[Clause]:
        british = accent == BRITISH
        return [
            Clause(kokoro_phonemes(clause.phonemes, british=british), clause.mark)
            for clause in self._phonemizer.clauses(text, accent)
        ]

    def _american(self, words: str) -> str:
        return " ".join(clause.phonemes for clause in self._english(words, AMERICAN))

    def _frames(
        self, sentence: str, voice: str, speed: float, options: RunOptions | None
    ) -> tuple[_Frames, Edges]:
        """The frames of one sentence, without those of the silence around it, and where in them its phonemes
        are."""
        known = [phoneme in self._vocabulary for phoneme in sentence]
        ids = [self._vocabulary[phoneme] for phoneme in itertools.compress(sentence, known)]
        style = self._voices[voice][min(len(ids), _STYLES - 1)][None]
        inputs: dict[str, NDArray[Any]] = {
            "tokens": np.array([[_PAD, *ids, _PAD]], np.int64),
            "style": style,
            "speed": np.array([speed], np.float32),
        }
        outputs = ["sounds", "pitch", "energy", "durations"]
        sounds, pitch, energy, durations = self._front.run(inputs, outputs, options)
        audible = np.flatnonzero(_wanted_db(energy) > AUDIBLE_DB)
        begins, ends = (audible[0], audible[-1] + 1) if len(audible) else (0, 0)
        first, last = max(begins - LEAD, 0), ends + TAIL if ends else 0
        token_ends = durations.reshape(-1).cumsum().astype(np.int64) - LATE
        edges = token_ends[np.cumsum([0, *known])].clip(
            begins, ends
        )  # the last phoneme lasts into the silence
        return _Frames(sounds, pitch, energy, style)[first:last], (edges - first) * FRAME_SAMPLES

    def _decode(
        self, frames: _Frames, lengths: Iterator[int], options: RunOptions | None = None
    ) -> Iterator[Samples]:
        """The sound of the frames, in chunks of about so many frames."""
        start, before = 0, _NOTHING
        while start < len(frames):
            end = frames.quiet_end(start, next(lengths))
            first, last = max(start - CONTEXT, 0), min(end + CONTEXT, len(frames))
            part = frames[first:last]
            inputs = {"sounds": part.sounds, "pitch": part.pitch, "energy": part.energy, "style": part.style}
            [audio] = self._decoder.run(inputs, options=options)
            sound = _at_level(audio.reshape(-1), part.energy)[(start - first) * FRAME_SAMPLES :]
            chunk, after = np.split(sound, [(end - start) * FRAME_SAMPLES])
            yield _faded(before, chunk)
            start, before = end, after[:_FADE_SAMPLES]


@dataclass(frozen=True, slots=True)
class _Frames:
    """What passes between the parts of the network; see kokoro_graphs.py."""

    sounds: NDArray[np.float32]
    pitch: NDArray[np.float32]
    energy: NDArray[np.float32]
    style: NDArray[np.float32]

    def __len__(self) -> int:
        return int(self.sounds.shape[2])

    def __getitem__(self, part: slice) -> _Frames:
        first, last, _ = part.indices(len(self))
        halves = slice(2 * first, 2 * last)
        return _Frames(
            self.sounds[:, :, first:last], self.pitch[:, halves], self.energy[:, halves], self.style
        )

    def quiet_end(self, start: int, length: int) -> int:
        """Where a chunk from `start` of about `length` frames ends best; the last one takes what is left,
        up to half as much again."""
        if len(self) - start <= length * 3 // 2:
            return len(self)
        earliest = start + max(length - SEEK, 1)
        energies = self.energy[0, 2 * earliest : 2 * (start + length + SEEK)].reshape(-1, 2).sum(axis=1)
        return earliest + int(energies.argmin())


def _readable(text: str) -> str:
    return in_plain_letters(speakable(text, "cmn"))


def _accent(voice: str) -> str:
    return BRITISH if voice.startswith("b") else AMERICAN


def _wanted_db(energy: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of each frame; `energy` is (1, 2 * frames)."""
    of_frames: NDArray[np.float32] = energy.reshape(-1, 2).mean(axis=1)
    return DB_PER_ENERGY * of_frames + DB_WITHOUT


def _at_level(sound: Samples, energy: NDArray[np.float32]) -> Samples:
    """The sound of some frames, as loud as their energies want it together."""
    wanted = float((10 ** (_wanted_db(energy) / 10)).mean())
    gain = np.sqrt(wanted / max(float(np.square(sound).mean()), 1e-10))
    return sound * np.float32(gain)


def _faded(before: Samples, chunk: Samples) -> Samples:
    """The chunk, of which the first samples mix with what the chunk before it would have gone on with."""
    samples = min(len(before), len(chunk))
    rise = np.linspace(0, 1, samples, dtype=np.float32)
    mixed = before[:samples] * (1 - rise) + chunk[:samples] * rise
    return np.concatenate([mixed, chunk[samples:]])


def _vocabulary(path: Path) -> dict[str, int]:
    """The number of each phoneme."""
    try:
        vocabulary: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))["vocab"]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f'{path} must give Kokoro\'s phonemes under "vocab" ({error!r})') from error
    return vocabulary


def _voices(directory: Path) -> dict[str, NDArray[np.float32]]:
    """By name; row n of a voice is its style for n tokens, shape (256,)."""
    voices = {}
    for path in directory.glob("*.bin"):
        try:
            voices[path.stem] = np.fromfile(path, np.float32).reshape(_STYLES, 256)
        except ValueError as error:
            raise ConfigError(f"{path} is no voice of Kokoro's: {error}") from error
    if not voices:
        raise ConfigError(f"{directory} has no voices, NAME.bin; does `weights:` name the right thing?")
    return voices
