from collections.abc import Sequence
from itertools import pairwise

from conversation.events import ResponseStarted
from conversation.settings import Settings, Tuning
from conversation.stages import Message
from tests.scenarios.screenplay import Play, detection


def texts(prompts: Sequence[Sequence[Message]]) -> list[list[str]]:
    return [[message.text for message in prompt] for prompt in prompts]


def test_the_language_model_reads_along_while_the_user_speaks() -> None:
    play = Play(
        asr=["what time is it in Paris"], llm=["It is noon."], settings=Settings(instructions="Be kind.")
    )

    play.user_speaks(1.0, 2.8).run(until_s=6.0)

    read = texts(play.llm.read_ahead)
    assert read[0] == ["Be kind."]  # at the onset
    assert read[-1][-1].startswith("what time is")
    assert all(later[-1].startswith(earlier[-1]) for earlier, later in pairwise(read[1:]))
    assert texts(play.llm.asked) == [["Be kind.", "what time is it in Paris"]]


def test_the_second_turn_is_read_with_the_first_before_it() -> None:
    play = Play(asr=["what time is it", "thank you very much"], llm=["It is noon.", "You are welcome."])

    play.user_speaks(1.0, 2.2).user_speaks(5.0, 6.2).run(until_s=10.0)

    assert ["", "what time is it", "It is noon."] in texts(play.llm.read_ahead)


def test_nothing_is_read_ahead_where_nothing_will_be_answered() -> None:
    play = Play(asr=["what time is it"], settings=Settings(turn_detection=detection(create=False)))

    seen = play.user_speaks(1.0, 2.2).run(until_s=4.0)

    assert not seen.of(ResponseStarted)
    assert play.llm.read_ahead == []


def test_reading_ahead_can_be_switched_off() -> None:
    play = Play(asr=["what time is it"], llm=["It is noon."], tuning=Tuning(read_ahead=False))

    play.user_speaks(1.0, 2.2).run(until_s=6.0)

    assert play.llm.read_ahead == []
