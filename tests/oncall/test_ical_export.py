"""A calendar of shifts: another program reads the same from it."""

from __future__ import annotations

from bot.core.rota import RotaGap
from bot.oncall.ical_export import calendar_of
from bot.oncall.rendering import gaps, render
from tests.oncall.calendars import read
from tests.oncall.written import away, layer, put, rota, utc

SINCE, UNTIL = utc("2026-11-02 09:00"), utc("2027-11-01 09:00")
NAMES = {"ana": "Ana, the \\ first; of\nall", "bo": "Бо " * 40, "cy": "Cy"}.__getitem__
WRITTEN = rota(
    layer(("ana", "cy"), "bo", ()),
    leave=(away("bo", "2027-01-01", "2027-02-01"),),
    replace=(put("2026-11-04", "2026-11-05", "cy", person="ana"),),
)


def test_every_shift_and_every_gap_is_read_as_it_is() -> None:
    shifts, holes = render(WRITTEN, SINCE, UNTIL), gaps(WRITTEN, SINCE, UNTIL)

    text = calendar_of("orders", shifts, holes, now=SINCE, names=NAMES)

    events = read(text)
    expected = [(one.start, one.end) for one in shifts] + [(gap.start, gap.end) for gap in holes]
    assert [(one.start, one.end) for one in events] == expected
    assert events[0].summary == "Ana, the \\ first; of\nall and Cy: orders"
    assert len({one.uid for one in events}) == len(events)
    assert max(len(line.encode()) for line in text.split("\r\n")) <= 75


def test_an_event_keeps_its_uid_when_it_is_written_again() -> None:
    def uids(since: str) -> set[str]:
        text = calendar_of("orders", render(WRITTEN, utc(since), UNTIL), (), now=utc(since))
        return {one.uid for one in read(text)}

    assert uids("2026-11-30 09:00") < uids("2026-11-02 09:00")


def test_a_time_with_too_few_says_how_many_there_are() -> None:
    gap = RotaGap(start=SINCE, end=UNTIL, have=1, need=2)

    assert "SUMMARY:ONLY 1 OF 2 on call: orders" in calendar_of("orders", (), [gap], now=SINCE)
