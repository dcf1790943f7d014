"""eSpeak NG behind a pipe: one JSON line in, one JSON line out.

    {"voice": "en-us", "texts": ["Well, yes."]}  ->  {"pieces": [[["wˈɛl", "Well, y"], ["jˈɛs", "es."]]]}
                                                 or  {"error": "..."}

A piece of a text is what eSpeak NG took for one clause: its phonemes in IPA, and what of the text it had read
by then.

eSpeak NG is GPL-3.0-or-later, and this project is Apache-2.0. So the library is loaded by this program and
by nothing else, and the server talks to it as to any other command line program: lines of text over a pipe.
deployments/tts/phonemes.py starts it, by its file name; it imports nothing of this project. It ends when its
input does, so it does not outlive the server, however that ends.

The C interface: https://github.com/espeak-ng/espeak-ng/blob/1.52.0/src/include/espeak-ng/speak_lib.h
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path

import espeakng_loader

_RETRIEVAL = 1  # AUDIO_OUTPUT_RETRIEVAL: never opens a sound device
_DONT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT
_UTF8 = 1  # espeakCHARS_UTF8
_IPA = 2  # of phonememode


class Espeak:
    """The library, initialised once for the life of this process."""

    def __init__(self) -> None:
        data = Path(espeakng_loader.get_data_path())
        # The library keeps the path of its data in 160 bytes; when a longer one does not fit it falls back to
        # a directory of the machine where the wheel was built, and crashes. A relative path always fits.
        os.chdir(data.parent)
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        if self._library.espeak_Initialize(_RETRIEVAL, 0, os.fsencode(data.name), _DONT_EXIT) <= 0:
            raise RuntimeError(f"eSpeak NG does not accept its data in {data}")
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self._voice: str | None = None

    def pieces(self, voice: str, text: str) -> list[tuple[str, str]]:
        """Raises ValueError for an unknown voice."""
        if voice != self._voice:
            if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise ValueError(f"eSpeak NG has no voice {voice!r}")
            self._voice = voice
        buffer = ctypes.create_string_buffer(text.encode())
        start = ctypes.addressof(buffer)
        rest, read = ctypes.c_void_p(start), 0
        pieces = []
        while rest.value is not None:
            phonemes = self._library.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _IPA)
            end = len(buffer) - 1 if rest.value is None else rest.value - start
            pieces.append(((phonemes or b"").decode(), buffer.raw[read:end].decode(errors="ignore")))
            read = end
        return pieces


def main() -> None:
    # Whatever the library may print goes to stderr, so that it never ends up among the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    espeak = Espeak()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        try:
            pieces = [espeak.pieces(request["voice"], text) for text in request["texts"]]
            answer: dict[str, object] = {"pieces": pieces}
        except ValueError as error:
            answer = {"error": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
