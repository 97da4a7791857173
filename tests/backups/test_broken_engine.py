"""An engine with a bug: its traceback is in the log, and not once a second."""

from __future__ import annotations

import pytest

from bot.backups.broken_engine import BugLog, ask
from bot.core.errors import OutcomeUnknown


def caught(trouble: Exception) -> Exception:
    try:
        raise trouble
    except type(trouble) as bug:
        return bug


def test_a_bug_is_written_once_an_hour_with_how_often_it_came_and_another_one_at_once() -> None:
    now = [0.0]
    log = BugLog(clock=lambda: now[0])
    assert log.due(caught(ValueError("a bug"))) == 0
    for _ in range(3599):
        now[0] += 1
        assert log.due(caught(ValueError("a bug"))) is None
    assert log.due(caught(KeyError("state"))) == 0
    now[0] += 1

    assert log.due(caught(ValueError("a bug"))) == 3599


def test_an_engine_that_is_polled_and_has_a_bug_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    def look() -> None:
        raise ZeroDivisionError("only here")

    for _ in range(3):
        with pytest.raises(OutcomeUnknown, match=r"ZeroDivisionError\); see the log"):
            ask(look)

    (written,) = caplog.records
    assert written.exc_info is not None
