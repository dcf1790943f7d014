import pytest

from conversation.conversation import Conversation
from conversation.errors import ClientError, StageFailed, StageLost
from conversation.events import InputCommitted, OutputDone, ResponseDone, TranscriptionFailed
from conversation.scripted import Line
from conversation.settings import Deadlines, ResponseRequest, Settings, Tuning
from tests.scenarios.screenplay import Play, Seen

STORY = "Once upon a time there was a little dog. It lived in a big house by the sea."
IMPATIENT = Tuning(
    deadlines=Deadlines(vad_s=0.5, asr_s=1, llm_first_s=1, llm_next_s=1, tts_first_s=1, tts_next_s=1)
)


def failure(seen: Seen) -> tuple[str, str]:
    response = seen.of(ResponseDone)[0].response
    assert response.status == "failed"
    assert response.failure is not None
    return response.failure.code, response.failure.message


LOST = StageLost("llm", "the replica died")


@pytest.mark.parametrize(
    ("asr", "llm", "tts", "expected"),
    [
        ([Line(raises=StageFailed("asr", "deaf"))], [], [], ("asr_failed", "asr: deaf")),
        ([Line(hangs=True)], [], [], ("asr_failed", "asr: no transcript within 1 s")),
        (["tell me a story"], [Line(raises=LOST)], [], ("llm_failed", "llm: the replica died")),
        (["tell me a story"], [Line(hangs=True)], [], ("llm_failed", "llm: nothing came for 1 s")),
        (["tell me a story"], [Line("")], [], ("llm_failed", "llm: ended without a word")),
        (
            ["tell me a story"],
            [STORY],
            [Line(first_s=5)],
            ("tts_failed", "tts: nothing came for 1 s"),
        ),
        (
            ["tell me a story"],
            [STORY],
            [Line(), Line(raises=StageFailed("tts", "hoarse"))],
            ("tts_failed", "tts: hoarse"),
        ),
    ],
)
def test_a_stage_in_trouble_ends_the_turn_and_the_next_turn_is_well(
    asr: list[Line], llm: list[Line], tts: list[Line], expected: tuple[str, str]
) -> None:
    well = [Line()] if tts else []
    play = Play(
        asr=[*asr, "try that once more"], llm=[*llm, "Here I am."], tts=[*tts, *well], tuning=IMPATIENT
    )

    seen = play.user_speaks(1.0, 2.2).user_speaks(9.0, 10.2).run(until_s=14.0)

    assert failure(seen) == expected
    assert [response.response.status for response in seen.of(ResponseDone)] == ["failed", "completed"]
    assert seen.said.endswith("Here I am.")


def test_a_voice_that_gives_nothing_is_a_failure() -> None:
    play = Play(asr=["tell me a story"], llm=["Dog."], tts=[Line(raises=StageFailed("tts", "no"))])
    play.tts.CHUNK_S = 99.0

    seen = play.user_speaks(1.0, 2.2).run(until_s=5.0)

    assert failure(seen)[0] == "tts_failed"


def test_a_language_model_that_dies_in_mid_sentence_ends_the_response_with_what_was_said() -> None:
    play = Play(
        asr=["tell me a story"], llm=[Line(STORY + " And then", each_s=0.2, raises=LOST)], tuning=IMPATIENT
    )

    seen = play.user_speaks(1.0, 2.2).run(until_s=12.0)

    assert failure(seen) == ("llm_failed", "llm: the replica died")
    [response] = [done.response for done in seen.of(ResponseDone)]
    assert [item.id for item in response.output] == [done.item.id for done in seen.of(OutputDone)]
    assert seen.tells_of_items() == [seen.said]


def test_what_could_not_be_understood_is_told() -> None:
    play = Play(asr=[Line(raises=StageFailed("asr", "deaf"))])

    seen = play.user_speaks(1.0, 2.2).run(until_s=4.0)

    [failed] = seen.of(TranscriptionFailed)
    assert failed.message == "asr: deaf"


def test_trouble_in_prepared_work_is_not_told_when_the_user_goes_on() -> None:
    play = Play(asr=["tell me a story please"], llm=[Line(raises=LOST), "Once."])

    seen = play.user_speaks(1.0, 2.2).user_speaks(2.6, 2.9).run(until_s=6.0)

    assert seen.ends == [("completed", None)]


def test_a_deaf_moment_of_the_vad_passes() -> None:
    """It fails twice and hangs once; then the user is heard as if nothing had happened."""
    vad = [Line(raises=StageLost("vad", "died")), Line(raises=StageLost("vad", "died")), Line(hangs=True)]
    play = Play(asr=["what time is it"], llm=["It is noon."], vad=vad, tuning=IMPATIENT)

    seen = play.user_speaks(1.0, 2.2).run(until_s=6.0)

    assert seen.ends == [("completed", None)]


