from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from bench.antiphon import Antiphon
from bench.client import Client, Noted, Signal, Timeout, Wire
from bench.headset import HZ
from bench.peers import Pipecat
from bench.peers.pipecat.wire import Frame
from conversation.audio import Audio, to_pcm16
from tests import virtual_time

PCM = to_pcm16(Audio(np.full(HZ // 50, 0.5, np.float32), HZ))
"""20 ms."""


def test_waiting_finds_what_came_before_and_gives_up_in_time() -> None:
    async def scene() -> None:
        client = Client(Antiphon())
        client.notes += [Noted(0.0, {"type": "one"}), Noted(0.0, {"type": "two"})]
        assert (await client.wait(lambda note: note.kind == "two", since=0, within_s=1)).kind == "two"
        with pytest.raises(Timeout):
            await client.wait(lambda note: note.kind == "one", since=1, within_s=1)

    virtual_time.run(scene())


def client_that_took(wire: Wire, *messages: str | bytes) -> Client:
    """One message a second."""
    client = Client(wire)
    for number, message in enumerate(messages):
        client.take(message, float(number))
    return client


def signals(client: Client) -> list[tuple[Signal | None, str | None]]:
    return [(note.signal, note.response) for note in client.notes]


def event(kind: str, **fields: object) -> str:
    return json.dumps({"type": kind, **fields})


def told(kind: str, **data: object) -> bytes:
    return bytes(Frame(message={"data": json.dumps({"type": kind, "data": data})}).SerializeToString())


def sounds() -> bytes:
    return bytes(Frame(audio={"audio": PCM, "sample_rate": HZ}).SerializeToString())


def interruption() -> bytes:
    return bytes(Frame(interruption={}).SerializeToString())


def test_an_answer_of_antiphon_goes_by_its_id_and_its_sound_is_kept_apart() -> None:
    delta = event("response.output_audio.delta", response_id="resp_1", delta=base64.b64encode(PCM).decode())
    client = client_that_took(Antiphon(), event("session.updated"), delta, delta)
    assert signals(client) == [("ready", None), ("sound", "resp_1"), ("sound", "resp_1")]
    assert "delta" not in client.notes[1].event
    assert client.speakers["resp_1"].first_audible_s == 1.0


@pytest.mark.parametrize(("status", "how"), [("completed", "ended"), ("cancelled", "cut off")])
def test_how_an_answer_of_antiphon_ended(status: str, how: Signal) -> None:
    client = client_that_took(Antiphon(), event("response.done", response={"id": "resp_1", "status": status}))
    assert signals(client) == [(how, "resp_1")]


def test_the_users_voice_makes_a_client_of_antiphon_drop_what_it_has() -> None:
    client = client_that_took(
        Antiphon(), event("session.created"), event("input_audio_buffer.speech_started", item_id="item_1")
    )
    assert client.interrupted == [1.0]
    assert client.notes[1].item == "item_1"


def test_answers_of_pipecat_are_numbered_by_their_ends() -> None:
    client = client_that_took(
        Pipecat(),
        told("bot-ready"),
        told("bot-started-speaking"),
        sounds(),
        sounds(),
        told("bot-stopped-speaking"),
        sounds(),
        interruption(),
        told("bot-stopped-speaking"),
        told("bot-llm-started"),
        sounds(),
    )
    assert [note.response for note in client.notes if note.signal == "sound"] == ["1", "1", "2", "3"]
    assert [(s, r) for s, r in signals(client) if s in ("ended", "cut off")] == [
        ("ended", "1"),
        ("cut off", "2"),
    ]
    assert client.interrupted == [6.0]
    assert list(client.speakers) == ["1", "2", "3"]


def test_a_chunk_that_follows_an_interruption_of_pipecat_is_no_new_answer() -> None:
    client = client_that_took(
        Pipecat(),
        sounds(),
        interruption(),
        sounds(),
        told("bot-stopped-speaking"),
        sounds(),
        told("user-stopped-speaking"),
        sounds(),
    )
    assert [note.response for note in client.notes if note.signal == "sound"] == ["1", "1", "1", "2"]
    assert [note.response for note in client.notes if note.signal == "cut off"] == ["1"]


def test_a_client_of_pipecat_speaks_as_its_pipelines_hear() -> None:
    frame = Frame.FromString(Pipecat().spoken(b"\1\2"))
    assert (frame.audio.audio, frame.audio.sample_rate, frame.audio.num_channels) == (b"\1\2", 16_000, 1)


def test_the_frames_are_numbered_as_pipecat_numbers_them() -> None:
    """Frame.audio is field 2; AudioRawFrame's are 3, 4 and 5. Written by hand from the published schema."""
    assert Pipecat().spoken(b"\1\2") == b"\x12\x09" + b"\x1a\x02\1\2" + b"\x20\x80\x7d" + b"\x28\x01"


def test_a_bot_at_another_rate_is_not_measured() -> None:
    frame = bytes(Frame(audio={"audio": PCM, "sample_rate": 16_000}).SerializeToString())
    with pytest.raises(ValueError, match="16000 Hz"):
        client_that_took(Pipecat(), frame)
