"""Makes the set of short sounds and its manifest, as they lie here.

    apt-get install flite espeak-ng pocketsphinx-testdata      (Debian 12: 2.2-5, 1.51, 0.8+5prealpha+1-15)
    python -m bench.speech.make

Who uses the set needs none of that: the sounds are kept with the source. Made again from the same packages
they come out the same, byte for byte. The voices are none that the agent has (Piper's joe).
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import yaml

from bench.speech import noises
from bench.speech.clips import FOLDER, MANIFEST, Clip, Kind
from bench.speech.cutting import PAUSE_S, levels_db, spans
from bench.speech.sound import at_rate, read_wav, write_wav
from conversation.audio import HEARING_HZ, Audio, join, silence

POCKETSPHINX = Path("/usr/share/pocketsphinx/test/data")
"""Where Debian's package pocketsphinx-testdata puts its recordings."""

SPEECH_DB = -23.0
"""RMS of the speech that a machine made, its silences left out, in dBFS: as loud as the people of the set."""
BACKGROUND_DB = -38.0
"""RMS of noise that goes on: somewhere behind the speaker."""
PEAK_DB = -9.0
"""Highest sample of a cough and of other sudden sounds, which are near the microphone."""

BEFORE_S, AFTER_S = 0.2, 0.3
"""Silence around what was made here; digital, since whoever plays it brings the room."""

VOICES = {
    "slt": ["flite", "-voice", "slt"],
    "rms": ["flite", "-voice", "rms"],
    "awb": ["flite", "-voice", "awb"],
    "kal": ["flite", "-voice", "kal16"],
    "f3": ["espeak-ng", "-v", "en-us+f3", "-s", "155"],
    "m3": ["espeak-ng", "-v", "en-gb+m3", "-s", "155"],
}
"""What to call for each: Flite's are made of people's recordings, eSpeak's of formants."""

ABOUT_VOICES = {
    "flite": (
        "Flite 2.2 (Debian flite 2.2-5)",
        "as this project; the voice: CMU Flite's licence (permissive, BSD style)",
    ),
    "espeak-ng": (
        "eSpeak NG 1.51 (Debian espeak-ng)",
        "as this project; the program is GPL-3.0, which does not reach what it says",
    ),
}


@dataclass(frozen=True, slots=True)
class Line:
    """Something to say: `parts` with `pauses_ms` between them; `written` is the text, where it differs."""

    kind: Kind
    voice: str
    parts: Sequence[str]
    pauses_ms: Sequence[int] = ()
    written: str | None = None


def _lines() -> Iterator[Line]:
    for voice, text in QUESTIONS:
        yield Line("question", voice, [text])
    for voice, text, say in BACKCHANNELS:
        yield Line("backchannel", voice, [say], written=text)
    for voice, text in INTERRUPTIONS:
        yield Line("interruption", voice, [text])
    for voice, before, pause_ms, after in PAUSES:
        yield Line("pause", voice, [before, after], [pause_ms])


QUESTIONS = [
    ("slt", "What is the weather like today?"),
    ("rms", "How far is it to the moon?"),
    ("awb", "Can you tell me a short story?"),
    ("slt", "What time does the museum open on Sunday?"),
    ("rms", "Where can I buy a bicycle?"),
    ("rms", "Why is the sky blue?"),
    ("slt", "How do I make a cup of tea?"),
    ("rms", "Which planet is the largest?"),
    ("awb", "Could you help me plan a trip to Italy?"),
    ("slt", "What should I cook for dinner tonight?"),
    ("rms", "How many days are there in a year?"),
    ("kal", "Do you know a good restaurant?"),
]

BACKCHANNELS = [
    ("slt", "uh-huh", "uh huh"),
    ("slt", "yeah", "yeah"),
    ("awb", "right", "right"),
    ("m3", "mm", "[[m'm:]]"),
    ("f3", "mm-hmm", "[[m'm: h'm:]]"),
    ("slt", "okay", "okay"),
    ("rms", "I see", "I see"),
    ("kal", "sure", "sure"),
    ("slt", "yes", "yes"),
    ("rms", "oh really", "oh really"),
    ("f3", "uh-huh", "[[,Vh'V]]"),
    ("m3", "mm-hmm", "[[m'm: h'm:]]"),
    ("awb", "yeah", "yeah"),
    ("rms", "yeah, yeah", "yeah, yeah"),
    ("kal", "okay", "okay"),
    ("awb", "I see", "I see"),
    ("slt", "right", "right"),
    ("kal", "wow", "wow"),
    ("rms", "got it", "got it"),
    ("slt", "of course", "of course"),
    ("awb", "really", "really"),
    ("f3", "hm", "[[h'm:]]"),
    ("slt", "oh", "oh"),
    ("rms", "that's right", "that's right"),
    ("kal", "exactly", "exactly"),
]
"""Voice, text, and what is said to the machine: eSpeak's phonemes where it would spell the text."""

