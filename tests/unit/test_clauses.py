import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation.clauses import LONGEST_CLAUSE, LONGEST_FIRST_CLAUSE, Clauses


def split(text: str, *, piece: int = 1) -> list[str]:
    """The clauses of a text that arrives `piece` characters at a time."""
    clauses = Clauses()
    found = [
        clause for start in range(0, len(text), piece) for clause in clauses.feed(text[start : start + piece])
    ]
    return [clause for clause in [*found, clauses.rest()] if clause]


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("Yes. It is noon.", ["Yes.", " It is noon."]),
        ("Really?! I had no idea!", ["Really?!", " I had no idea!"]),
        ("It costs 3.14 dollars. Cheap.", ["It costs 3.14 dollars.", " Cheap."]),
        ("At 10:30, maybe 1,000 came.", ["At 10:30, maybe 1,000 came."]),
        ("Dr. Smith met Mr. J. S. Bach. They sang.", ["Dr. Smith met Mr. J. S. Bach.", " They sang."]),
        ("Bring fruit, e.g. apples. Thanks.", ["Bring fruit, e.g. apples.", " Thanks."]),
        ("So do I. And you?", ["So do I.", " And you?"]),
        ('He said "Stop." Then he left.', ['He said "Stop."', " Then he left."]),
        ("See example.com for more.", ["See example.com for more."]),
        ("Certainly, here it comes.", ["Certainly, here it comes."]),
        ("The first clause, which ends early.", ["The first clause,", " which ends early."]),
        ("1. Open the door. 2. Go in.", ["1. Open the door.", " 2. Go in."]),
        ("今天天气很好，我们出去吧。好吗？", ["今天天气很好，", "我们出去吧。", "好吗？"]),
        ("嗯，好，那我们明天见。", ["嗯，好，那我们明天见。"]),
        ("最高气温25.5℃，适合出门。", ["最高气温25.5℃，", "适合出门。"]),
        ("明天下午3:30，我们在Zoom上见。", ["明天下午3:30，", "我们在Zoom上见。"]),
        ("我用Python 3.11，你呢？", ["我用Python 3.11，", "你呢？"]),
        ("我喜欢DeepSeek,因为它很快.你呢?好.", ["我喜欢DeepSeek,", "因为它很快.", "你呢?", "好."]),
        ("我不知道……你说呢？", ["我不知道……", "你说呢？"]),
        ("1.打开冰箱。2.关上冰箱。", ["1.打开冰箱。", "2.关上冰箱。"]),
        ("首先，打开“设置”；其次，选网络。", ["首先，打开“设置”；", "其次，选网络。"]),
        ("One\nTwo", ["One\n", "Two"]),
        ("... well. Fine.", ["... well.", " Fine."]),
        ("", []),
    ],
)
def test_clauses_end_where_a_voice_may_pause(text: str, clauses: list[str]) -> None:
    assert split(text) == clauses


def test_a_closing_quote_stays_with_its_clause_when_it_has_come() -> None:
    assert split("他说：“不行！”然后走了。", piece=99) == ["他说：", "“不行！”", "然后走了。"]


def test_a_wide_full_stop_does_not_wait_for_what_follows() -> None:
    assert Clauses().feed("好的。") == ["好的。"]


def test_a_later_clause_ends_at_a_comma_only_when_it_is_long() -> None:
    later = " This one, however, is a good deal longer and goes on for a while, before it ends."
    assert split("First." + later) == [
        "First.",
        " This one, however, is a good deal longer and goes on for a while,",
        " before it ends.",
    ]


def test_the_first_clause_ends_before_a_conjunction_so_that_it_is_heard_early() -> None:
    text = "The best is never what you have but how much it means and that is it."
    assert split(text) == [
        "The best is never what you have",
        " but how much it means and that is it.",
    ]


def test_a_clause_is_not_cut_after_a_word_that_leans_on_the_next() -> None:
    clauses = split("The answer to this question requires a simple explanation of it.")
    assert clauses[0] == "The answer to this question requires "


def test_a_text_of_nothing_but_leaning_words_is_cut_all_the_same() -> None:
    assert len(split("of the " * 20)[0]) <= LONGEST_FIRST_CLAUSE + 1


def test_a_text_without_punctuation_is_cut_between_words() -> None:
    first, *clauses = split("word " * 100)
    assert len(first) <= LONGEST_FIRST_CLAUSE + 1
    assert all(len(clause) <= LONGEST_CLAUSE + 1 for clause in clauses)
    assert all(clause.endswith("word ") for clause in clauses)


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("我们明天去公园因为天气很好。", ["我们明天去公园", "因为天气很好。"]),
        ("我们去因为天气很好。", ["我们去因为天气很好。"]),
        ("他们自己就可以及时完成。", ["他们自己就可以及时完成。"]),
        ("我们想要喝的比如果汁和牛奶。", ["我们想要喝的比如果汁和牛奶。"]),
        ("事情已经这样了既然后面没有人。", ["事情已经这样了既然后面没有人。"]),
    ],
)
def test_the_first_chinese_clause_ends_before_a_conjunction(text: str, clauses: list[str]) -> None:
    assert split(text) == clauses


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("关于这个问题我觉得首先应该考虑用户的实际需求和市场情况。", "关于这个问题我觉得首先应该考虑用户的"),
        ("我昨天在北京的一家书店里买到了一本讲历史和文化的书。", "我昨天在北京的一家书店里买到了"),
        ("只要大家都同意你说的话我们就可以马上开始讨论下一个问题的细节。", None),
        ("要学会先去了解别人心里怎么想才能把事情做好。", None),
    ],
)
def test_a_long_first_chinese_clause_is_cut_after_a_particle(text: str, first: str | None) -> None:
    """None: nowhere within the first 15 characters does a word surely end."""
    clauses = split(text)
    assert clauses[0] == first if first else len(clauses[0]) > LONGEST_FIRST_CLAUSE // 3


def test_chinese_without_punctuation_is_cut_before_it_takes_too_long_to_say() -> None:
    clauses = split("今天我们一起去爬山" * 60)
    assert all(len(clause) <= LONGEST_CLAUSE // 3 for clause in clauses)


def test_one_long_sentence_does_not_hold_up_those_after_it() -> None:
    long = "今天我们一起去爬山" * 3 + "。"
    assert split(long + "好吗？") == [long, "好吗？"]


_TEXT = st.text(alphabet=st.sampled_from("abI .,!?;:…'\"”)\n0 9。，！？、“”中文的了因为 \t"), max_size=400)


@given(_TEXT, st.integers(1, 40))
def test_nothing_is_lost_or_changed(text: str, piece: int) -> None:
    assert "".join(split(text, piece=piece)) == text


@given(st.text(max_size=2000))
def test_no_clause_is_longer_than_a_voice_takes(text: str) -> None:
    assert all(len(clause) <= 500 for clause in split(text, piece=50))
