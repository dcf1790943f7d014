from conversation.events import OutputAudio, ResponseStarted, SpeechStarted, SpeechStopped, TurnTimed
from conversation.scripted import Line
from conversation.settings import HintSettings, Settings, Tuning
from conversation.stages import Hints
from tests.scenarios.screenplay import Play, detection


def test_a_question_is_answered() -> None:
    play = Play(asr=["what time is it"], llm=["It is noon."]).user_speaks(1.0, 2.2)

    seen = play.run(until_s=6.0)

    assert seen.understood == ["what time is it"]
    assert seen.said == "It is noon."
    assert seen.ends == [("completed", None)]
    assert seen.kinds == [
        "SpeechStarted",
        "TranscriptionDelta",
        "SpeechStopped",
        "InputCommitted",
        "ItemAdded",
        "TranscriptionDelta",
        "TranscriptionCompleted",
        "ResponseStarted",
        "OutputStarted",
        "OutputText",
        "OutputAudio",
        "TurnTimed",
        "OutputDone",
        "ResponseDone",
    ]
    assert [message.role for message in play.llm.asked[0]] == ["system", "user"]


def test_speech_is_timed_in_audio_received() -> None:
    seen = Play(asr=["what time is it"], llm=["It is noon."]).user_speaks(1.0, 2.2).run(until_s=6.0)

    [started], [stopped] = seen.of(SpeechStarted), seen.of(SpeechStopped)
    assert abs(started.audio_start_ms - 700) <= 32  # 300 ms of padding before the onset
    assert abs(stopped.audio_end_ms - 2700) <= 64  # 500 ms of silence after the end


def test_the_recogniser_is_told_the_session_s_hints() -> None:
    hints = HintSettings(language="en", words=("Antiphon",))
    play = Play(asr=["what time is it"], llm=["It is noon."], settings=Settings(hints=hints))
    play.user_speaks(1.0, 2.2).run(until_s=6.0)
    assert play.asr.hints == {Hints("en", ("Antiphon",))}


def test_the_answer_is_computed_during_the_silence_and_heard_when_the_turn_is_over() -> None:
    """Language model and voice take 250 ms; the answer still starts with the silence rule."""
    play = Play(asr=["what time is it"], llm=[Line("It is noon.", first_s=0.15)], tts=[Line(first_s=0.1)])

    seen = play.user_speaks(1.0, 2.2).run(until_s=6.0)

    assert seen.times_s(OutputAudio)[0] == seen.times_s(SpeechStopped)[0]
    [timed] = seen.of(TurnTimed)
    assert timed.timing.llm_first_ms is not None
    assert timed.timing.released_ms is not None
    assert timed.timing.llm_first_ms < timed.timing.released_ms <= 600


def test_without_speculation_nothing_is_computed_before_the_turn_is_over() -> None:
    play = Play(
        asr=["what time is it"],
        llm=[Line("It is noon.", first_s=0.15)],
        tts=[Line(first_s=0.1)],
        tuning=Tuning(speculate=False),
    )

    seen = play.user_speaks(1.0, 2.2).run(until_s=6.0)

    delay_s = seen.times_s(OutputAudio)[0] - seen.times_s(SpeechStopped)[0]
    assert abs(delay_s - 0.25) < 0.001


def test_speech_is_sent_no_further_ahead_than_it_is_played() -> None:
    play = Play(asr=["tell me a story"], llm=["This is a rather long story that takes a while to tell."])

    seen = play.user_speaks(1.0, 2.2).run(until_s=10.0)

    sent_s, first_s = 0.0, seen.times_s(OutputAudio)[0]
    for time_s, event in seen.events:
        if isinstance(event, OutputAudio):
            sent_s += event.audio.duration_s
            assert sent_s - (time_s - first_s) <= 0.3 + 0.04 + 1e-6
    assert abs(seen.audio_s() - len(seen.said) * 0.06) < 0.1


def test_a_long_answer_is_spoken_clause_by_clause() -> None:
    play = Play(asr=["tell me a story"], llm=["First this. Then that. And so on"])

    seen = play.user_speaks(1.0, 2.2).run(until_s=10.0)

    assert play.tts.said == ["First this.", "Then that.", "And so on"]
    assert seen.said == "First this. Then that. And so on"


def test_two_turns_share_a_history() -> None:
    play = Play(asr=["what time is it", "thank you very much"], llm=["It is noon.", "You are welcome."])

    play.user_speaks(1.0, 2.2).user_speaks(5.0, 6.2).run(until_s=10.0)

    assert [(message.role, message.text) for message in play.llm.asked[1]][1:] == [
        ("user", "what time is it"),
        ("assistant", "It is noon."),
        ("user", "thank you very much"),
    ]


def test_a_sound_without_words_is_not_answered() -> None:
    seen = Play(asr=[""]).user_speaks(1.0, 1.3).run(until_s=4.0)

    assert seen.understood == [""]
    assert not seen.of(ResponseStarted)


def test_a_written_answer_has_no_sound() -> None:
    play = Play(
        asr=["what time is it"], llm=["It is noon."], settings=Settings(modality="text", transcribe=True)
    )

    seen = play.user_speaks(1.0, 2.2).run(until_s=4.0)

    assert seen.said == "It is noon."
    assert not seen.of(OutputAudio)
    assert seen.ends == [("completed", None)]


def test_an_answer_that_reaches_its_limit_is_incomplete() -> None:
    play = Play(asr=["count for me now"], llm=["One, two, three."], settings=Settings(max_output_tokens=2))

    seen = play.user_speaks(1.0, 2.2).run(until_s=6.0)

    assert seen.said == "One, two,"
    assert seen.ends == [("incomplete", "max_output_tokens")]


def test_with_create_response_off_the_user_is_only_understood() -> None:
    play = Play(
        asr=["what time is it"], settings=Settings(transcribe=True, turn_detection=detection(create=False))
    )

    seen = play.user_speaks(1.0, 2.2).run(until_s=4.0)

    assert seen.understood == ["what time is it"]
    assert not seen.of(ResponseStarted)
