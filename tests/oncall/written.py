"""Rotas for tests, written in few words: instants are UTC, turns weekly on Monday at 10:00 in Berlin where unsaid."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

from bot.core.rota import Addition, FixedPeriod, Layer, Leave, Override, Rota, Shift, Together, Turn, TurnUnit
from bot.lib.time_windows import zone

WEEKLY = Turn(unit=TurnUnit.WEEK, at=time(10), on=(0,))
DAILY = Turn(unit=TurnUnit.DAY, at=time(10))
MONDAY = date(2026, 11, 2)


def utc(text: str) -> datetime:
    """ "2026-11-02 09:00", or the day alone."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def layer(*members: Together | str, name: str = "weekly", **more: Any) -> Layer:
    together = tuple((one,) if isinstance(one, str) else one for one in members)
    usual: dict[str, Any] = {"turn": WEEKLY, "anchor": MONDAY}
    return Layer(name=name, members=together, **(usual | more))


def all_day(person: str, name: str = "always", **more: Any) -> Layer:
    return Layer(name=name, members=((person,),), **more)


def rota(*layers: Layer, in_zone: str = "Europe/Berlin", **more: Any) -> Rota:
    return Rota(name="orders", zone=zone(in_zone), layers=layers, **more)


def put(start: str, end: str, *people: str, **more: str) -> Override:
    return Override(start=utc(start), end=utc(end), people=people, **more)


def more(start: str, end: str, *people: str) -> Addition:
    return Addition(start=utc(start), end=utc(end), people=people)


def fixed(start: str, end: str, *shifts: Addition) -> FixedPeriod:
    return FixedPeriod(start=utc(start), end=utc(end), shifts=shifts)


def away(person: str, start: str, end: str) -> Leave:
    return Leave(person=person, start=utc(start), end=utc(end))


def told(shifts: tuple[Shift, ...]) -> list[str]:
    """ "11-02 09:00 - 11-09 09:00 anna+bo", in UTC."""
    return [f"{one.start:%m-%d %H:%M} - {one.end:%m-%d %H:%M} {'+'.join(one.people)}" for one in shifts]
