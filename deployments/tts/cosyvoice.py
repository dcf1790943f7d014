"""CosyVoice 1, 2 and 3: speech in any voice of which there are some seconds of sound, and their words.

A sentence is made in two halves: a language model's speech tokens (cosyvoice_tokens), and their sound
(cosyvoice_sound), which begins while the tokens still come. The first half has a few threads and takes
sentences in the order in which they come; it never waits for a consumer, so a slow one does not keep others
from their turn, and what it may run ahead is one sentence's tokens, a few hundred numbers. The second half
computes a chunk only when the one before was taken, and the chunks of all streams take turns.

Weights: https://github.com/FunAudioLLM/CosyVoice. It runs in its own interpreter (docs/adr/0012). This module
knows no Ray.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from typing import Any

import numpy as np

from conversation.audio import Audio, Samples
from conversation.errors import ConfigError, StageFailed
from deployments.model_thread import ModelThread
from deployments.tts.cosyvoice_library import open_model
from deployments.tts.cosyvoice_sound import Sounds
from deployments.tts.cosyvoice_speakers import Speaker, Speakers
from deployments.tts.cosyvoice_tokens import LanguageModel
from deployments.tts.time_stretch import FASTEST, SLOWEST, TimeStretch
from deployments.tts.voices import Voice, Voices

LONGEST_TEXT = 500
"""Characters, as in `Tts`. The library splits it into sentences of some 80 characters or tokens."""

VLLM_BATCH = 8
"""Sentences at a time where vLLM reads them together."""

_MARK = re.compile(r"<\|.*?\|>")
"""What the tokenizers take for control tokens. Only this program may write them."""

_WARM_UP_TEXT = "你好。"

logger = logging.getLogger(__name__)


class CosyVoice:
    """Implements `conversation.stages.Tts`."""

    def __init__(
        self,
        *,
        weights: str,
        voices: str,
        default_voice: str | None = None,
        concurrent: int | None = None,
        chunk_tokens: Sequence[int] | None = None,
        fp16: bool = False,
        load_jit: bool = False,
        load_trt: bool = False,
        load_vllm: bool = False,
        trt_concurrent: int = 1,
    ) -> None:
        """Loads, computes the features of every voice, and warms up: half a minute, or minutes where TensorRT
        or vLLM build their engines for the first time.

        Args:
            weights: a catalogue name, or a directory in the layout of CosyVoice-300M, CosyVoice2-0.5B or
                Fun-CosyVoice3-0.5B; which one decides the version.
            voices: a directory of reference voices, see deployments/tts/voices.py.
            default_voice: the name that stands in for unknown ones; None: as `Voices` has it.
            concurrent: sentences that the language model reads at a time. The more, the sooner each begins
                and the slower each goes on: they share one CUDA stream, and nothing batches them but vLLM.
                None: 8 with load_vllm, else trt_concurrent.
            chunk_tokens: the lengths of the first, second, ... chunk in tokens; the last one repeats. A
                second has 50 (CosyVoice 1) or 25 tokens, and 2 and 3 were trained on multiples of 25. None:
                the library's own: 100 for CosyVoice 1, and 25, 50, 100 for 2 and 3.
            fp16: half precision. Upstream advises against it for CosyVoice 3 with TensorRT.
            load_jit: TorchScript for some parts; CosyVoice 1 and 2.
            load_trt: TensorRT for the flow; builds its engine beside the weights at the first start.
            load_vllm: vLLM for the language model; CosyVoice 2 and 3.
            trt_concurrent: execution contexts of TensorRT, and so many chunks are computed at a time.

        Raises ConfigError when the library, the weights, a voice or a GPU that an option needs is missing.
        """
        wanted = {"fp16": fp16, "load_jit": load_jit, "load_trt": load_trt, "load_vllm": load_vllm}
        options: dict[str, Any] = {name: True for name, value in wanted.items() if value}
        if trt_concurrent > 1:
            if not load_trt:
                raise ConfigError("tts options.trt_concurrent counts only with load_trt: true")
            options["trt_concurrent"] = trt_concurrent
        if concurrent is not None and concurrent < 1:
            raise ConfigError(f"tts options.concurrent: {concurrent}: at least one sentence must be read")
        self._voices = Voices(voices, default_voice)
        opened = open_model(weights, options)
        self._rate_hz, self._frontend = opened.rate_hz, opened.frontend
        self._sounds = Sounds(opened.model, opened.version, chunk_tokens)
        self._speakers = Speakers(opened)
        self._language_model = LanguageModel(
            opened.model, concurrent or (VLLM_BATCH if load_vllm else trt_concurrent)
        )
        self._reader = ModelThread("cosyvoice-frontend")
        self._computing = ThreadPoolExecutor(trt_concurrent, thread_name_prefix="cosyvoice-sound")
        self._warm_up()

    async def speak(self, text: str, voice: str, speed: float = 1.0) -> AsyncGenerator[Audio, None]:
        """As in `Tts`, without the times of words, which its tokens do not tell; 24 kHz, CosyVoice 1 has
        22.05 kHz. Speeds other than 1 are made by a time-stretch.

        Cancelled, it leaves the language model at its next token, and the sound at the end of the chunk under
        way. Raises StageFailed when the language model fails or hangs, or the text is too long.
        """
        if len(text) > LONGEST_TEXT:
            raise StageFailed(
                "tts", f"a text of {len(text)} characters; at most {LONGEST_TEXT} can be spoken"
            )
        sentences, speaker = await self._reader.run(self._read, text, self._voices.find(voice))
        stretch = TimeStretch(self._rate_hz, min(max(speed, SLOWEST), FASTEST))
        for sentence in sentences:
            async with aclosing(self._sentence(sentence, speaker, stretch)) as chunks:
                async for audio in chunks:
                    if len(audio):
                        yield audio
        if len(audio := stretch.flush()):  # a fraction of a millisecond
            yield audio

    def close(self) -> None:
        """Stops what is being spoken and ends the threads."""
        self._language_model.close()
        self._computing.shutdown(wait=True, cancel_futures=True)
        self._reader.close()

    def _read(self, text: str, voice: Voice) -> tuple[list[Any], Speaker]:
        """The tokens of each sentence, and the speaker; on the frontend's thread."""
        sentences = self._sentences(" ".join(_MARK.sub(" ", text).split()))
        return [self._frontend._extract_text_token(s)[0] for s in sentences], self._speakers.of(voice)

    def _sentences(self, text: str) -> list[str]:
        """The sentences in words: numbers and abbreviations are written out."""
        if not any(character.isalnum() for character in text):
            return []
        try:
            return list(self._frontend.text_normalize(text, split=True))
        except (AssertionError, IndexError) as error:
            # wetext's English rules fail on "^2" or "9é", the splitting on a text that begins with '?"'.
            logger.warning("tts: CosyVoice cannot normalise a text, it is spoken as written: %r", error)
            return [text]

    async def _sentence(
        self, text: Any, speaker: Speaker, stretch: TimeStretch
    ) -> AsyncGenerator[Audio, None]:
        """Each chunk is computed when it is asked for, in its turn among those of all streams."""

        def compute(step: Callable[[Sequence[int]], Samples], tokens: Sequence[int]) -> Audio:
            return stretch.feed(Audio(_bounded(step(tokens)), self._rate_hz))

        async def computed(step: Callable[[Sequence[int]], Samples], tokens: Sequence[int]) -> Audio:
            work = partial(compute, step, tokens)
            return await asyncio.get_running_loop().run_in_executor(self._computing, work)

        sound = self._sounds.begin(speaker)
        with self._language_model.read(text, speaker) as tokens:
            while await tokens.reach(sound.wanted):
                yield await computed(sound.chunk, tokens.first(sound.wanted))
            if every := tokens.first():
                yield await computed(sound.rest, every)

    def _warm_up(self) -> None:
        """Every kind of step once, since the first one of each takes many times longer."""
        for name in self._voices.names[-self._speakers.most :]:
            self._speakers.of(self._voices.find(name))
        (text, *_), speaker = self._read(_WARM_UP_TEXT, self._voices.find(self._voices.default))
        self._language_model.warm_up(text, speaker)
        sound = self._sounds.begin(speaker)
        tokens = speaker["flow_prompt_speech_token"][0].tolist()
        tokens *= -(-sound.wanted // len(tokens))  # as many as a chunk needs
        sound.chunk(tokens[: sound.wanted])
        sound.rest(tokens[: sound.wanted])


def _bounded(samples: Samples) -> Samples:
    """Within -1..1, and silence in place of what is no number."""
    finite = np.isfinite(samples)
    if not finite.all():
        logger.warning(
            "tts: %d of %d samples of CosyVoice were no numbers; fp16 can overflow: try without",
            np.count_nonzero(~finite),
            len(samples),
        )
        samples = np.where(finite, samples, np.float32(0))
    return np.clip(samples, -1, 1)