INTERRUPTIONS = [
    ("awb", "Stop."),
    ("rms", "Wait a second."),
    ("slt", "No, I meant something else."),
    ("kal", "Hold on."),
    ("rms", "Stop talking, please."),
    ("kal", "That is not what I asked."),
    ("slt", "Excuse me, I have another question."),
    ("f3", "Sorry, can you say that again?"),
    ("f3", "Stop."),
    ("kal", "Stop it."),
    ("awb", "Wait."),
    ("m3", "Wait a minute."),
    ("slt", "No, I meant the other one."),
    ("f3", "No, no, that is wrong."),
    ("rms", "What about tomorrow?"),
    ("awb", "Can you say that more slowly?"),
    ("m3", "Sorry, I have to go."),
    ("rms", "Actually, never mind."),
    ("slt", "Okay, but what does it cost?"),
    ("awb", "Yes, but why?"),
    ("kal", "Right, and how long does it take?"),
    ("slt", "Let me ask you something else."),
    ("rms", "Please be quiet."),
    ("awb", "How do I get there?"),
]
"""Some begin as a backchannel does."""

PAUSES = [
    ("slt", "I would like to book a table,", 600, "for four people on Friday evening."),
    ("rms", "Can you remind me,", 650, "to call my sister tomorrow?"),
    ("awb", "The thing that I want to know is,", 700, "how long it takes to get there."),
    ("slt", "My phone number is five five five,", 750, "two one eight four."),
    ("rms", "I was thinking about,", 800, "going to the mountains this weekend."),
    ("awb", "What is the difference between,", 900, "a cold and the flu?"),
    ("slt", "Could you tell me,", 600, "when the next train leaves?"),
    ("rms", "I need something for,", 700, "a very bad headache."),
    ("awb", "My sister and I,", 800, "want to rent a car in June."),
    ("slt", "Please send it to,", 900, "forty two Park Street."),
]
"""Two parts are synthesised apart, the first with the tone of a comma."""

TWO_COUGHS = [(0.0, noises.cough(2, throat=1.25)), (0.45, noises.cough(3, throat=1.25))]
THREE_COUGHS = [(0.0, noises.cough(11)), (0.4, noises.cough(12)), (1.0, noises.cough(13))]

NOISES: list[tuple[Kind, str, noises.Signal]] = [
    ("cough", "one cough", noises.cough(1)),
    ("cough", "two coughs, another throat", noises.placed(TWO_COUGHS, 0.95)),
    ("cough", "a throat that is cleared", noises.throat_clearing(4)),
    ("noise", "three knocks on a door", noises.knocks(5)),
    ("noise", "a keyboard", noises.typing(6)),
    ("noise", "a cup that is put down", noises.cup(7)),
    ("noise", "pink noise", noises.pink(8)),
]


MORE_NOISES: list[tuple[Kind, str, noises.Signal]] = [
    ("cough", "one cough, a longer throat", noises.cough(10, throat=0.85)),
    ("cough", "three coughs", noises.placed(THREE_COUGHS, 1.5)),
    ("cough", "another throat that is cleared", noises.throat_clearing(14)),
    ("laugh", "a short laugh", noises.laugh(15, calls=3, pitch_hz=210)),
    ("laugh", "a long laugh", noises.laugh(16, calls=6, pitch_hz=150)),
    ("laugh", "a laugh, higher", noises.laugh(17, calls=4, pitch_hz=290)),
    ("noise", "a door that falls shut", noises.door(18)),
    ("noise", "another keyboard", noises.typing(19)),
    ("noise", "paper", noises.paper(20)),
]


def main() -> None:
    made = [*_people(), *_machines(), *_noises()]
    header = "# Written by make.py, not by hand; clips.py says what the fields mean.\n\n"
    rows = [clip.model_dump(mode="json") for clip in made]
    MANIFEST.write_text(header + yaml.safe_dump(rows, sort_keys=False, allow_unicode=True, width=110))
    size = sum(clip.path.stat().st_size for clip in made)
    print(f"{len(made)} sounds, {size / 1e6:.1f} MB, {MANIFEST}")


# --- people


def _people() -> Iterator[Clip]:
    yield from _transcribed(
        "librivox",
        POCKETSPHINX / "librivox" / "transcription",
        "a LibriVox volunteer",
        "LibriVox, Jane Austen, Sense and Sensibility, chapter 1; cut in Debian pocketsphinx-testdata",
        "public domain (LibriVox); the package: BSD-2-Clause",
    )
    yield from _transcribed(
        "cards",
        POCKETSPHINX / "cards" / "cards.transcription",
        "a speaker whom the package does not name",
        "test data of CMU PocketSphinx; Debian pocketsphinx-testdata",
        "BSD-2-Clause (Carnegie Mellon University, Alpha Cephei Inc.)",
    )


