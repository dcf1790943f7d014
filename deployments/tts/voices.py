"""Reference voices: short recordings of a speaker, with their words, for a model that speaks like them.

A directory holds them in either of two ways, or in both at once:

- NAME.wav beside NAME.txt, which has the words that are said in it;
- ref.json beside a folder ref_wav/, as CleanS2S keeps them: a list of objects with `ref_wav_path`, a file in
  that folder, and `prompt_text`, its words. The file's name without ".wav" is the voice's.
  Source: https://github.com/opendilab/CleanS2S/tree/main/backend/ref_audio

A cloned voice copies all that is in its reference: hiss, pauses, loudness, clipping. So every reference is
checked when it is read, and `python -m deployments.tts.voices DIRECTORY` shows what was found. This module
knows no model: what a model makes of a voice, and at which rate it wants it, is the model's own matter.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conversation.audio import Audio, Samples
from conversation.errors import ConfigError
from conversation.words import letters

LOWEST_RATE_HZ = 16_000
LONGEST_S = 30.0
"""CosyVoice refuses less than this rate, and more than this length.

Source: `_extract_speech_token` and `load_wav` in cosyvoice/cli/frontend.py and cosyvoice/utils/file_utils.py,
https://github.com/FunAudioLLM/CosyVoice/tree/ace7c47
"""
SHORTEST_S = 3.0
"""The length that CosyVoice names its cloning after ("3s", webui.py at the same commit); the shortest of the
references that CleanS2S ships has 3.2 s."""
GOOD_S = (10.0, 20.0)
"""Enough for a voice's habits, and not so much that reading it delays every utterance. Advice, not a rule:
the references of CleanS2S, whose README asks for these lengths, have 3.2 to 11.4 s."""

FULL_SCALE = 0.999
MOST_CLIPPED = 0.001
"""The share of samples at full scale above which a recording counts as clipped. One that was only normalised
to full scale has a few."""

_FRAME_S = 0.02
QUIETEST_DBFS = -35.0
"""How loud the loudest parts must be, as the level of 20 ms. Usual recordings of speech have -20 to -10."""
SILENT_DB = 30.0
"""So far below the loudest parts nothing is said."""
LONGEST_EDGE_S = 1.0
"""Silence at the start or the end. A model that goes on from its reference goes on with the silence too, and
the first sound of every utterance comes later."""

LETTERS_PER_S = (4.0, 45.0)
"""How much text can belong to a second of speech: a third of what is usual, and three times that (15, about
900 letters a minute, see conversation/heard.py). Outside, the text is likely another recording's."""

