"""One syntax of words and quotes for every channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bot.chatops import parser
from bot.chatops.arguments import IncidentNumber
from bot.chatops.tokens import unknown_verb
from bot.core.errors import Rejected
from bot.core.request import split_verb
from bot.lib import text as words
from commands.note import NoteArgs as Noted

USAGE = "ack <incident>"


@dataclass(frozen=True, kw_only=True)
class Target:
    incident: Annotated[int, IncidentNumber()]


def target(rest: str, here: int | None, usage: str) -> int:
    return parser.parse(Target, rest, here, usage).incident


def target_and_text(rest: str, here: int | None, usage: str) -> tuple[int, str]:
    read = parser.parse(Noted, rest, here, usage)
    return read.incident, read.text


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
    assert split_verb(said) == (verb, rest)


@pytest.mark.parametrize(
    ("rest", "here", "number"),
    [("42", None, 42), ("#42", None, 42), ("", 7, 7), ("7", 7, 7), ("3", 7, 3), ("#3", 7, 3)],
)
def test_a_target_is_a_number_or_where_it_was_said(rest: str, here: int | None, number: int) -> None:
    assert target(rest, here, USAGE) == number


@pytest.mark.parametrize(
    ("rest", "here", "named"),
    [
        ("is not possible yet, wait", 42, "'is not possible yet, wait'"),
        ("it", 42, "'it'"),
        ("7 8", None, "'8' after"),
        ("7 8", 42, "'8' after"),
        ("7 please", None, "'please' after"),
        ("#7, 8", 42, "'#7, 8'"),
        ("3 pods " + "x" * 500, 42, f"'pods {'x' * 35}...' after"),
    ],
)
def test_what_follows_the_target_is_refused_and_named(rest: str, here: int | None, named: str) -> None:
    with pytest.raises(Rejected) as refused:
        target(rest, here, USAGE)

    assert refused.value.message.startswith(named)
    assert "Nothing was done. Usage: ack <incident>" in refused.value.message


@pytest.mark.parametrize("rest", ["-1", "1e9", "1.5", "0x10", "٣", "9" * 30, "api", "1,2"])
def test_what_is_no_number_is_refused_with_the_usage(rest: str) -> None:
    for read in (target, target_and_text):
        with pytest.raises(Rejected, match=r"Nothing was done\. Usage: ack <incident>"):
            read(rest, None, USAGE)


@pytest.mark.parametrize(
    ("rest", "here", "number", "text"),
    [
        ("3 pods restarted", None, 3, "pods restarted"),
        ("3 pods restarted", 1, 1, "3 pods restarted"),
        ("#3 pods restarted", 1, 3, "pods restarted"),
        ("1 pods restarted", 1, 1, "pods restarted"),
        ("#1 pods restarted", 1, 1, "pods restarted"),
        ("#urgent look", 1, 1, "#urgent look"),
        ("it is 3 am", 1, 1, "it is 3 am"),
        ("3", 1, 1, "3"),
    ],
)
def test_where_the_place_names_an_incident_a_bare_number_is_text(
    rest: str, here: int | None, number: int, text: str
) -> None:
    assert target_and_text(rest, here, "note <incident> <text>") == (number, text)


@given(st.text(min_size=1).filter(str.strip), st.integers(1, 9))
def test_inside_a_thread_any_words_are_a_note_for_some_incident(said: str, here: int) -> None:
    assume(not said.strip().lstrip("#").isdigit())

    number, text = target_and_text(said, here, USAGE)

    assert number >= 0
    assert text in said


@given(st.text())
def test_what_was_made_plain_once_is_plain(said: str) -> None:
    assert words.normalized(words.normalized(said)) == words.normalized(said)


def test_a_near_miss_names_the_nearest_command() -> None:
    assert unknown_verb("resovle", ["ack", "resolve"]).message.startswith(
        "No command 'resovle'. Did you mean `resolve`?"
    )