def _transcribed(group: str, transcripts: Path, voice: str, source: str, licence: str) -> Iterator[Clip]:
    """Recordings whose words stand in one file, a line each: ``<s> words </s> (name)``."""
    if not transcripts.exists():
        sys.exit(f"{transcripts} is missing: apt-get install pocketsphinx-testdata")
    for line in transcripts.read_text().splitlines():
        words, _, name = line.removesuffix(")").rpartition("(")
        text = words.replace("<s>", "").replace("</s>", "").strip()
        audio = read_wav(transcripts.parent / f"{name}.wav")
        file = f"human/{group}-{name.rpartition('-')[2]}.wav"
        yield _kept(audio, file, "reading", voice, text, source, licence)


# --- machines


def _machines() -> Iterator[Clip]:
    numbers: dict[Kind, int] = {}
    for line in _lines():
        number = numbers[line.kind] = numbers.get(line.kind, 0) + 1
        source, licence = ABOUT_VOICES[VOICES[line.voice][0]]
        parts = [said(line.voice, part) for part in line.parts]
        pauses = [silence(ms / 1000, HEARING_HZ) for ms in line.pauses_ms]
        alternating = [parts[0], *(one for pair in zip(pauses, parts[1:], strict=True) for one in pair)]
        yield _kept(
            _with_silence_around(alternating),
            f"synthetic/{line.kind}-{number:02}.wav",
            line.kind,
            " ".join(VOICES[line.voice]),
            line.written or " ".join(line.parts),
            source,
            licence,
        )


def said(voice: str, text: str) -> Audio:
    """From its first audible sample to its last, at the loudness of the set."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        what = ["-t", text, "-o", file.name] if VOICES[voice][0] == "flite" else ["-w", file.name, text]
        subprocess.run([*VOICES[voice], *what], check=True, timeout=30, stdout=subprocess.DEVNULL)
        audio = at_rate(read_wav(Path(file.name)), HEARING_HZ)
    found = spans(audio)
    audio = audio[found[0].onset : found[-1].end]
    levels = levels_db(audio)
    loud = levels[levels > levels.max() - 30]
    return Audio(
        audio.samples * np.float32(_gain(SPEECH_DB - 10 * np.log10(np.mean(10 ** (loud / 10))))), HEARING_HZ
    )


def _noises() -> Iterator[Clip]:
    many = [said(voice, text) for voice, text in QUESTIONS[:6]]
    babble: tuple[Kind, str, noises.Signal] = ("noise", "babble of six voices", noises.babble(many, 9))
    numbers: dict[Kind, int] = {}
    for kind, what, signal in [*NOISES, babble, *MORE_NOISES]:
        number = numbers[kind] = numbers.get(kind, 0) + 1
        yield _kept(
            _with_silence_around([_leveled(signal)]),
            f"synthetic/{kind}-{number:02}.wav",
            kind,
            what,
            None,
            "made by noises.py" + (", from voices of Flite 2.2" if signal is babble[2] else ""),
            "as this project",
        )


def _leveled(signal: noises.Signal) -> Audio:
    """What goes on (its peaks are near its mean) at the background's level, what is sudden at its peak's."""
    rms, peak = float(np.sqrt(np.mean(signal**2))), float(np.abs(signal).max())
    goes_on = peak < 6 * rms
    gain = _gain(BACKGROUND_DB) / rms if goes_on else _gain(PEAK_DB) / peak
    return Audio((signal * gain).astype(np.float32), HEARING_HZ)


# --- both


def _with_silence_around(parts: list[Audio]) -> Audio:
    return join([silence(BEFORE_S, HEARING_HZ), *parts, silence(AFTER_S, HEARING_HZ)], HEARING_HZ)


def _kept(
    audio: Audio, file: str, kind: Kind, voice: str, text: str | None, source: str, licence: str
) -> Clip:
    """Writes the file, and says what is to be said about it."""
    path = FOLDER / file
    path.parent.mkdir(exist_ok=True)
    write_wav(path, audio)
    found = spans(audio)
    gaps = [[_ms(before.end), _ms(after.onset)] for before, after in pairwise(found)]
    return Clip(
        file=file,
        kind=kind,
        origin="human" if file.startswith("human/") else "synthetic",
        voice=voice,
        text=text,
        onset_ms=_ms(found[0].onset),
        end_ms=_ms(found[-1].end),
        pauses_ms=[gap for gap in gaps if text is not None and gap[1] - gap[0] >= PAUSE_S * 1000],
        source=source,
        licence=licence,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def _ms(samples: int) -> int:
    return round(samples * 1000 / HEARING_HZ)


def _gain(db: float) -> float:
    return float(10 ** (db / 20))


if __name__ == "__main__":
    main()
