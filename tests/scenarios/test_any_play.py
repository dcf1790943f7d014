"""Whatever a user and a client do, at whatever moments, with stages that are slow or fail now and then: the
promises of the protocol hold (screenplay.check_promises), no defect is logged, and nothing is left behind."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversation.conversation import Conversation
from conversation.errors import ClientError, StageFailed, StageLost
from conversation.events import OutputStarted
from conversation.items import MessageItem, TextPart
from conversation.scripted import Line
from conversation.settings import Deadlines, Filler, ResponseRequest, Settings, Tuning
from conversation.workload import Need, Work, Workload
from tests.scenarios.screenplay import Play, detection

TUNING = Tuning(deadlines=Deadlines(asr_s=1.5, llm_first_s=2, llm_next_s=1, tts_first_s=1, tts_next_s=1))

DELAYS_S = st.sampled_from([0.0, 0.05, 0.3, 1.0])


def lines(stage: str, text: str) -> st.SearchStrategy[list[Line]]:
    trouble = st.sampled_from([None, None, None, StageFailed(stage, "no"), StageLost(stage, "gone")])
    line = st.builds(
        Line,
        text=st.sampled_from([text, text, "", "Yes."]),
        first_s=DELAYS_S,
        each_s=st.sampled_from([0.0, 0.05]),
        raises=trouble,
        hangs=st.sampled_from([False, False, False, True]),
    )
    return st.lists(line, min_size=1, max_size=4)


SETTINGS = st.one_of(
    st.builds(
        Settings,
        transcribe=st.booleans(),
        modality=st.sampled_from(["audio", "text"]),
        filler=st.sampled_from([None, Filler(after_ms=500)]),
        paced=st.sampled_from([True, True, False]),
        turn_detection=st.builds(
            detection,
            silence_ms=st.sampled_from([0, 200, 500]),
            interrupt=st.booleans(),
            create=st.booleans(),
        ),
    ),
    st.just(Settings(turn_detection=None)),
)

Act = Callable[[Play, Conversation], None]


def truncate(play: Play, conversation: Conversation) -> None:
    for started in play.seen.of(OutputStarted)[-1:]:
        conversation.truncate_item(started.item.id, 300)


ACTS: list[Act] = [
    lambda _, c: c.commit(),
    lambda _, c: c.clear_input(),
    lambda _, c: c.respond(ResponseRequest()),
    lambda _, c: c.respond(ResponseRequest(aside=True)),
    lambda _, c: c.cancel_response(None),
    lambda _, c: c.add_item(MessageItem("item_1", "user", (TextPart("And?"),)), None),
    lambda _, c: c.delete_item("item_1"),
    lambda _, c: c.configure(Settings(turn_detection=None)),
    lambda _, c: c.configure(Settings(turn_detection=detection(silence_ms=300))),
    truncate,
]

MOMENTS_S = st.integers(0, 500).map(lambda hundredths: hundredths / 100)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    voice=st.lists(st.tuples(MOMENTS_S, st.sampled_from([0.05, 0.2, 0.7, 1.5])), max_size=4),
    acts=st.lists(st.tuples(MOMENTS_S, st.sampled_from(ACTS)), max_size=8),
    busy=st.lists(st.tuples(MOMENTS_S, st.sampled_from([0.1, 1.0])), max_size=3),
    asr=lines("asr", "what time is it now"),
    llm=lines("llm", "It is half past nine. And it rains, as it did yesterday."),
    tts=lines("tts", "-"),
    session=SETTINGS,
)
def test_any_play_keeps_the_promises_and_leaves_nothing_behind(
    voice: list[tuple[float, float]],
    acts: list[tuple[float, Act]],
    busy: list[tuple[float, float]],
    asr: list[Line],
    llm: list[Line],
    tts: list[Line],
    session: Settings,
) -> None:
    """Somebody else on the same machine, which has one place, is `busy` at times."""
    workload = Workload(places=1)
    play = Play(asr=asr, llm=llm, tts=tts, settings=session, tuning=TUNING, repeat=True, workload=workload)
    for time_s, length_s in busy:
        other = Work(workload)
        play.at(time_s, lambda _, other=other: other.begin())  # type: ignore[misc]
        play.at(time_s + length_s, lambda _, other=other: other.end())  # type: ignore[misc]
    for start_s, length_s in voice:
        play.user_speaks(start_s, start_s + length_s)
    for time_s, act in acts:
        play.at(time_s, lambda conversation, act=act: _allowed_to_fail(act, play, conversation))  # type: ignore[misc]
    play.lines_may_be_left().run(until_s=7.0)
    assert workload.has_room(Need.READ_AHEAD)


def _allowed_to_fail(act: Act, play: Play, conversation: Conversation) -> None:
    with contextlib.suppress(ClientError):
        act(play, conversation)
