"""Whisper: the words of a segment of speech in any of some hundred languages, on the CPU.

CTranslate2 computes; faster-whisper (https://github.com/SYSTRAN/faster-whisper) has the tokenizer and the
features. Its `transcribe` is not used: it works through whole recordings, guesses again where it doubts, and
hears every segment as 30 s, most of them silence. Here the model is given little more than the segment.
Measured on one core: 0.16 s for a question of 3 s, 1.0 s for the same in 30 s, and as many wrong characters.

The segments of a call are decoded one after another. A batch of four would give the very same words
(measured) for 11 % less work each, and all of its callers would wait for the last one.
How a conversation is cut into segments is not known here.
Model: Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", arXiv:2212.04356.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conversation.audio import HEARING_HZ, Audio, Samples
from conversation.errors import ConfigError, StageFailed
from conversation.stages import Hints, Transcript
from deployments.asr.segments import LONGEST_S, hints_of_each, is_audible
from deployments.model_thread import ModelThread
from deployments.weights import locate

SHORTEST_WINDOW_S = 10.0
SILENCE_AFTER_S = 5.0
"""What the model hears is the segment and silence: so much at least, together and after it. It was trained on
30 s and never on less. Measured here with 1 to 8 s of silence after it and no shortest window: some English
questions and readings were repeated until the token limit. With both these numbers there are no more errors
than in 30 s. The silence is written as features of 0, as faster-whisper does; after true silence more was
written in traditional characters.
"""

SHORTEST_S = 0.1
"""A shorter segment gets silence up to here: the window of one frame must fit in."""

FRAMES_PER_S = 100

NO_SPEECH_PROBABILITY = 0.6
DOUBTFUL_LOG_PROBABILITY = -1.0
MOST_REPETITIVE = 2.4
"""Words are taken for noise where the model's own probability that nobody spoke is higher than the first, the
mean log probability of its tokens is lower than the second, or their text compresses by more than the third.

