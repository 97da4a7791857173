"""What a check of the settings got is compared with what it should get."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.core.backup import Check
from bot.core.backup_checks import run_check
from bot.core.errors import Rejected

_AT = datetime(2026, 11, 30, 12, tzinfo=UTC)


def _fails(_: str) -> str:
    raise Rejected("the server is down")


@pytest.mark.parametrize(
    ("check", "got", "ok"),
    [
        (Check(name="a", query="q", expect="5"), "5", True),
        (Check(name="a", query="q", expect="5"), "5.0", True),
        (Check(name="a", query="q", expect="5"), "6", False),
        (Check(name="a", query="q", expect="v12"), "v12", True),
        (Check(name="a", query="q", expect="v12"), "", False),
        (Check(name="a", query="q", expect="100", tolerance_percent=5), "95", True),
        (Check(name="a", query="q", expect="100", tolerance_percent=5), "94.9", False),
        (Check(name="a", query="q", expect="NaN"), "NaN", True),
        (Check(name="a", query="q", newest_within=timedelta(hours=1)), "2026-11-30T11:00:00+00:00", True),
        (Check(name="a", query="q", newest_within=timedelta(hours=1)), "2026-11-30 12:30:00", True),
        (Check(name="a", query="q", newest_within=timedelta(hours=1)), "2026-11-30T10:59:59+00:00", False),
        (Check(name="a", query="q", newest_within=timedelta(hours=1)), str(_AT.timestamp()), True),
        (Check(name="a", query="q", newest_within=timedelta(hours=1)), "", False),
    ],
)
def test_values_times_and_tolerances(check: Check, got: str, ok: object) -> None:
    assert run_check(check, lambda _: got, ask_live=None, data_at=_AT).ok is ok


def test_the_live_ones_answer_is_what_is_expected_and_its_silence_is_not_a_pass() -> None:
    check = Check(name="a", query="q", like_live=True, tolerance_percent=10)

    near = run_check(check, lambda _: "95", ask_live=lambda _: "100", data_at=_AT)
    far = run_check(check, lambda _: "80", ask_live=lambda _: "100", data_at=_AT)
    silent = run_check(check, lambda _: "80", ask_live=_fails, data_at=_AT)
    unknown = run_check(check, lambda _: "80", ask_live=None, data_at=_AT)

    assert (near.ok, near.expected) == (True, "100 ± 10 % (the live one)")
    assert [one.ok for one in (far, silent, unknown)] == [False, False, False]
    assert silent.got == "the server is down"


def test_a_question_that_cannot_be_asked_is_not_passed() -> None:
    found = run_check(Check(name="a", query="q", expect="1"), _fails, ask_live=None, data_at=_AT)

    assert (found.ok, found.got) == (False, "the server is down")
