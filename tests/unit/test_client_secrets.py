"""Client secrets: what they stand for, how long, and who takes them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from conversation.errors import ClientError
from conversation.settings import Settings
from deployments.ingress.client_secrets import ClientSecrets, opening_for
from deployments.ingress.keys import KEYS, Refusal, keys_in

DEFAULTS = Settings(instructions="Be kind.")


def secrets(keys: str = "a-key-of-16-characters") -> ClientSecrets:
    return ClientSecrets(keys_in({KEYS: keys}), DEFAULTS)


def test_a_secret_stands_for_its_session_at_every_replica() -> None:
    made = secrets().made({"session": {"type": "realtime", "instructions": "Sing.", "model": "m"}})
    assert made["value"].startswith("ek_")
    assert (made["session"]["instructions"], made["session"]["model"]) == ("Sing.", "m")
    assert made["session"]["expires_at"] == 0
    assert abs(made["expires_at"] - time.time() - 600) < 60
    session = secrets().read(made["value"])
    assert session == {"type": "realtime", "instructions": "Sing.", "model": "m"}
    assert opening_for(made["session"]).model == "m"


@pytest.mark.parametrize("body", [None, {}, {"session": None}, {"expires_after": None}])
def test_without_a_session_it_is_the_operator_s(body: Any) -> None:
    assert secrets().made(body)["session"]["instructions"] == "Be kind."


def test_it_may_be_of_a_session_that_only_listens() -> None:
    made = secrets().made({"session": {"type": "transcription"}})
    assert made["session"]["object"] == "realtime.transcription_session"
    session = secrets().read(made["value"])
    assert not isinstance(session, Refusal)
    assert opening_for(session).transcription


def test_another_server_does_not_take_it() -> None:
    refusal = secrets("another-key-of-16").read(secrets().made({})["value"])
    assert isinstance(refusal, Refusal)
    assert "none of this server's" in refusal.error.message


@pytest.mark.parametrize("secret", ["ek_", "ek_nonsense", "ek_e30.AAAA"])
def test_nonsense_is_no_secret(secret: str) -> None:
    assert isinstance(secrets().read(secret), Refusal)


def test_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    made = secrets().made({"expires_after": {"seconds": 10}})
    assert not isinstance(secrets().read(made["value"]), Refusal)
    now_s = time.time()
    monkeypatch.setattr("time.time", lambda: now_s + 11)
    refusal = secrets().read(made["value"])
    assert isinstance(refusal, Refusal)
    assert "expired" in refusal.error.message


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"expires_after": {"seconds": 5}}, "expires_after.seconds"),
        ({"session": {"voice": "anna"}}, "session.voice"),
        ({"session": {"type": "video"}}, "session.type"),
        ({"session": {"instructions": "x" * 100_000 + str(range(9999))}}, None),
        ({"sesion": {}}, "sesion"),
        ([], ""),
    ],
)
def test_what_cannot_be_is_refused(body: Any, param: str | None) -> None:
    if param is None:
        body["session"]["instructions"] = " ".join(str(number**3) for number in range(3000))
        param = "session"
    with pytest.raises(ClientError) as caught:
        secrets().made(body)
    assert caught.value.param == param
