"""Durations as people read them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.lib.text import spell_duration


@pytest.mark.parametrize(
    ("long", "read"),
    [
        (timedelta(0), "0 s"),
        (timedelta(seconds=42.9), "42 s"),
        (timedelta(minutes=30), "30 min"),
        (timedelta(minutes=3, seconds=12), "3 min 12 s"),
        (timedelta(hours=2), "2 h"),
        (timedelta(minutes=90), "1 h 30 min"),
        (timedelta(days=7), "7 d"),
        (timedelta(days=1, hours=2, minutes=3, seconds=4), "1 d 2 h 3 min 4 s"),
    ],
)
def test_a_duration_is_read_with_units_and_nothing_is_left_out(long: timedelta, read: str) -> None:
    assert spell_duration(long) == read
