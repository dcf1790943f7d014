import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from conversation.errors import ConfigError
from deployments.tts import voices
from deployments.tts.voices import Voices, examine

HZ = 24_000
WORDS = "The birch canoe slid on the smooth planks, and the sheet was glued to the dark blue background."

Sound = NDArray[np.float64]


def speech(duration_s: float = 12.0, *, rate_hz: int = HZ, level: float = 0.4) -> Sound:
    """Something as loud and as uneven as speech: a buzz of 120 Hz, four syllables a second. Shape (n,)."""
    time = np.arange(round(duration_s * rate_hz)) / rate_hz
    buzz = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 6)) / 2
    return level * buzz * np.abs(np.sin(2 * np.pi * 2 * time))


def silence(duration_s: float) -> Sound:
    return np.zeros(round(duration_s * HZ))


def write(
    directory: Path,
    name: str = "anna",
    sound: Sound | None = None,
    *,
    rate_hz: int = HZ,
    subtype: str = "PCM_16",
    text: str | bytes | None = WORDS,
) -> Path:
    """NAME.wav and NAME.txt, a good pair unless told otherwise."""
    file = directory / f"{name}.wav"
    soundfile.write(file, speech(rate_hz=rate_hz) if sound is None else sound, rate_hz, subtype)
    if text is not None:
        file.with_suffix(".txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def problem(directory: Path) -> str:
    """What is wrong with the one voice there."""
    [check] = examine(directory)
    assert check.voice is None
    return "\n".join(check.problems)


def test_a_voice_is_a_sound_and_its_words(tmp_path: Path) -> None:
    write(tmp_path, "anna", text=" The birch canoe slid\r\non the smooth planks, and the sheet was glued.\n")

    found = Voices(tmp_path)

    voice = found.find("anna")
    assert found.names == ("anna",)
    assert voice.text == "The birch canoe slid on the smooth planks, and the sheet was glued."
    assert voice.audio.rate_hz == HZ
    assert voice.audio.samples.dtype == np.float32
    np.testing.assert_allclose(voice.audio.samples, speech(), atol=1e-4)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_kind_of_sample_gives_the_same_sound(tmp_path: Path, subtype: str) -> None:
    write(tmp_path, subtype=subtype)
    np.testing.assert_allclose(Voices(tmp_path).find("anna").audio.samples, speech(), atol=0.01)


def test_stereo_is_mixed_down(tmp_path: Path) -> None:
    write(tmp_path, sound=np.stack([speech(level=0.5), speech(level=0.3)], axis=1))
    np.testing.assert_allclose(Voices(tmp_path).find("anna").audio.samples, speech(level=0.4), atol=1e-4)


def test_the_list_of_cleans2s_is_read(tmp_path: Path) -> None:
    (tmp_path / "ref_wav").mkdir()
    for name in ("one", "two"):
        write(tmp_path / "ref_wav", name, text=None)
    (tmp_path / "ref.json").write_text(
        json.dumps([{"ref_wav_path": f"{name}.wav", "prompt_text": WORDS} for name in ("two", "one")])
    )

    found = Voices(tmp_path)

    assert found.names == ("one", "two")
    assert found.find("two").text == WORDS


def test_both_layouts_may_be_used_at_once(tmp_path: Path) -> None:
    (tmp_path / "ref_wav").mkdir()
    write(tmp_path / "ref_wav", "one", text=None)
    (tmp_path / "ref.json").write_text(json.dumps([{"ref_wav_path": "one.wav", "prompt_text": WORDS}]))
    write(tmp_path, "anna")
    assert Voices(tmp_path).names == ("anna", "one")


@pytest.mark.parametrize(
    ("names", "asked", "default"),
    [
        (("berta", "anna"), None, "anna"),
        (("anna", "default"), None, "default"),
        (("anna", "berta", "default"), "berta", "berta"),
    ],
)
def test_an_unknown_name_is_spoken_by_the_default_voice(
    tmp_path: Path, names: tuple[str, ...], asked: str | None, default: str
) -> None:
    for name in names:
        write(tmp_path, name)
    found = Voices(tmp_path, asked)
    assert found.default == default
    assert found.find("alloy").name == default


def test_a_default_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    write(tmp_path, "anna")
    with pytest.raises(ConfigError, match="named 'carl', the default; there are anna"):
        Voices(tmp_path, "carl")


@pytest.mark.parametrize(
    ("sound", "says"),
    [
        (speech(2.9), "only 2.9 s"),
        (speech(30.1), "cut it to 10 to 20 s"),
        (np.clip(speech(level=3.0), -1, 1), "clipped"),
        (speech(level=0.01), "too quiet"),
        (silence(12), "is silent"),
        (np.zeros(0), "only 0.0 s"),
        (np.concatenate([silence(1.5), speech()]), "begins with 1.5 s of silence"),
        (np.concatenate([speech(), silence(2)]), "ends with 2.0 s of silence"),
        (np.stack([speech(), -speech()], axis=1), "is silent"),
    ],
)
def test_a_sound_that_cannot_be_copied_is_refused(tmp_path: Path, sound: Sound, says: str) -> None:
    write(tmp_path, sound=sound)
    assert says in problem(tmp_path)


def test_a_sound_normalised_to_full_scale_is_not_clipped(tmp_path: Path) -> None:
    sound = speech()
    write(tmp_path, sound=sound / np.abs(sound).max())
    assert Voices(tmp_path).names == ("anna",)


def test_a_low_rate_is_refused(tmp_path: Path) -> None:
    write(tmp_path, rate_hz=8000)
    assert "8000 samples a second, and the least is 16000" in problem(tmp_path)


def test_a_sound_with_samples_that_are_no_numbers_is_refused(tmp_path: Path) -> None:
    sound = speech()
    sound[1000] = np.nan
    write(tmp_path, sound=sound, subtype="FLOAT")
    assert "no numbers" in problem(tmp_path)


def test_a_file_that_is_no_sound_is_refused(tmp_path: Path) -> None:
    write(tmp_path).write_bytes(b"RIFF, or so")
    assert "cannot be read as sound" in problem(tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "anna.txt is missing"),
        ("  …\n", "transcript is empty"),
        ("你好".encode("gbk"), "anna.txt is not in UTF-8"),
    ],
)
def test_a_voice_without_its_words_is_refused(tmp_path: Path, text: str | bytes | None, says: str) -> None:
    write(tmp_path, text=text)
    assert says in problem(tmp_path)


