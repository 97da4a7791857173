"""How far apart the times of a cron expression are."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.lib.cron import longest_gap


@pytest.mark.parametrize(
    ("expression", "hours"),
    [
        ("0 2 * * *", 24),
        ("@daily", 24),
        ("@every 6h", 6),
        ("@every 1h30m", 1.5),
        ("@hourly", 1),
        ("*/15 * * * *", 0.25),
        ("0 */6 * * *", 6),
        ("0 6,18 * * *", 12),
        ("30 1,2 * * *", 23),
        ("0 2 * * 1-5", 72),
        ("0 2 * * MON", 168),
        ("0 2 * * 7", 168),
        ("CRON_TZ=Europe/Berlin 0 2 * * *", 24),
        ("0 0 0 * * *", 24),
        ("0 0 1 * *", 31 * 24),
        ("0 0 13 * fri", 7 * 24),
    ],
)
def test_the_longest_time_between_two_times_is_told(expression: str, hours: float) -> None:
    assert longest_gap(expression) == timedelta(hours=hours)


@pytest.mark.parametrize(
    "expression",
    ["", "0 2 * *", "@reboot", "@every soon", "61 * * * *", "*/0 * * * *", "0 0 30 2 *", "x * * * *", "5-1 * * * *"],
)
def test_what_is_not_understood_or_never_comes_has_no_interval(expression: str) -> None:
    assert longest_gap(expression) is None
