"""FSMN-VAD, FunASR's voice activity detection: is there speech in this frame?

What comes of it is a probability and nothing else; who has the floor is decided elsewhere, by the settings of
each session. So of FunASR's model only the network is asked. The state machine around it, which turns scores
into segments (`inference` in funasr/models/fsmn_vad_streaming/model.py, FunASR 1.4.16), never runs, and what
it would do to a conversation does not happen:

1. "Dynamic silence", on unless switched off, ends speech only after 2000 ms of silence while a segment is
   younger than 10 s, and moves the decision from 0.6 to 0.5 meanwhile. Here there is no rule about silence.
2. `init_cache` writes the `max_end_silence_time` of one call to the options of the model, where every later
   listener finds it. Here no call brings settings, and nothing is written to the model.
3. A segment begins when 150 ms of a window of 200 ms were speech, and is reported 300 to 450 ms after the
   voice began. Here each score comes out as soon as its sound is in.

The state of the front end travels with the calls, like the network's. FunASR's `WavFrontendOnline` holds one
stream in a dictionary and costs half a millisecond for each; so its steps are taken here one by one, with its
own functions and options, and the filter bank once for all rows. tests/gpu_backends/test_fsmn_vad.py compares
features and scores with the library's.
Model: Zhang et al., "Deep-FSMN for Large Vocabulary Continuous Speech Recognition", arXiv:1803.05030;
https://modelscope.cn/models/iic/speech_fsmn_vad_zh-cn-16k-common-pytorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from conversation.audio import HEARING_HZ
from conversation.errors import ConfigError
from conversation.stages import VadState
from deployments.funasr_library import open_model
from deployments.model_thread import ModelThread
from deployments.vad.shapes import check

if TYPE_CHECKING:
    from torch import Tensor

_INT16_SCALE = 1 << 15
"""Kaldi's features are those of 16-bit numbers. Source: `WavFrontendOnline.forward_fbank`."""


class Fsmn:
    """A `Vad`, on the CPU.

    A frame of 32 ms completes three or four of the network's, which are 10 ms apart; its probability is their
    mean. Each of those is given 20 ms of sound beyond its own 25, so that what comes out is about one frame
    old. A listener's first frame completes none, and is no speech.

    A state is float32 of shape (state_values,): what the front end has not used up yet, then the memory of
    every layer. With the published weights that are 42 KB, where Silero has 1.3: a listener far away takes
    2.6 MB/s, to and fro.
    """

    def __init__(self, *, weights: str, threads: int = 1) -> None:
        """Raises ConfigError when the weights cannot be had or are not those of such a model.

        Args:
            weights: a name of the catalogue, or a directory in FunASR's layout.
            threads: of the CPU, for the whole process.
        """
        model = open_model(weights, "vad", kinds={"FsmnVADStreaming"}, device="cpu", threads=threads)
        self._front_end = _FrontEnd(model.settings["frontend"])
        self._network = _Network(model.network.encoder)
        self._silences = list(model.network.vad_opts.sil_pdf_ids)
        self._decision = _decision(model.network.vad_opts)
        self.state_values = self._front_end.state_values + self._network.state_values
        self._new_listener = np.zeros(self.state_values, np.float32)
        self._thread = ModelThread("fsmn")

    async def step(
        self, frames: NDArray[np.float32], states: Sequence[VadState | None]
    ) -> tuple[NDArray[np.float32], list[VadState]]:
        """See `Vad.step`. Raises StageFailed when a shape or dtype is wrong."""
        check(frames, states, self.state_values)
        return await self._thread.run(self._step, frames, states)

    def _step(
        self, frames: NDArray[np.float32], states: Sequence[VadState | None]
    ) -> tuple[NDArray[np.float32], list[VadState]]:
        import torch

        before = np.stack([self._new_listener if state is None else state for state in states])
        with torch.inference_mode():
            of_front_end, of_network = torch.from_numpy(before).tensor_split(
                [self._front_end.state_values], dim=1
            )
            features, counts, of_front_end = self._front_end.step(torch.from_numpy(frames), of_front_end)
            scores, of_network = self._network.step(features, counts, of_network)
            silence = scores[:, :, self._silences].sum(dim=2)  # (B, T)
            speech = [
                float(1 - row[:count].mean()) if count else 0.0
                for row, count in zip(silence, counts, strict=True)
            ]
            after = torch.cat([of_front_end, of_network], dim=1)
        return self._probabilities(speech), list(after.numpy())

    def _probabilities(self, speech: list[float]) -> NDArray[np.float32]:
        """The network's own, bent by two straight lines so that its decision falls on 0.5."""
        return np.interp(speech, [0.0, self._decision, 1.0], [0.0, 0.5, 1.0]).astype(np.float32)


def _decision(options: Any) -> float:
    """The probability of speech from which on FunASR takes a frame for speech.

    `GetFrameState` wants p(speech) >= p(silence) + speech_noise_thres, and the two are 1 together. Its other
    conditions, on loudness and on the ratio to the noise, ask for more than -100 dB in the published
    configuration, which is nothing.
    """
    if options.speech_2_noise_ratio != 1.0:
        raise ConfigError(
            f"vad: config.yaml has speech_2_noise_ratio {options.speech_2_noise_ratio}; what follows from "
            f"another one than 1.0 is not known here"
        )
    return float((1 + options.speech_noise_thres) / 2)