_REF_JSON = "ref.json"
_REF_WAV = "ref_wav"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice to speak with.

    Attributes:
        name: what clients ask for.
        text: what is said in `audio`, on one line.
        audio: mono, at the rate of its file, which is LOWEST_RATE_HZ or more.
    """

    name: str
    text: str
    audio: Audio


class Voices:
    """All voices of a directory.

    Attributes:
        names: sorted.
        default: the name of the voice that stands in for an unknown one.
    """

    def __init__(self, directory: Path | str, default: str | None = None) -> None:
        """Reads and checks every file; the sounds stay in memory, 1 to 6 MB a voice.

        Args:
            directory: see the module's documentation.
            default: a voice's name; None: the one named "default", else the first.

        Raises ConfigError, which lists whatever is wrong in the directory, all at once.
        """
        checks = examine(directory)
        for check in checks:
            for advice in check.advice:
                logger.warning("%s: %s", check.source, advice)
        problems = [f"{check.source}: {problem}" for check in checks for problem in check.problems]
        self._voices = {check.voice.name: check.voice for check in checks if check.voice is not None}
        if default is not None and default not in self._voices:
            known = f"; there are {', '.join(sorted(self._voices))}" if self._voices else ""
            problems.append(f"{directory}: no usable voice is named {default!r}, the default{known}")
        if problems:
            raise ConfigError("tts: these reference voices cannot be used:\n- " + "\n- ".join(problems))
        self.names = tuple(sorted(self._voices))
        self.default = default or ("default" if "default" in self._voices else self.names[0])

    def find(self, name: str) -> Voice:
        """The voice of that name. An unknown name gives the default: clients send those of other services."""
        return self._voices.get(name, self._voices[self.default])


@dataclass(frozen=True, slots=True)
class Check:
    """What was found of one voice, or of the directory.

    Attributes:
        source: the file in question, or the directory.
        voice: None where there is none that can be used.
        problems: why it cannot be used, each with its remedy.
        advice: why it could be better.
    """

    source: Path
    voice: Voice | None = None
    problems: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


def examine(directory: Path | str) -> list[Check]:
    """Every voice of the directory, usable or not; at least one check, and no two voices of one name."""
    directory = Path(directory)
    if not directory.is_dir():
        return [_refused(directory, "is no directory; make it, with NAME.wav and NAME.txt for each voice")]
    checks: list[Check] = []
    names: set[str] = set()
    for reference in (*_listed(directory), *_paired(directory)):
        if isinstance(reference, Check):
            checks.append(reference)
        elif reference.name in names:
            checks.append(_refused(reference.sound, f"a second voice named {reference.name!r}; rename one"))
        else:
            names.add(reference.name)
            checks.append(_examined(reference))
    return checks or [
        _refused(
            directory, "has no voice; put NAME.wav there, and NAME.txt with the words that are said in it"
        )
    ]


@dataclass(frozen=True, slots=True)
class _Reference:
    """Where a voice is to be read from. `text` raises ValueError with what is wrong."""

    name: str
    sound: Path
    text: Callable[[], str]


def _refused(source: Path, *problems: str) -> Check:
    return Check(source, problems=problems)


def _paired(directory: Path) -> Iterator[_Reference]:
    """NAME.wav beside NAME.txt."""
    for sound in sorted(directory.iterdir()):
        if sound.suffix.lower() == ".wav":
            yield _Reference(sound.stem, sound, partial(_words_beside, sound))


def _words_beside(sound: Path) -> str:
    file = sound.with_suffix(".txt")
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ValueError(f"{file.name} is missing; write the words into it that are said here") from None
    except UnicodeDecodeError:
        raise ValueError(f"{file.name} is not in UTF-8; save it so") from None
    except OSError as error:
        raise ValueError(f"{file.name} cannot be read: {error.strerror}") from None


def _listed(directory: Path) -> Iterator[_Reference | Check]:
    """What ref.json lists, if it is there."""
    file = directory / _REF_JSON
    if not file.exists():
        return
    try:
        entries = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:  # ValueError: neither JSON nor UTF-8
        yield _refused(file, f"cannot be read as JSON: {error}")
        return
    if not isinstance(entries, list) or not entries:
        yield _refused(file, "must be a list of objects with ref_wav_path and prompt_text, at least one")
        return
    for number, entry in enumerate(entries, 1):
        yield _entry(file, number, entry)


def _entry(file: Path, number: int, entry: Any) -> _Reference | Check:
    if isinstance(entry, dict):
        sound, words = entry.get("ref_wav_path"), entry.get("prompt_text")
        if isinstance(sound, str) and sound.strip() and isinstance(words, str):
            return _Reference(Path(sound).stem, file.parent / _REF_WAV / sound, partial(str, words))
    return _refused(file, f"entry {number} needs the texts ref_wav_path and prompt_text")


def _examined(reference: _Reference) -> Check:
    """The voice, or all that is wrong with its text and its sound."""
    problems: list[str] = []
    text, audio = "", None
    try:
        text = " ".join(reference.text().split())
        if not any(character.isalnum() for character in text):
            problems.append("its transcript is empty; write down the words that are said in it")
    except ValueError as error:
        problems.append(str(error))
    try:
        channels, rate_hz = _read(reference.sound)
        audio = Audio(channels.mean(axis=1), rate_hz)
        problems += _problems(channels, audio)
    except ValueError as error:
        problems.append(str(error))
    if problems or audio is None:
        return _refused(reference.sound, *problems)
    voice = Voice(reference.name, text, audio)
    return Check(reference.sound, voice, advice=tuple(_advice(voice)))


def _read(file: Path) -> tuple[NDArray[np.float32], int]:
    """The samples, shape (n, channels), and their rate. Raises ValueError with what is wrong."""
    import soundfile

    try:
        with soundfile.SoundFile(file) as sound:
            if (duration_s := sound.frames / sound.samplerate) > LONGEST_S:
                raise ValueError(
                    f"lasts {duration_s:.1f} s, and {LONGEST_S:g} s is the most that can be used; "
                    f"cut it to {_GOOD}"
                )
            if sound.samplerate < LOWEST_RATE_HZ:
                raise ValueError(
                    f"has {sound.samplerate} samples a second, and the least is {LOWEST_RATE_HZ}; "
                    "record it anew, since resampling does not bring the lost sound back"
                )
            samples = sound.read(dtype="float32", always_2d=True)
            rate_hz = int(sound.samplerate)
    except (OSError, soundfile.SoundFileError) as error:
        missing = not file.exists()
        reason = "is missing" if missing else f"cannot be read as sound ({error}); save it as a PCM WAV file"
        raise ValueError(reason) from None
    if not np.isfinite(samples).all():
        raise ValueError("has samples that are no numbers; export it again")
    return samples, rate_hz


_GOOD = f"{GOOD_S[0]:g} to {GOOD_S[1]:g} s"


def _problems(channels: NDArray[np.float32], audio: Audio) -> Iterator[str]:
    """Why such a sound cannot be copied.

    Args:
        channels: shape (n, channels), as recorded.
        audio: the same, mixed down.
    """
    if audio.duration_s < SHORTEST_S:
        yield f"lasts only {audio.duration_s:.1f} s, and {SHORTEST_S:g} s is the least; record {_GOOD}"
        return
    clipped = float((np.abs(channels) >= FULL_SCALE).mean())
    if clipped > MOST_CLIPPED:
        yield f"is clipped ({clipped:.1%} of it is at full scale); record it again, at a lower level"
    levels = _levels_dbfs(audio)
    loud = float(np.percentile(levels, 95))
    if loud < QUIETEST_DBFS:
        yield (
            "is silent" if loud < -90 else f"is too quiet (its loudest parts reach {loud:.0f} dBFS)"
        ) + "; it should reach -20 dBFS. Raise its level, or record it again, nearer to the microphone"
        return
    spoken = np.flatnonzero(levels > loud - SILENT_DB)
    edges = (("begins", spoken[0]), ("ends", len(levels) - 1 - spoken[-1]))
    for where, frames in edges:
        if (silence_s := float(frames) * _FRAME_S) > LONGEST_EDGE_S:
            yield f"{where} with {silence_s:.1f} s of silence; leave at most 0.3 s of it"


def _levels_dbfs(audio: Audio) -> NDArray[np.float32]:
    """The level of every 20 ms, as RMS."""
    size = round(_FRAME_S * audio.rate_hz)
    frames: Samples = audio.samples[: len(audio) // size * size].reshape(-1, size)
    powers = np.square(frames).mean(axis=1)
    return np.asarray(10 * np.log10(np.maximum(powers, 1e-12)), np.float32)


def _advice(voice: Voice) -> Iterator[str]:
    """How such a voice could be better."""
    duration_s = voice.audio.duration_s
    if not GOOD_S[0] <= duration_s <= GOOD_S[1]:
        yield f"lasts {duration_s:.1f} s; {_GOOD} are best"
    if not LETTERS_PER_S[0] <= letters(voice.text) / duration_s <= LETTERS_PER_S[1]:
        yield f"lasts {duration_s:.1f} s, which does not fit its transcript; has that exactly its words?"


def main(arguments: list[str] | None = None) -> int:
    """Prints each voice and its verdict. Returns 1 when one cannot be used, else 0."""
    parser = argparse.ArgumentParser(prog="python -m deployments.tts.voices", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("directory", type=Path)
    checks = examine(parser.parse_args(arguments).directory)
    for check in checks:
        print(_verdict(check))  # noqa: T201  # the command's output
    return 1 if any(check.problems for check in checks) else 0


def _verdict(check: Check) -> str:
    if check.voice is None:
        return "\n".join([f"{check.source}: cannot be used", *(f"  - {line}" for line in check.problems)])
    audio = check.voice.audio
    good = f"{check.source}: {check.voice.name}, {audio.duration_s:.1f} s at {audio.rate_hz} Hz"
    return "\n".join(
        [f"{good}: {'usable' if check.advice else 'good'}", *(f"  - {line}" for line in check.advice)]
    )


if __name__ == "__main__":
    sys.exit(main())
