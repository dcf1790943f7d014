"""What a session may set that only this server has: how it counts, how it is echoed, and to whom."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.websockets import WebSocket

from conversation.errors import ClientError
from conversation.settings import Filler, Settings, TurnDetection
from deployments.ingress.app import opening_of
from deployments.ingress.client_secrets import ClientSecrets
from deployments.ingress.keys import KEYS, keys_in
from realtime.beta import from_beta, to_beta
from realtime.parse import decode
from realtime.server_events import ServerEvents
from realtime.session import Opening, opened
from realtime.session_object import SessionObject, new_session
from tests.stock_events import beta_event, stock_event

OPERATORS = Settings(
    turn_detection=TurnDetection(barge_in="words", silence_duration_ms=700),
    paced=False,
    filler=Filler(after_ms=1500, phrases=("Moment.",)),
)


def session(*updates: dict[str, Any], defaults: Settings = OPERATORS) -> SessionObject:
    now = new_session("sess_1", "gpt-realtime", defaults)
    for update in updates:
        now = now.updated({"type": "realtime", **update}, voice_locked=False)
        stock_event(ServerEvents().session_updated(now))
    return now


def vad(antiphon: Any, kind: str | None = "server_vad") -> dict[str, Any]:
    detection = {"antiphon": antiphon} if kind is None else {"type": kind, "antiphon": antiphon}
    return {"audio": {"input": {"turn_detection": detection}}}


def barge_in(now: SessionObject) -> str | None:
    detection = now.settings().turn_detection
    return None if detection is None else detection.barge_in


def echoed_vad(now: SessionObject) -> Any:
    return now.on_the_wire()["audio"]["input"]["turn_detection"]


def ours(**fields: Any) -> dict[str, Any]:
    return {"antiphon": fields}


def test_a_session_that_sets_none_has_the_operator_s_and_is_told_nothing() -> None:
    now = session()
    assert now.settings() == OPERATORS
    assert "antiphon" not in json.dumps(now.on_the_wire()["audio"])
    assert "antiphon" not in now.on_the_wire()


@pytest.mark.parametrize("kind", ["server_vad", "semantic_vad"])
def test_a_session_says_how_much_of_a_voice_interrupts(kind: str) -> None:
    now = session(vad({"barge_in": "speech"}, kind))
    assert barge_in(now) == "speech"
    assert echoed_vad(now)["antiphon"] == {"barge_in": "speech"}
    changed = now.updated({"type": "realtime", **vad({"barge_in": "any_sound"}, None)}, voice_locked=False)
    assert barge_in(changed) == "any_sound"
    kept = changed.updated(
        {"type": "realtime", "audio": {"input": {"turn_detection": {"interrupt_response": False}}}},
        voice_locked=False,
    )
    assert barge_in(kept) == "any_sound"


@pytest.mark.parametrize("given", [None, {}, {"barge_in": None}])
def test_what_is_not_said_of_it_is_the_operator_s(given: Any) -> None:
    now = session(vad(given))
    assert barge_in(now) == "words"
    assert echoed_vad(now).get("antiphon") == (None if given is None else {"barge_in": "words"})


def test_null_takes_it_back() -> None:
    now = session(vad({"barge_in": "speech"}), vad(None))
    assert barge_in(now) == "words"
    assert "antiphon" not in echoed_vad(now)


def test_who_sets_one_extension_is_told_all_with_the_operator_s_for_the_rest() -> None:
    now = session(ours(hold=True))
    told = {
        "events": False,
        "hold": True,
        "paced": False,
        "speculate": True,
        "filler": {"after_ms": 1500, "phrases": ["Moment."], "tools": False},
    }
    assert now.on_the_wire()["antiphon"] == told
    assert now.settings() == OPERATORS.model_copy(update={"holds": True})


def test_extensions_are_set_one_by_one_and_taken_back_together() -> None:
    first = session(ours(paced=True), ours(speculate=False, hold=None), ours(events=True))
    settings = first.settings()
    assert (settings.paced, settings.speculate, settings.holds) == (True, False, False)
    assert first.extensions.events
    back = first.updated({"type": "realtime", "antiphon": None}, voice_locked=False)
    assert "antiphon" not in back.on_the_wire()
    assert back.settings() == OPERATORS


@pytest.mark.parametrize(
    ("given", "filler"),
    [
        (None, None),
        ({}, Filler(after_ms=1500, phrases=("Moment.",))),
        ({"tools": True}, Filler(after_ms=1500, phrases=("Moment.",), tools=True)),
        ({"after_ms": 900, "phrases": ["稍等。"]}, Filler(after_ms=900, phrases=("稍等。",))),
        ({"after_ms": None, "phrases": []}, Filler(after_ms=1500)),
    ],
)
def test_a_filler_is_the_session_s_own_as_far_as_it_says(given: Any, filler: Filler | None) -> None:
    assert session(ours(filler=given)).settings().filler == filler


def test_a_filler_is_switched_on_where_the_operator_has_none() -> None:
    now = session(ours(filler={"phrases": ["Hm."]}), ours(filler={"after_ms": 700}), defaults=Settings())
    assert now.settings().filler == Filler(after_ms=700, phrases=("Hm.",))


DETECTION = "session.audio.input.turn_detection.antiphon"

WRONG: list[tuple[dict[str, Any], str, str]] = [
    (vad({"barge_in": "cough"}), "invalid_value", f"{DETECTION}.barge_in"),
    (vad({"barge_in": 1}, "semantic_vad"), "invalid_value", f"{DETECTION}.barge_in"),
    (vad({"bogus": 1}), "unknown_parameter", f"{DETECTION}.bogus"),
    (vad("speech"), "invalid_type", DETECTION),
    ({"antiphon": True}, "invalid_type", "session.antiphon"),
    (ours(hold=1), "invalid_type", "session.antiphon.hold"),
    (ours(paced="no"), "invalid_type", "session.antiphon.paced"),
    (ours(speculate="no"), "invalid_type", "session.antiphon.speculate"),
    (ours(bogus=None), "unknown_parameter", "session.antiphon.bogus"),
    (ours(filler=2000), "invalid_type", "session.antiphon.filler"),
    (ours(filler={"after_ms": 100}), "integer_below_min_value", "session.antiphon.filler.after_ms"),
    (ours(filler={"after_ms": 99_999}), "integer_above_max_value", "session.antiphon.filler.after_ms"),
    (ours(filler={"after_ms": 700.5}), "invalid_type", "session.antiphon.filler.after_ms"),
    (ours(filler={"phrases": "Hm."}), "invalid_type", "session.antiphon.filler.phrases"),
    (ours(filler={"phrases": ["Hm."] * 17}), "array_above_max_length", "session.antiphon.filler.phrases"),
    (ours(filler={"phrases": ["a", ""]}), "string_below_min_length", "session.antiphon.filler.phrases[1]"),
    (ours(filler={"phrases": ["…"]}), "invalid_value", "session.antiphon.filler.phrases[0]"),
    (ours(filler={"phrases": [5]}), "invalid_type", "session.antiphon.filler.phrases[0]"),
    (ours(filler={"bogus": 5}), "unknown_parameter", "session.antiphon.filler.bogus"),
]


@pytest.mark.parametrize(("update", "code", "param"), WRONG)
def test_what_is_wrong_in_an_extension_is_named(update: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(ClientError) as caught:
        session(update)
    assert (caught.value.code, caught.value.param) == (code, param), caught.value.message


def test_an_address_may_ask_for_them_too_but_not_where_there_are_no_responses() -> None:
    opening = Opening(session={"type": "realtime", **ours(paced=True)}, antiphon={"hold": True})
    now = opened(opening, "sess_1", OPERATORS)
    assert now.extensions.hold
    assert now.extensions.paced
    listening = opened(Opening(transcription=True, antiphon={"hold": True}), "sess_1", OPERATORS)
    assert "antiphon" not in listening.on_the_wire()


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("model=m", None),
        ("model=m&antiphon", {"events": True}),
        ("antiphon=timing&model=m", {"events": True}),
        ("model=m&antiphon=hold", {"events": True, "hold": True}),
    ],
)
@pytest.mark.parametrize("with_secret", [False, True])
def test_an_address_says_which(query: str, asked: dict[str, bool] | None, with_secret: bool) -> None:
    keys = keys_in({KEYS: "a-key-of-16-characters"})
    secrets = ClientSecrets(keys, OPERATORS)
    key = secrets.made({})["value"] if with_secret else "a-key-of-16-characters"
    scope = {
        "type": "websocket",
        "query_string": query.encode(),
        "headers": [(b"authorization", f"Bearer {key}".encode())],
        "subprotocols": [],
    }

    async def nothing(*_: Any) -> Any:
        raise AssertionError("nobody reads or writes here")

    opening = opening_of(WebSocket(scope, nothing, nothing), keys, secrets)
    assert isinstance(opening, Opening)
    assert opening.antiphon == asked
    extensions = opened(opening, "sess_1", Settings()).extensions
    assert (extensions.events, extensions.hold) == (bool(asked), "hold" in (asked or {}))


def test_the_beta_has_them_where_it_has_their_neighbours() -> None:
    update = {"turn_detection": {"type": "server_vad", "antiphon": {"barge_in": "speech"}}, **ours(hold=True)}
    sent = decode(from_beta(json.dumps({"type": "session.update", "session": update})))
    now = session(sent["session"])
    assert (barge_in(now), now.settings().holds) == ("speech", True)
    told = to_beta(ServerEvents().session_updated(now))
    assert told is not None
    echo = beta_event(told)["session"]
    assert (echo["turn_detection"]["antiphon"], echo["antiphon"]["hold"]) == ({"barge_in": "speech"}, True)


def test_the_beta_is_told_its_own_name_of_what_is_wrong() -> None:
    update = {"turn_detection": {"antiphon": {"barge_in": "cough"}}}
    sent = decode(from_beta(json.dumps({"type": "session.update", "session": update})))
    with pytest.raises(ClientError) as caught:
        session(sent["session"])
    told = to_beta(ServerEvents().error(caught.value, None))
    assert told is not None
    assert beta_event(told)["error"]["param"] == "session.turn_detection.antiphon.barge_in"
