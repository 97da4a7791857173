"""What rendering a year of a rota costs, and who is on call for one of 1,000 services. In this process."""

from __future__ import annotations

import timeit
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from bench.ground import Ground
from bench.table import Line, at_most
from bot.core.rota import Layer, Leave, Override, Rota, Turn, TurnUnit, WeeklyHours
from bot.lib.time_windows import first_instant
from bot.oncall.duties import Duties, OnCallFor
from bot.oncall.rendering import render

_SINCE = datetime(2026, 1, 1, tzinfo=UTC)
_YEAR, _WEEK = timedelta(days=365), timedelta(days=7)
_ZONE = ZoneInfo("Europe/Berlin")
_SERVICES, _ROTAS = 1000, 100


def measure(ground: Ground) -> list[Line]:
    times = 3 if ground.quick else 10
    took = {
        "weeks": _ms(partial(render, _rota(Turn(unit=TurnUnit.WEEK, at=time(10))), _SINCE, _SINCE + _YEAR), times),
        "days": _ms(partial(render, _rota(Turn(unit=TurnUnit.DAY, at=time(10))), _SINCE, _SINCE + _YEAR), times),
        "12 hours": _ms(partial(render, _rota(Turn(unit=TurnUnit.HOUR, every=12)), _SINCE, _SINCE + _YEAR), times),
        "1 hour": _ms(partial(render, _rota(Turn(unit=TurnUnit.HOUR)), _SINCE, _SINCE + _YEAR), times),
    }
    clock = [_SINCE]
    duties = _duties(lambda: clock[0])

    def after_a_handoff() -> None:
        clock[0] += _WEEK
        duties.people("s0")

    anew, kept = _ms(after_a_handoff, times), _ms(partial(duties.services_of, "ana"), times * 1000)
    local = datetime(2026, 1, 1, 10)  # noqa: DTZ001 (naive: local to the zone)
    bare = _ms(lambda: [first_instant(local + timedelta(days=number), _ZONE) for number in range(365)], times)
    return [
        Line(
            what="a year of a rota rendered: 3 layers, hours, leave and overrides each month",
            least="100 ms",
            aim="50 ms",
            reached=", ".join(f"turns of {kind} {ms:.0f} ms" for kind, ms in took.items()),
            verdict=at_most(max(took.values()), 100, 50),
            bare=f"{bare:.1f} ms: 365 local times as instants",
            bound="Python; each boundary is one conversion of a local time",
            numbers={"ms": took},
        ),
        Line(
            what=f"who is on call for {_SERVICES} services by {_ROTAS} rotas",
            reached=f"{anew:.0f} ms after a handoff, {kept * 1000:.1f} us while the answer holds",
            numbers={"anew_ms": anew, "kept_us": kept * 1000},
        ),
    ]


def _ms(what: Callable[[], object], times: int) -> float:
    return min(timeit.repeat(what, number=times, repeat=3)) / times * 1e3


def _rota(turn: Turn, name: str = "orders") -> Rota:
    office = WeeklyHours(days=frozenset(range(5)), begin=8 * 60, end=18 * 60)
    night = WeeklyHours(days=frozenset({5}), begin=22 * 60, end=6 * 60)
    people = (("ana",), ("bo",), ("cy",))
    weekly, daily = Turn(unit=TurnUnit.WEEK, at=time(10)), Turn(unit=TurnUnit.DAY, at=time(9))
    starts = [datetime(2026, month, 1, tzinfo=UTC) for month in range(1, 13)]
    return Rota(
        name=name,
        zone=_ZONE,
        layers=(
            Layer(name="a", members=people, turn=turn, anchor=date(2020, 1, 6), priority=2, only=(office, night)),
            Layer(name="b", members=people, turn=weekly, anchor=date(2020, 1, 6), priority=1),
            Layer(name="c", members=people, turn=daily, anchor=date(2020, 1, 6)),
        ),
        leave=tuple(Leave(person="ana", start=start, end=start + _WEEK) for start in starts),
        replace=tuple(Override(start=start + _WEEK, end=start + 2 * _WEEK, people=("eve",)) for start in starts),
    )


def _duties(now: Callable[[], datetime]) -> Duties:
    rotas = {f"r{number}": _rota(Turn(unit=TurnUnit.WEEK, at=time(10)), f"r{number}") for number in range(_ROTAS)}
    services = {f"s{number}": OnCallFor(rotas=(f"r{number % _ROTAS}",)) for number in range(_SERVICES)}
    return Duties(services, rotas, now)
