"""Local times: what a rule makes always has one instant, and what a person typed is never guessed at."""

from __future__ import annotations

import pytest

from bot.lib.time_windows import first_instant, zone
from bot.oncall.local_time import UnclearTime, parse_entered
from tests.oncall.written import utc

BERLIN = zone("Europe/Berlin")


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2026-12-24 18:00", "2026-12-24 17:00"),
        ("2026-12-24T18:00", "2026-12-24 17:00"),
        ("2026-12-24", "2026-12-23 23:00"),
        ("2026-12-24 24:00", "2026-12-24 23:00"),
        ("2026-12-24T18:00+03:00", "2026-12-24 15:00"),
        ("2026-12-24T18:00Z", "2026-12-24 18:00"),
    ],
)
def test_a_time_is_local_unless_it_has_an_offset(written: str, instant: str) -> None:
    assert parse_entered(written, BERLIN) == utc(instant)


def test_a_time_that_comes_twice_is_refused_with_both_readings() -> None:
    with pytest.raises(UnclearTime) as refused:
        parse_entered("2026-10-25 02:30", BERLIN)

    assert "comes twice in Europe/Berlin" in str(refused.value)
    first, second = str(refused.value).partition("write ")[2].split(" or ")
    assert parse_entered(first, BERLIN) == utc("2026-10-25 00:30")
    assert parse_entered(second, BERLIN) == utc("2026-10-25 01:30")


def test_a_time_that_does_not_exist_is_refused_with_both_readings() -> None:
    with pytest.raises(UnclearTime) as refused:
        parse_entered("2026-03-29 02:30", BERLIN)

    assert "does not exist in Europe/Berlin" in str(refused.value)
    assert str(refused.value).endswith("write 2026-03-29T01:30+01:00 or 2026-03-29T03:30+02:00")


@pytest.mark.parametrize(
    ("day", "begins"), [("2026-04-24", "2026-04-23 22:00"), ("2026-04-24 24:00", "2026-04-24 21:00")]
)
def test_a_day_begins_even_where_its_midnight_does_not_exist(day: str, begins: str) -> None:
    """In Cairo the clocks of 24 April 2026 went from 00:00 to 01:00."""
    assert parse_entered(day, zone("Africa/Cairo")) == utc(begins)


@pytest.mark.parametrize("written", ["tomorrow", "2026-13-01 10:00", "2026-02-30", "10:00", "", "2026-12-24 25:00"])
def test_what_is_no_time_is_refused_with_what_to_write(written: str) -> None:
    with pytest.raises(ValueError, match="must be a date and a time, such as 2026-12-31 18:00"):
        parse_entered(written, BERLIN)


@pytest.mark.parametrize(
    ("name", "local", "instant"),
    [
        ("Europe/Berlin", "2026-03-29 02:30", "2026-03-29 01:00"),
        ("Europe/Berlin", "2026-10-25 02:30", "2026-10-25 00:30"),
        ("Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-03 15:30"),
        ("Australia/Lord_Howe", "2026-04-05 01:45", "2026-04-04 14:45"),
        ("Europe/Dublin", "2026-03-29 01:30", "2026-03-29 01:00"),
        ("Africa/Casablanca", "2026-03-22 02:30", "2026-03-22 02:00"),
        ("Pacific/Apia", "2011-12-30 12:00", "2011-12-30 10:00"),
    ],
)
def test_a_boundary_in_a_skip_is_its_instant_and_one_that_comes_twice_the_first(
    name: str, local: str, instant: str
) -> None:
    assert first_instant(utc(local).replace(tzinfo=None), zone(name)) == utc(instant)
