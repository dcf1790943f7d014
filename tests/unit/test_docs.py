"""The documentation against the code."""

from docs.diagrams import outdated


def test_the_diagrams_are_drawn_from_the_code_as_it_is() -> None:
    assert outdated() == [], "run python -m docs.diagrams"
