"""API keys: where they come from, and how a client shows one."""

from __future__ import annotations

from pathlib import Path

import pytest

from conversation.errors import ConfigError
from deployments.ingress.keys import (
    DIGESTS,
    KEYS,
    KEYS_FILE,
    Keys,
    hand_on,
    keys_in,
    require_keys_beyond_loopback,
    shown,
)

ONE = "0123456789abcdef-one"
TWO = "0123456789abcdef.two"


def test_without_keys_everybody_is_let_in() -> None:
    keys = keys_in({})
    assert not keys
    assert keys.refusal({}, []) is None


def test_keys_come_from_the_variable_and_from_the_file_together(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# Anna\n\n  {TWO}  \n")
    keys = keys_in({KEYS: f" {ONE} ,", KEYS_FILE: str(file)})
    assert ONE in keys
    assert TWO in keys
    assert ONE[:-1] not in keys
    assert "" not in keys


@pytest.mark.parametrize(
    ("headers", "subprotocols"),
    [
        ({"authorization": f"Bearer {ONE}"}, []),
        ({"authorization": f"bearer  {ONE}"}, ["realtime"]),
        ({"api-key": ONE}, []),
        ({"authorization": "Basic eA==", "api-key": ONE}, []),
        ({}, ["realtime", f"openai-insecure-api-key.{ONE}", "openai-agents-sdk.1"]),
    ],
)
def test_a_key_is_found_where_clients_put_it(headers: dict[str, str], subprotocols: list[str]) -> None:
    assert shown(headers, subprotocols) == ONE
    assert keys_in({KEYS: ONE}).refusal(headers, subprotocols) is None


@pytest.mark.parametrize(
    ("headers", "subprotocols"),
    [({}, []), ({}, ["realtime"]), ({"authorization": "Bearer "}, []), ({"authorization": ONE}, [])],
)
def test_who_shows_no_key_is_told_how(headers: dict[str, str], subprotocols: list[str]) -> None:
    refusal = keys_in({KEYS: ONE}).refusal(headers, subprotocols)
    assert refusal is not None
    assert (refusal.error.code, refusal.close_reason) == ("invalid_api_key", "invalid_request_error")
    assert "Authorization: Bearer KEY" in refusal.error.message


@pytest.mark.parametrize("wrong", [TWO, ONE + "x", ONE.upper(), "\udcff" * 20, "ключ" * 5])
def test_a_wrong_key_is_refused_and_not_repeated(wrong: str) -> None:
    refusal = keys_in({KEYS: ONE}).refusal({"api-key": wrong}, [])
    assert refusal is not None
    assert refusal.error.code == "invalid_api_key"
    assert refusal.close_reason == "invalid_request_error.invalid_api_key"
    assert wrong not in refusal.error.message


def test_what_is_handed_on_recognises_the_keys_and_does_not_hold_them(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(TWO)
    environment = {KEYS: ONE, KEYS_FILE: str(file), "HOME": "/"}
    hand_on(environment)
    assert environment.keys() == {DIGESTS, "HOME"}
    assert ONE not in environment[DIGESTS]
    assert ONE in keys_in(environment)
    assert TWO in keys_in(environment)


def test_nothing_of_a_key_is_printed() -> None:
    assert repr(keys_in({KEYS: f"{ONE},{TWO}"})) == "<2 API keys>"
    assert repr(Keys()) == "<0 API keys>"


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (f"{ONE},tooshort", "ANTIPHON_API_KEYS: key 2 is shorter than 16 characters"),
        ("sixteen characters=", "ANTIPHON_API_KEYS: key 1 holds characters"),
    ],
)
def test_a_key_that_will_not_do_is_named_by_its_place(keys: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        keys_in({KEYS: keys})
    assert not any(key in str(refused.value) for key in keys.split(","))


def test_a_file_that_is_not_there_or_empty_lets_nobody_in(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*nowhere: No such file"):
        keys_in({KEYS_FILE: str(tmp_path / "nowhere")})
    empty = tmp_path / "empty"
    empty.write_text("# none yet\n")
    with pytest.raises(ConfigError, match="holds no key"):
        keys_in({KEYS_FILE: str(empty)})


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org", ""])
def test_without_keys_only_loopback_may_be_listened_on(host: str) -> None:
    with pytest.raises(ConfigError, match="Set ANTIPHON_API_KEYS"):
        require_keys_beyond_loopback(host, Keys())
    require_keys_beyond_loopback(host, keys_in({KEYS: ONE}))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.53", "::1", "localhost"])
def test_without_keys_loopback_may_be_listened_on(host: str) -> None:
    require_keys_beyond_loopback(host, Keys())


def test_a_digest_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="ANTIPHON_API_KEYS_SHA256: not SHA-256 in hex"):
        keys_in({DIGESTS: "abc"})
