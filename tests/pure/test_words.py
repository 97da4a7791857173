"""One grammar for every mouth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import words
from bot.ports import Rejected


@pytest.mark.parametrize(
    ("said", "verb", "rest"),
    [
        ("ack 42", "ack", "42"),
        ("  /Ack   42 ", "ack", "42"),
        ("help", "help", ""),
        ("note 42 it is the  cache", "note", "42 it is the  cache"),
        ("", "", ""),
    ],
)
def test_words_are_a_verb_and_a_rest(said: str, verb: str, rest: str) -> None:
    assert words.split(said) == (verb, rest)


@pytest.mark.parametrize(
    ("rest", "here", "number", "left"),
    [("42", None, 42, ""), ("#42 text", None, 42, "text"), ("", 7, 7, ""), ("it is 3 am", 7, 7, "it is 3 am")],
)
def test_a_target_is_a_number_or_where_it_was_said(rest: str, here: int | None, number: int, left: str) -> None:
    assert words.target(rest, here, "ack <incident>") == (number, left)


@pytest.mark.parametrize("rest", ["-1", "1e9", "1.5", "0x10", "٣", "9" * 30, "api", "1,2"])
def test_what_is_no_number_is_refused_with_the_usage(rest: str) -> None:
    with pytest.raises(Rejected, match=r"Nothing was done\. Usage: ack <incident>"):
        words.target(rest, None, "ack <incident>")


@given(st.text(), st.integers(1, 9))
def test_inside_a_thread_any_words_have_a_target(said: str, here: int) -> None:
    number, _ = words.target(words.split(said)[1], here, "ack <incident>")

    assert number >= 0


def test_a_near_miss_names_the_nearest_command() -> None:
    assert words.unknown("resovle", ["ack", "resolve"]).said.startswith("No command 'resovle'. Did you mean `resolve`?")
