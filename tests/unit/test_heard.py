import pytest

from conversation.errors import ClientError
from conversation.heard import SpokenClause, heard_text
from conversation.history import History
from conversation.items import AudioPart, MessageItem, TextPart
from conversation.prompt import messages
from conversation.stages import Word

HZ = 1000


def clause(text: str, seconds: float, *, complete: bool = True) -> SpokenClause:
    return SpokenClause(text, round(seconds * HZ), complete)


TWO = [clause("One two three,", 1.4), clause(" four five six.", 1.5)]


@pytest.mark.parametrize(
    ("played_s", "heard"),
    [
        (0.0, ""),
        (0.3, "One"),
        (0.55, "One two"),
        (1.4, "One two three,"),
        (1.7, "One two three, four"),
        (2.9, "One two three, four five six."),
        (9.9, "One two three, four five six."),
    ],
)
def test_words_are_heard_as_their_sound_is_played(played_s: float, heard: str) -> None:
    assert heard_text(TWO, round(played_s * HZ), HZ) == heard


def test_of_a_clause_still_being_spoken_only_what_was_sent_can_be_heard() -> None:
    """0.65 s is ten characters of typical speech."""
    spoken = [clause("One two three four five six", 0.65, complete=False)]
    assert heard_text(spoken, 99 * HZ, HZ) == "One two"


def test_chinese_is_heard_character_by_character() -> None:
    assert heard_text([clause("今天天气很好", 0.6)], 300, HZ) == "今天天"


def test_a_chinese_character_takes_as_long_as_three_letters() -> None:
    """30 letters in 3.3 s: 110 ms each, so the Chinese before "Python" takes 1.3 s."""
    mixed = [clause("我喜欢用Python写小程序", 3.3)]
    assert heard_text(mixed, 1200, HZ) == "我喜欢用"
    assert heard_text(mixed, 1800, HZ) == "我喜欢用Python"


def test_of_a_chinese_clause_still_being_spoken_little_was_heard() -> None:
    """0.4 s is two characters of typical speech, however little was sent yet."""
    assert heard_text([clause("今天天气很好我们出去吧", 0.4, complete=False)], 99 * HZ, HZ) == "今天"


def timed(text: str, *ends_s: float, samples: int = 3000, complete: bool = False) -> SpokenClause:
    """Its words one after another, as far as their ends are known."""
    starts_s = (0.0, *ends_s)
    times = [Word("", start_s, end_s) for start_s, end_s in zip(starts_s, ends_s, strict=False)]
    return SpokenClause(text, samples, complete, times)


@pytest.mark.parametrize(
    ("played_s", "heard"),
    [
        (0.0, ""),
        (0.9, ""),
        (1.1, "Well,"),
        (2.04, "Well,"),
        (2.06, "Well, I"),
        (2.3, "Well, I"),
        (2.5, "Well, I think"),
    ],
)
def test_where_the_voice_tells_the_times_of_its_words_they_count(played_s: float, heard: str) -> None:
    """The voice dwells on the first word; by letters, 0.9 s of these 3 would be "Well, I"."""
    assert heard_text([timed("Well, I think so.", 2.0, 2.1, 2.7, 3.0)], round(played_s * HZ), HZ) == heard


def test_words_whose_times_are_yet_to_come_were_not_heard() -> None:
    assert heard_text([timed("One two. Three four.", 0.4, 0.8)], 99 * HZ, HZ) == "One two."


def test_a_word_without_sound_is_heard_with_the_one_before_it() -> None:
    spoken = [timed("Wait — no.", 0.5, 0.5, 1.0)]
    assert heard_text(spoken, 499, HZ) == "Wait"
    assert heard_text(spoken, 501, HZ) == "Wait —"
    assert heard_text([timed("— no.", 0.0, 0.5)], 0, HZ) == ""


def test_times_count_from_the_beginning_of_their_own_clause() -> None:
    spoken = [clause("One two three,", 1.4), timed(" four five.", 1.0, 1.5, samples=1600)]
    assert heard_text(spoken, 1400 + 490, HZ) == "One two three,"
    assert heard_text(spoken, 1400 + 510, HZ) == "One two three, four"


def test_a_clause_that_was_heard_to_its_end_was_heard_whole() -> None:
    assert heard_text([timed("One two. ", 0.4, 9.9, complete=True)], 3000, HZ) == "One two. "


def assistant(item_id: str, text: str = "") -> MessageItem:
    return MessageItem(item_id, "assistant", (AudioPart(text),), "completed")


def speak(history: History) -> None:
    begun = MessageItem("b", "assistant", status="in_progress")
    history.add(begun)
    history.finish(begun, assistant("b", "One two three, four five six."), TWO)


def test_an_item_made_under_the_id_of_a_deleted_one_is_left_alone() -> None:
    history = History(HZ)
    begun = MessageItem("b", "assistant", status="in_progress")
    history.add(begun)
    history.delete("b")
    history.add(MessageItem("b", "user", (TextPart("Mine"),)))

    history.finish(begun, assistant("b", "Yours"), TWO)

    assert history.item("b") == MessageItem("b", "user", (TextPart("Mine"),))
    assert not history.is_speech("b")


def test_the_model_is_shown_what_was_heard_and_that_it_broke_off() -> None:
    history = History(HZ)
    history.add(MessageItem("a", "user", (TextPart("Count!"),)))
    speak(history)

    history.cut("b", 1700)

    assert [(m.role, m.text) for m in messages(history.items())] == [
        ("user", "Count!"),
        ("assistant", "One two three, four —"),
    ]


def test_whoever_knows_better_may_say_so_again() -> None:
    history = History(HZ)
    speak(history)

    history.cut("b", 300)
    assert history.cut("b", 1400) == 1400

    assert [message.text for message in messages(history.items())] == ["One two three, —"]


def test_more_than_was_sent_is_all_of_it() -> None:
    history = History(HZ)
    speak(history)

    assert history.cut("b", 99_000) == 2900
    assert history.item("b").status == "completed"


def test_an_answer_of_which_nothing_was_heard_was_never_given() -> None:
    history = History(HZ)
    speak(history)

    history.cut("b", 0)

    assert messages(history.items()) == []


def test_items_stand_where_they_were_put() -> None:
    history = History(HZ)
    assert history.add(assistant("b")) is None
    assert history.add(assistant("d")) == "b"
    assert history.add(assistant("c"), after="b") == "b"
    assert history.add(assistant("a"), after="root") is None
    assert [history.before(item_id) for item_id in "abcd"] == [None, "a", "b", "c"]


def test_an_id_can_be_used_again_after_its_item_was_deleted() -> None:
    history = History(HZ)
    history.add(assistant("a"))
    history.delete("a")
    history.add(assistant("a"))


def test_an_id_cannot_be_used_twice() -> None:
    history = History(HZ)
    history.add(assistant("a"))
    with pytest.raises(ClientError, match="already exists"):
        history.add(assistant("a"))


def test_only_speech_of_the_agent_can_be_cut() -> None:
    history = History(HZ)
    history.add(MessageItem("a", "user", (TextPart("Hi"),)))
    with pytest.raises(ClientError, match="Only model output audio"):
        history.cut("a", 10)