def test_a_client_that_goes_mute_has_ended_its_turn() -> None:
    """Its user speaks from 1.0 s; from 2.2 s on the client sends nothing at all."""
    play = Play(asr=["what time is it"], llm=["It is noon."]).user_speaks(1.0, 9.0)

    seen = play.client_sends_nothing(2.2, 10.0).run(until_s=10.0)

    assert seen.times_s(InputCommitted) == [pytest.approx(4.2, abs=0.05)]
    assert seen.ends == [("completed", None)]


def test_a_client_that_goes_mute_in_silence_is_waited_for() -> None:
    play = Play(asr=["what time is it"], llm=["It is noon."]).client_sends_nothing(0.5, 30.0)

    seen = play.user_speaks(31.0, 32.2).run(until_s=36.0)

    assert seen.ends == [("completed", None)]


@pytest.mark.parametrize("hang_up_s", [0.01 * moment for moment in range(0, 640, 7)])
def test_hang_up_at_any_moment_leaves_nothing_behind(hang_up_s: float) -> None:
    """Across listening, the pause, preparing, thinking, speaking, an interruption, and after it."""
    play = Play(
        asr=[Line("tell me a story", first_s=0.1), "stop that right now"],
        llm=[Line(STORY, first_s=0.2, each_s=0.02), Line("Alright.", first_s=0.2)],
        tts=[Line(first_s=0.1, each_s=0.05)] * 4,
    )

    play.user_speaks(1.0, 2.2).user_speaks(4.0, 5.0).lines_may_be_left().run(until_s=hang_up_s)


def refused(conversation: Conversation, act: str, *arguments: object) -> ClientError:
    with pytest.raises(ClientError) as refusal:
        getattr(conversation, act)(*arguments)
    return refusal.value


def test_what_cannot_be_done_is_refused_by_its_code() -> None:
    codes: list[str | None] = []

    def in_silence(conversation: Conversation) -> None:
        codes.append(refused(conversation, "cancel_response", None).code)
        codes.append(refused(conversation, "commit").code)
        codes.append(refused(conversation, "item", "x").code)
        codes.append(refused(conversation, "delete_item", "x").code)
        codes.append(refused(conversation, "truncate_item", "x", 5).code)

    def while_speaking(conversation: Conversation) -> None:
        codes.append(refused(conversation, "respond", ResponseRequest()).code)
        codes.append(refused(conversation, "cancel_response", "resp_other").code)

    play = Play(asr=["tell me a story"], llm=[STORY]).user_speaks(1.0, 2.2)
    play.at(0.0, in_silence).at(3.5, while_speaking).run(until_s=9.0)

    assert codes == [
        "response_cancel_not_active",
        "input_audio_buffer_commit_empty",
        "item_retrieve_invalid_item_id",
        "item_delete_invalid_item_id",
        "item_truncate_invalid_item_id",
        "conversation_already_has_active_response",
        "response_cancel_not_active",
    ]


def push_to_talk() -> Settings:
    return Settings(transcribe=True, turn_detection=None)


def test_push_to_talk_is_committed_and_answered_by_hand() -> None:
    play = Play(asr=["what time is it"], llm=["It is noon."], settings=push_to_talk())

    play.user_speaks(1.0, 2.2).at(2.5, lambda c: c.commit())
    seen = play.at(2.6, lambda c: c.respond(ResponseRequest())).run(until_s=5.0)

    assert seen.understood == ["what time is it"]
    assert seen.said == "It is noon."
    assert "SpeechStarted" not in seen.kinds


def test_what_was_pushed_can_be_dropped() -> None:
    play = Play(asr=["never mind that now", "what time is it"], settings=push_to_talk())

    play.user_speaks(0.5, 1.7).at(2.0, lambda c: c.clear_input())
    seen = play.user_speaks(2.5, 3.7).at(4.0, lambda c: c.commit()).run(until_s=5.0)

    assert seen.understood == ["what time is it"]


def test_a_turn_committed_by_hand_while_the_vad_listens_ends_at_once() -> None:
    play = Play(asr=["what time is it"])

    seen = play.user_speaks(1.0, 2.2).at(2.25, lambda c: c.commit()).run(until_s=5.0)

    assert seen.times_s(InputCommitted) == [2.25]
    assert not seen.of(ResponseDone)
    assert seen.understood == ["what time is it"]
