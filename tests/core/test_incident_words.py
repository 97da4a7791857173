"""What an incident says of itself in lists, on cards and in the timeline."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from bot.core.alert import Severity
from bot.core.incident import Course, Coverage, Incident, Status, without_what

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ONE = Incident(
    id=1,
    key="k",
    source="alertmanager",
    title="Down prod/api: It is down.",
    severity=Severity.CRITICAL,
    status=Status.OPEN,
    opened_at=NOON,
    changed_at=NOON,
    firing=1,
    total=1,
)


@pytest.mark.parametrize(
    ("firing", "total", "words"),
    [(0, 0, ""), (1, 1, ""), (8, 8, "8 firing"), (1, 3, "1 firing, 2 ended"), (0, 2, "2 ended")],
)
def test_only_a_count_that_says_something_is_said(firing: int, total: int, words: str) -> None:
    assert replace(ONE, firing=firing, total=total).count_words == words


def test_whoever_has_it_or_ended_it_is_called_by_name_although_the_settings_do_not_know_them() -> None:
    course = Course(covered=Coverage(at=NOON, firing=1, by="Zoe Stranger"), ended_by="Zoe Stranger")
    theirs = replace(ONE, owner="pagerduty:PZZ", resolved_by="pagerduty:PZZ", course=course)

    assert replace(theirs, status=Status.ACKED).owner_name == "Zoe Stranger"
    assert replace(theirs, status=Status.RESOLVED).resolver_name == "Zoe Stranger"
    assert (theirs.owner_name, theirs.resolver_name) == ("pagerduty:PZZ", "")


def test_a_line_beside_the_title_does_not_say_the_name_again() -> None:
    assert without_what("Now critical, was warning: Down prod/api.", ONE.title) == "Now critical, was warning."
    assert without_what("2 more firing: Slow prod/web.", ONE.title) == "2 more firing: Slow prod/web."


def test_what_was_not_sent_says_why() -> None:
    assert ONE.unsent_clause == ""
    one = "1 more alert was not sent by alertmanager: its `max_alerts` is too low"
    assert replace(ONE, truncated=1).unsent_clause == one
    assert replace(ONE, truncated=9).unsent_clause == one.replace("1 more alert was", "9 more alerts were")