def test_a_mark_of_byte_order_is_no_part_of_the_words(tmp_path: Path) -> None:
    write(tmp_path, text=WORDS.encode("utf-8-sig"))
    assert Voices(tmp_path).find("anna").text == WORDS


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[{", "cannot be read as JSON"),
        ("{}", "must be a list"),
        ("[]", "must be a list"),
        ('["one.wav"]', "entry 1 needs"),
        ('[{"ref_wav_path": "one.wav"}]', "entry 1 needs"),
        ('[{"ref_wav_path": "one.wav", "prompt_text": "Words."}]', "one.wav is missing"),
    ],
)
def test_a_broken_list_is_refused(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "ref.json").write_text(content)
    [check] = examine(tmp_path)
    assert says in f"{check.source.name} {check.problems[0]}"


def test_two_voices_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ref_wav").mkdir()
    write(tmp_path / "ref_wav", "anna", text=None)
    (tmp_path / "ref.json").write_text(json.dumps([{"ref_wav_path": "anna.wav", "prompt_text": WORDS}]))
    write(tmp_path, "anna")
    with pytest.raises(ConfigError, match="a second voice named 'anna'"):
        Voices(tmp_path)


def test_a_directory_without_a_voice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no voice; put"):
        Voices(tmp_path)
    with pytest.raises(ConfigError, match="is no directory"):
        Voices(tmp_path / "voices")


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    write(tmp_path, "anna", speech(2), text=None)
    write(tmp_path, "berta", speech(level=0.001))
    write(tmp_path, "carl")
    (tmp_path / "ref.json").write_text("{}")

    with pytest.raises(ConfigError) as error:
        Voices(tmp_path, "dora")

    lines = str(error.value).splitlines()[1:]
    assert [line.removeprefix(f"- {tmp_path}").split(" ")[0] for line in lines] == [
        "/ref.json:",
        "/anna.wav:",
        "/anna.wav:",
        "/berta.wav:",
        ":",
    ]
    assert "there are carl" in lines[-1]


@pytest.mark.parametrize(
    ("duration_s", "text", "advice"),
    [
        (9.0, WORDS, "10 to 20 s are best"),
        (21.0, WORDS, "10 to 20 s are best"),
        (12.0, "Hello.", "does not fit its transcript"),
        (12.0, "今天天气很好" * 40, "does not fit its transcript"),
    ],
)
def test_a_voice_that_could_be_better_is_used_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, duration_s: float, text: str, advice: str
) -> None:
    write(tmp_path, sound=speech(duration_s), text=text)
    assert Voices(tmp_path).names == ("anna",)
    assert advice in caplog.text


def test_twelve_seconds_of_mandarin_fit_their_words(tmp_path: Path) -> None:
    write(tmp_path, text="一年前的这个时候，我认识了玲玲，并知道了他的故事，给了我很多的力量与勇气。")
    [check] = examine(tmp_path)
    assert check.advice == ()


def test_the_command_prints_a_verdict_for_each_voice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "anna")
    write(tmp_path, "berta", speech(5))
    assert voices.main([str(tmp_path)]) == 0
    write(tmp_path, "carl", text=None)
    assert voices.main([str(tmp_path)]) == 1

    said = capsys.readouterr().out
    assert "anna.wav: anna, 12.0 s at 24000 Hz: good" in said
    assert "berta.wav: berta, 5.0 s at 24000 Hz: usable\n  - lasts 5.0 s" in said
    assert "carl.wav: cannot be used\n  - carl.txt is missing" in said
