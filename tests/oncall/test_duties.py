"""Who is on call for services now: an answer holds until the rota itself changes something, and no longer."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.core.rota import GapRule, Override, Rota, ShiftSource
from bot.oncall.duties import Duties, OnCallFor
from tests.house import Clock
from tests.oncall.written import all_day, layer, put, rota, told, utc

WEEKLY = replace(rota(layer("ana", "bo", ())), name="weekly", gaps_to="backup")
BACKUP = replace(rota(layer("cy", (), name="b")), name="backup", gaps_to="last")
LAST = replace(rota(all_day("dora", "l"), all_day("eve", "s", shadow=True)), name="last")
ROTAS = {one.name: one for one in (WEEKLY, BACKUP, LAST)}


def duties(clock: Clock, *rotas: str, rules: dict[str, Rota] = ROTAS) -> Duties:
    return Duties({"orders": OnCallFor(people=("zoe",), rotas=rotas), "none": OnCallFor()}, rules, clock)


def at(clock: Clock, text: str) -> None:
    clock.at = utc(text)


def test_the_answer_changes_in_the_instant_of_the_handoff_and_back_with_the_clock() -> None:
    clock = Clock()
    asked = duties(clock, "weekly")
    answers = []

    for text in ("2026-11-30 08:59", "2026-11-30 09:00", "2026-11-30 08:59", "2026-11-29 12:00"):
        at(clock, text)
        answers.append((asked.ordered("orders"), sorted(asked.services_of("ana"))))

    assert answers == [
        (("zoe", "ana"), ["orders"]),
        (("zoe", "bo"), []),
        (("zoe", "ana"), ["orders"]),
        (("zoe", "ana"), ["orders"]),
    ]


def test_a_service_without_anybody_is_not_listed_and_one_whose_rota_has_a_gap_is_with_nobody() -> None:
    clock = Clock()
    at(clock, "2026-12-08")
    asked = Duties(
        {"orders": OnCallFor(rotas=("weekly",)), "none": OnCallFor()}, {"weekly": replace(WEEKLY, gaps_to="")}, clock
    )

    assert asked.by_service() == {"orders": frozenset()}
    assert (asked.people("none"), asked.people("unheard of")) == (frozenset(), frozenset())


def test_a_gap_is_filled_by_another_rota_and_its_gap_by_the_next_without_its_shadows() -> None:
    asked = duties(Clock())

    found = asked.shifts("weekly", utc("2026-11-23 09:00"), utc("2026-12-21 09:00"))

    assert told(found) == [
        "11-23 09:00 - 11-30 09:00 ana",
        "11-30 09:00 - 12-07 09:00 bo",
        "12-07 09:00 - 12-14 09:00 dora",
        "12-14 09:00 - 12-21 09:00 ana",
    ]
    assert (found[2].source, found[2].layer) == (ShiftSource.OTHER_ROTA, "backup")
    assert asked.gaps("weekly", utc("2026-11-23"), utc("2027-11-23")) == ()


def test_a_change_of_a_person_counts_at_once_and_so_does_its_end() -> None:
    clock = Clock()
    changes: list[dict[str, list[Override]]] = [{}]
    asked = Duties({"orders": OnCallFor(rotas=("weekly",))}, ROTAS, clock, lambda: changes[-1])
    before = asked.people("orders")

    changes.append({"weekly": [put("2026-11-23 11:00", "2026-11-23 13:00", "cy", by="cy")]})
    during = asked.people("orders")
    clock.pass_by(hours=1)

    assert [sorted(one) for one in (before, during, asked.people("orders"))] == [["ana"], ["cy"], ["ana"]]


def test_a_view_follows_a_shift_to_its_ends_and_says_where_it_stopped() -> None:
    asked = duties(Clock(), rules={**ROTAS, "long": replace(rota(layer("ana", turn=None, anchor=None)), name="long")})
    now = utc("2026-11-23 12:00")

    weekly, long = (
        asked.view("weekly", now, ahead=timedelta(days=30)),
        asked.view("long", now, ahead=timedelta(days=30)),
    )

    assert [(one.start, one.end) for one in weekly.shifts] == [(utc("2026-11-23 09:00"), utc("2026-11-30 09:00"))]
    assert (weekly.until, [one.people for one in weekly.coming]) == (utc("2026-11-30 09:00"), [("bo",)])
    assert (long.until, long.coming) == (None, ())
    assert long.shifts[0].end == long.followed_to == now + timedelta(days=400)


def test_gaps_of_a_rota_that_allows_them_are_not_told() -> None:
    allowed = replace(WEEKLY, gaps=GapRule.ALLOWED, gaps_to="")

    assert Duties({}, {"weekly": allowed}, Clock()).gaps("weekly", utc("2026-11-23"), utc("2027-11-23")) == ()