The values are Whisper's (arXiv:2212.04356, section 4.5), which wants the first two together. Measured here on
silence, hums, noises, coughs and babble: all had one of them, some not both. Speech (10 readings by people,
60 synthetic questions) stays below 0.36 and above -0.86, also with pink noise 10 dB below it.
"""

TOKENS_PER_S = 15.0
"""The fastest that people speak, in tokens: seven Mandarin syllables, two tokens each where the character is
a rare one. A decoder that goes on is repeating itself."""

PROMPT_TOKENS = 120
"""The model takes 223 tokens of what came before; a prompt is read anew with every segment."""

IN_SIMPLIFIED = "以下是普通话的句子，这里用简体中文来写。"
IN_TRADITIONAL = "以下是普通話的句子，這裡用繁體中文來寫。"
"""What comes before a Mandarin segment, since Whisper writes on in the characters that it finds: "here follow
sentences in Mandarin, written in simplified Chinese". With its first half alone, which is widely used
(https://github.com/openai/whisper/discussions/277), 8 of 36 questions came out in traditional characters,
with the whole of it none (measured)."""

_FILES = ("model.bin", "config.json", "tokenizer.json")


class Whisper:
    """A `SegmentAsr`."""

    def __init__(
        self,
        *,
        weights: str = "whisper-base",
        language: str | None = None,
        prompt: str = "",
        threads: int = 1,
        beam: int = 1,
    ) -> None:
        """Half a second, and 160 MB. Never downloads. Raises ConfigError when the weights cannot be used.

        Args:
            weights: a catalogue name or a directory with model.bin, config.json, tokenizer.json and
                vocabulary.txt or vocabulary.json, as faster-whisper reads them.
            language: BCP 47, what is spoken where a segment's hints do not say; None: the model finds out.
            prompt: words and names to expect in every segment, as text.
            threads: of one step. Measured here, a second one saves nothing on a segment of 3 s.
            beam: lines that are followed at a time. Five take the decoder twice the time of one, and mend one
                wrong character in seven (measured).
        """
        from faster_whisper import WhisperModel

        directory = _checked(locate(weights))
        try:
            self._model: Any = WhisperModel(
                str(directory), device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise ConfigError(f"{directory} cannot be opened as a Whisper model ({error})") from error
        self._languages = frozenset(self._model.supported_languages)
        if language is not None and self._known(language) is None:
            raise ConfigError(f"asr.options.language: this Whisper knows no {language!r}")
        self._hints = Hints(language=language, prompt=prompt)
        self._beam = beam
        self._thread = ModelThread("whisper")

    async def transcribe(self, segments: Sequence[Audio], hints: Sequence[Hints] = ()) -> list[Transcript]:
        """See `SegmentAsr.transcribe`. Cancelled, it gives the thread back after the step under way: 0.1 s
        for a segment of 3 s, up to 1 s for one of 30 s.

        Raises StageFailed for another rate than 16 kHz, a segment longer than LONGEST_S, another number of
        hints than of segments, or when the model fails.
        """
        told = hints_of_each(segments, hints)
        work = partial(self._transcribe, [segment.samples for segment in segments], told)
        async with aclosing(self._thread.stream(work)) as steps:
            return [transcript async for transcript in steps if transcript is not None]

    def _transcribe(self, segments: list[Samples], hints: Sequence[Hints]) -> Iterator[Transcript | None]:
        """Yields the transcript of each segment, and None between the steps on the way to it."""
        for samples, told in zip(segments, hints, strict=True):
            if not is_audible(samples):
                yield Transcript("")
                continue
            try:
                frames = self._model.encode(self._features(samples))
                yield None
                yield self._written(frames, len(samples), told)
            except RuntimeError as error:  # CTranslate2 has no errors of its own
                raise StageFailed("asr", f"the model failed: {error}") from error

    def _features(self, samples: Samples) -> NDArray[np.float32]:
        """(mel bands, frames) of 10 ms, of the segment and the silence around it."""
        samples = np.pad(samples, (0, max(0, round(SHORTEST_S * HEARING_HZ) - len(samples))))
        features: NDArray[np.float32] = self._model.feature_extractor(samples, padding=0)
        heard_s = len(samples) / HEARING_HZ
        window_s = min(max(SHORTEST_WINDOW_S, heard_s + SILENCE_AFTER_S), LONGEST_S)
        frames = round(window_s * FRAMES_PER_S)
        return np.pad(features[:, :frames], ((0, 0), (0, max(0, frames - features.shape[1]))))

    def _written(self, frames: Any, samples: int, hints: Hints) -> Transcript:
        """What the decoder makes of the encoder's frames of one segment."""
        from faster_whisper.tokenizer import Tokenizer

        asked = hints.language or self._hints.language
        language = self._known(asked) or self._spoken(frames)
        tokenizer = Tokenizer(
            self._model.hf_tokenizer, self._model.model.is_multilingual, task="transcribe", language=language
        )
        style = _style(language, asked)
        before = tokenizer.encode(self._before(hints, language) + style)[-PROMPT_TOKENS:]
        prompt = self._model.get_prompt(tokenizer, before, without_timestamps=True)
        limit = math.ceil(samples / HEARING_HZ * TOKENS_PER_S) + 5
        [result] = self._model.model.generate(
            frames,
            [prompt],
            beam_size=self._beam,
            max_length=min(len(prompt) + limit, self._model.max_length),
            return_scores=True,
            return_no_speech_prob=True,
        )
        text = tokenizer.decode(result.sequences_ids[0]).strip()
        if _is_doubtful(result, text) or _is_echo(text, style):
            return Transcript("")
        return Transcript(text, language=language)

    def _known(self, language: str | None) -> str | None:
        """Whisper's code for a BCP 47 tag; None where it has none."""
        code = (language or "").partition("-")[0].lower()
        return code if code in self._languages else None

    def _spoken(self, frames: Any) -> str:
        """The likeliest language."""
        [languages] = self._model.model.detect_language(frames)
        return str(languages[0][0]).strip("<|>")

    def _before(self, hints: Hints, language: str) -> str:
        """A text that could have come before the segment, with the words to expect in it."""
        comma, stop = ("、", "。") if language in ("zh", "ja") else (", ", ". ")
        words = comma.join(hints.words)
        return " ".join(
            part for part in ("", self._hints.prompt, hints.prompt, words and words + stop) if part
        )


def _checked(directory: Path) -> Path:
    """What is missing is named; the library would ask the network for it."""
    missing = [name for name in _FILES if not (directory / name).is_file()]
    if not any(directory.glob("vocabulary.*")):
        missing.append("vocabulary.txt")
    if missing:
        raise ConfigError(
            f"{directory} lacks {', '.join(missing)}; does `weights:` name a Whisper model for CTranslate2?"
        )
    return directory


def _style(language: str, asked: str | None) -> str:
    if language != "zh":
        return ""
    subtags = (asked or "").lower().split("-")
    return IN_TRADITIONAL if {"hant", "tw", "hk", "mo"} & set(subtags) else IN_SIMPLIFIED


def _is_doubtful(result: Any, text: str) -> bool:
    """`result` is CTranslate2's; its score is the mean over the tokens, to which the end is added here."""
    from faster_whisper.transcribe import get_compression_ratio

    tokens = len(result.sequences_ids[0])
    return (
        not any(character.isalnum() for character in text)
        or result.no_speech_prob > NO_SPEECH_PROBABILITY
        or result.scores[0] * tokens / (tokens + 1) < DOUBTFUL_LOG_PROBABILITY
        or get_compression_ratio(text) > MOST_REPETITIVE
    )


def _is_echo(text: str, style: str) -> bool:
    """Where the model understands nothing it may write what it was told came before."""
    return len(text) > 6 and style.startswith(text.rstrip("。，.,"))
