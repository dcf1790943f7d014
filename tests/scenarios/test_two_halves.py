from conversation.events import InputCommitted, ResponseStarted, SpeechStarted
from conversation.scripted import Line
from tests.scenarios.screenplay import Play

QUESTION = "what time is it in the city of Paris"


def test_a_question_in_two_halves_is_one_question() -> None:
    """The pause of 400 ms is long enough to prepare an answer, too short to end the turn."""
    play = Play(asr=[QUESTION], llm=["Where do you mean?", "It is noon."])

    seen = play.user_speaks(1.0, 2.2).user_speaks(2.6, 4.1).run(until_s=8.0)

    assert seen.understood == [QUESTION]
    assert seen.said == "It is noon."
    assert len(seen.of(SpeechStarted)) == len(seen.of(InputCommitted)) == len(seen.of(ResponseStarted)) == 1
    assert [prompt[-1].text for prompt in play.llm.asked] == ["what time is it", QUESTION]


def test_what_was_prepared_for_the_first_half_is_cancelled() -> None:
    play = Play(asr=[QUESTION], llm=[Line("Where", hangs=True), "It is noon."])

    seen = play.user_speaks(1.0, 2.2).user_speaks(2.6, 4.1).run(until_s=8.0)

    assert seen.ends == [("completed", None)]


def test_three_pauses_are_three_chances() -> None:
    play = Play(asr=[QUESTION], llm=["a", "b", "c"])

    seen = play.user_speaks(1.0, 1.9).user_speaks(2.2, 3.1).user_speaks(3.4, 4.3).run(until_s=8.0)

    assert seen.said == "c"
    assert len(seen.of(ResponseStarted)) == 1


def test_two_halves_with_a_turns_length_between_them_are_two_turns() -> None:
    """The second half interrupts the answer to the first, and is answered knowing both."""
    play = Play(asr=["what time is it", "in Paris I mean"], llm=["It is noon where I am.", "It is one."])

    seen = play.user_speaks(1.0, 2.2).user_speaks(3.0, 4.2).run(until_s=8.0)

    assert seen.ends == [("cancelled", "turn_detected"), ("completed", None)]
    spoken = [(message.role, message.text) for message in play.llm.asked[1]]
    assert spoken[1] == ("user", "what time is it")
    assert spoken[-1] == ("user", "in Paris I mean")


def test_a_transcript_still_under_way_at_the_resumption_is_asked_for_again() -> None:
    """Recognition of the first half takes longer than the pause."""
    play = Play(asr=[Line(QUESTION, first_s=0.3)], llm=["It is noon."])

    seen = play.user_speaks(1.0, 2.2).user_speaks(2.5, 4.0).run(until_s=8.0)

    assert seen.understood == [QUESTION]
    assert seen.said == "It is noon."
