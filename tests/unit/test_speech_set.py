from __future__ import annotations

import hashlib
from typing import Any

import pytest
from pydantic import ValidationError

from bench.speech import Clip, noises, speech_set, synthetic_sentences
from bench.speech.clips import FOLDER, MANIFEST
from bench.speech.cutting import levels_db
from conversation.audio import HEARING_HZ

A_CLIP: dict[str, Any] = {
    "file": "human/a.wav",
    "kind": "reading",
    "origin": "human",
    "voice": "somebody",
    "text": "hello",
    "onset_ms": 100,
    "end_ms": 900,
    "pauses_ms": [[300, 700]],
    "source": "made here",
    "licence": "as this project",
    "sha256": "0" * 64,
}


def test_the_manifest_lists_every_sound_that_lies_there_once() -> None:
    listed = [clip.path for clip in speech_set()]
    assert sorted(listed) == sorted(FOLDER.rglob("*.wav"))


@pytest.mark.parametrize("clip", speech_set(), ids=lambda clip: clip.name)
def test_a_sound_is_the_one_that_was_listed_and_its_marks_lie_inside(clip: Clip) -> None:
    assert hashlib.sha256(clip.path.read_bytes()).hexdigest() == clip.sha256
    audio = clip.audio()
    assert audio.rate_hz == HEARING_HZ
    assert clip.end_ms <= audio.duration_s * 1000
    loud = levels_db(audio)[clip.onset_ms // 10 : clip.end_ms // 10]
    for begin_ms, end_ms in clip.pauses_ms:
        inside = levels_db(audio)[begin_ms // 10 : end_ms // 10]
        assert inside.max() < loud.max() - 20


def test_every_kind_is_there_and_says_who_made_it() -> None:
    kinds = {kind: len(speech_set(kind)) for kind in ("question", "backchannel", "interruption", "pause")}
    assert kinds == {"question": 12, "backchannel": 25, "interruption": 24, "pause": 10}
    wordless = {kind: len(speech_set(kind)) for kind in ("cough", "laugh", "noise")}
    assert wordless == {"cough": 6, "laugh": 3, "noise": 8}
    for clip in speech_set():
        assert clip.file.startswith(f"{clip.origin}/")
        assert (clip.text is None) == (clip.kind in ("cough", "laugh", "noise"))


def test_a_sentence_with_a_pause_has_one_of_600_to_900_ms() -> None:
    for clip in speech_set("pause"):
        [[begin_ms, end_ms]] = clip.pauses_ms
        assert 600 <= end_ms - begin_ms <= 910


def test_no_voice_of_the_set_is_the_agents() -> None:
    assert "piper" not in MANIFEST.read_text().lower()


def test_people_and_machines_are_asked_for_apart() -> None:
    assert {clip.origin for clip in speech_set(origin="human")} == {"human"}
    assert {take.origin for take in synthetic_sentences()} == {"synthetic"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"onset_ms": 900},
        {"pauses_ms": [[700, 300]]},
        {"pauses_ms": [[700, 1000]]},
        {"origin": "unknown"},
        {"licence": ""},
        {"speaker": "somebody"},
    ],
)
def test_a_row_that_is_wrong_is_refused(wrong: dict[str, Any]) -> None:
    assert Clip.model_validate(A_CLIP).name == "a"
    with pytest.raises(ValidationError):
        Clip.model_validate(A_CLIP | wrong)


def test_a_noise_is_the_same_every_time() -> None:
    assert (noises.cough(1) == noises.cough(1)).all()
    assert (noises.cough(1) != noises.cough(2)).any()