class _FrontEnd:
    """Sound to features, for many streams at once: filter bank, neighbours joined to a frame, normalised."""

    def __init__(self, online: Any) -> None:
        """`online` is a `WavFrontendOnline`. Raises ConfigError when it is for another rate than ours."""
        from funasr.utils.fbank import fbank

        if online.fs != HEARING_HZ:
            raise ConfigError(f"vad: the model hears at {online.fs} Hz, sound comes at {HEARING_HZ} Hz")
        self._online, self._fbank = online, fbank
        self._window, self._hop = online.frame_sample_length, online.frame_shift_sample_length
        self._slots = _Slots(samples=self._window - 1, frames=online.lfr_m - 1, bands=online.n_mels)
        self.state_values = self._slots.values

    def step(self, sound: Tensor, states: Tensor) -> tuple[Tensor, list[int], Tensor]:
        """Features (B, T, lfr_m * n_mels) and how many of the T each row has; the others are zero.

        Args:
            sound: what is new, (B, n).
            states: (B, state_values).
        """
        import torch
        from torch.nn.utils.rnn import pad_sequence

        held = [self._slots.read(state) for state in states]
        streams = [torch.cat([row.samples, new]) for row, new in zip(held, sound, strict=True)]
        rows, after = [], torch.zeros_like(states)
        for row, stream, new, state in zip(held, streams, self._filter_banks(streams), after, strict=True):
            joined, neighbours = self._joined(row.frames, new)
            self._slots.write(state, _Held(stream[len(new) * self._hop :], neighbours))
            rows.append(joined)
        counts = [len(row) for row in rows]
        normalised = self._online.apply_cmvn(torch.cat(rows), self._online.cmvn).split(counts)
        return pad_sequence(normalised, batch_first=True), counts, after

    def _filter_banks(self, streams: Sequence[Tensor]) -> list[Tensor]:
        """The complete frames of each stream, (n, n_mels).

        The streams are laid end to end, each from a multiple of the hop on. A frame depends on its own window
        alone; those that reach from one stream into the next are left out.
        """
        import torch

        hops = -(-max(map(len, streams)) // self._hop)
        sheet = torch.zeros(len(streams), hops * self._hop)
        for line, stream in zip(sheet, streams, strict=True):
            line[: len(stream)] = stream
        frames = self._fbank(
            sheet.reshape(1, -1) * _INT16_SCALE,
            num_mel_bins=self._online.n_mels,
            frame_length=self._online.frame_length,
            frame_shift=self._online.frame_shift,
            dither=self._online.dither,
            energy_floor=0.0,
            window_type=self._online.window,
            sample_frequency=self._online.fs,
        )
        complete = [self._online.compute_frame_num(len(s), self._window, self._hop) for s in streams]
        return [frames[row * hops :][:count] for row, count in enumerate(complete)]

    def _joined(self, held: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
        """Each frame with those beside it, and the frames that will be beside others yet.

        A stream begins as if its first frame had sounded before.
        """
        import torch

        online = self._online
        frames = torch.cat([held if len(held) else new[:1].repeat((online.lfr_m - 1) // 2, 1), new])
        if len(frames) < online.lfr_m:
            return frames.new_zeros(0, online.output_size()), frames
        joined, rest, _ = online.apply_lfr(frames, online.lfr_m, online.lfr_n)
        return joined, rest


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """What the front end has not used up of one stream: samples (s,), filter bank frames (f, bands)."""

    samples: Tensor
    frames: Tensor


@dataclass(frozen=True, slots=True)
class _Slots:
    """Where it lies in a state: s, f, then room for the most samples and the most frames."""

    samples: int
    frames: int
    bands: int

    @property
    def values(self) -> int:
        return 2 + self.samples + self.frames * self.bands

    def read(self, state: Tensor) -> _Held:
        samples, frames = map(int, state[:2].tolist())
        return _Held(state[2 : 2 + samples], state[2 + self.samples :].reshape(-1, self.bands)[:frames])

    def write(self, state: Tensor, held: _Held) -> None:
        state[0], state[1] = len(held.samples), len(held.frames)
        state[2 : 2 + len(held.samples)] = held.samples
        state[2 + self.samples :][: held.frames.numel()] = held.frames.reshape(-1)


class _Network:
    """Features to scores, once for all rows. A state holds the last inputs of every layer's filter."""

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder
        self._memories = {
            f"cache_layer_{block.stack_layer}": (block.fsmn_block.dim, (block.lorder - 1) * block.lstride)
            for block in encoder.fsmn
        }
        self._sizes = [channels * past for channels, past in self._memories.values()]
        self.state_values = sum(self._sizes)

    def step(self, features: Tensor, counts: list[int], states: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (B, T, classes) and the new states.

        A row that has fewer features than others is filled up after them. The network hears backwards only,
        so that the row's own scores do not know of it, and `_advanced` sees to it that its state does not.
        """
        import torch

        if not any(counts):
            return features, states  # of length 0, which the network cannot take
        before = {
            name: part.reshape(len(counts), *shape, 1)
            for (name, shape), part in zip(
                self._memories.items(), states.split(self._sizes, dim=1), strict=True
            )
        }
        after = dict(before)
        scores = self._encoder(features, cache=after)
        advanced = [_advanced(before[name], after[name], counts).flatten(1) for name in before]
        return scores, torch.cat(advanced, dim=1)


def _advanced(before: Tensor, after: Tensor, counts: list[int]) -> Tensor:
    """A layer's memory, (B, channels, past, 1), moved on by as many inputs as each row really had.

    `after` is `before` moved on by the most that any row had.
    """
    import torch

    seen = torch.cat([before[:, :, : max(counts)], after], dim=2)
    past = after.shape[2]
    return torch.stack([row[:, count : count + past] for row, count in zip(seen, counts, strict=True)])
