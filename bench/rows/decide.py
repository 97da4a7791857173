"""What one decision costs with 300 rules: one that allows, one that denies and looks for who could. In this process."""

from __future__ import annotations

import timeit
from datetime import UTC, datetime
from functools import partial

from bench.ground import Ground
from bench.table import Line, at_most
from bot.access.conditions import Conditions, Context
from bot.access.decision import decide
from bot.access.policy import Policy, Role, Rule
from bot.core.access import Permission
from bot.core.request import Principal
from bot.lib import time_windows

_RULES, _PEOPLE = 300, 50
_AT = "prod/s7/api"


def measure(ground: Ground) -> list[Line]:
    book, who = _book(), Principal(id="ana", roles=frozenset({"big"}))
    duty = frozenset({_AT})
    around = Context(
        now=datetime(2026, 11, 23, 12, tzinfo=UTC),
        service=_AT,
        environment="production",
        on_call_for=duty,
        open_on=duty,
    )
    took = {}
    for name, target in (("allowed", _AT), ("denied", "staging/api")):
        wanted = Permission(verb="scale", target=target)
        assert decide(who, wanted, book, around).allowed is (name == "allowed")
        count = 500 if ground.quick else 5000
        rounds = timeit.repeat(partial(decide, who, wanted, book, around), number=count, repeat=5)
        took[name] = min(rounds) / count * 1e6
    names = [f"scale prod/s{number}/*" for number in range(_RULES)]
    bare = min(timeit.repeat(lambda: [name for name in names if name == _AT], number=1000, repeat=5)) * 1e3
    return [
        Line(
            what=f"one decision, {_RULES} rules with conditions, {_PEOPLE} people",
            least="50 us",
            aim="20 us",
            reached=", ".join(f"{name} {us:.1f} us" for name, us in took.items()),
            verdict=at_most(max(took.values()), 50, 20),
            bare=f"{bare:.1f} us: {_RULES} names compared",
            bound="Python; naming who could approve or do it instead is a third to half of it",
            numbers={"us": took},
        )
    ]


def _book() -> Policy:
    office = (time_windows.parse_window("Mon-Fri 09:00-18:00 Europe/Berlin"),)
    when = Conditions(on_call=True, incident=True, environment=("production",), during=office)
    rules = tuple(Rule(do=f"scale prod/s{n}/*", when=when, approvals=1) for n in range(_RULES))
    people = [Principal(id=f"p{n}", roles=frozenset({"approver" if n % 2 else "viewer"})) for n in range(_PEOPLE)]
    return Policy([Role(name="big", allow=rules)], people=people)
