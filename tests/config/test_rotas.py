"""The section of rotas: what it carries, and each ordinary mistake with its place and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.config.faults import InvalidSettings
from bot.config.rota_building import build_rotas
from bot.config.settings import Settings, read_settings
from bot.core.rota import Turn, TurnUnit, WeeklyHours
from bot.lib.time_windows import zone
from tests.oncall.written import utc

LAYER: dict[str, Any] = {
    "name": "weekly",
    "members": ["ana", "bo"],
    "turn": {"unit": "week", "at": "10:00", "on": "monday"},
    "anchor": "2026-11-02",
}
PLAIN: dict[str, Any] = {
    "people": [{"id": "ana"}, {"id": "bo"}, {"id": "cy"}],
    "services": [{"name": "orders", "match": {"service": "orders"}, "on_call": ["rota primary"]}],
    "rotas": {"primary": {"zone": "Europe/Berlin", "layers": [LAYER]}},
}
NOW = utc("2026-12-01 12:00")

Change = Callable[[dict[str, Any]], object]  #: of the rota; its first layer is there as `layer`


def read(tmp_path: Path, tree: dict[str, Any], now: datetime | None = None) -> tuple[Settings, list[tuple[str, str]]]:
    """The settings, with the warnings by key."""
    path = tmp_path / "vakhta.yaml"
    path.write_text(json.dumps(tree, indent=1))
    settings, warnings = read_settings(path, {}, now=now)
    return settings, [(one.key, one.message) for one in warnings]


def changed(**rota: Any) -> dict[str, Any]:
    """`layer`: keys of its layer."""
    tree = deepcopy(PLAIN)
    tree["rotas"]["primary"]["layers"][0] |= rota.pop("layer", {})
    tree["rotas"]["primary"] |= rota
    return tree


def turn(**keys: Any) -> dict[str, Any]:
    return changed(layer={"turn": LAYER["turn"] | keys})


def faults(tmp_path: Path, tree: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(InvalidSettings) as caught:
        read(tmp_path, tree)
    return [(one.key, one.message) for one in caught.value.faults]


def period(start: str, end: str, **more: Any) -> list[dict[str, Any]]:
    return [{"from": start, "to": end, **more}]


def test_a_rota_carries_all_that_is_written_of_it(tmp_path: Path) -> None:
    written = changed(
        at_least=2,
        gaps={"to": "rota backup"},
        handoff={"channel": "#orders", "user_group": "orders-oncall", "remind": ["1d", "1h"], "report": True},
        replace=period("2026-12-24 18:00", "2026-12-26 24:00", put="cy", instead_of="layer weekly"),
        add=period("2026-12-24", "2026-12-25 10:00", who=["cy", "bo"]),
        fixed=period("2026-12-30", "2027-01-02 10:00", shifts=period("2026-12-30", "2026-12-31 24:00", who="bo")),
        leave={"ana": period("2026-12-07", "2026-12-13 24:00")},
        holidays={"calendar": "DE-BE", "use": "weekly"},
        layer={
            "members": ["ana", {"vacant": True}, ["bo", "cy"]],
            "priority": 3,
            "from": "2026-11-09",
            "until": "2027-11-08",
            "only": [
                {"days": "mon-fri", "from": "08:00", "to": "18:00"},
                {"days": "sat", "from": "22:00", "to": "06:00"},
            ],
            "counts_excluded_days": False,
            "shadow": False,
        },
    )
    written["rotas"]["backup"] = {"zone": "UTC", "layers": [{"name": "all", "members": [["ana", "bo"]]}]}

    settings, warnings = read(tmp_path, written)
    built = build_rotas(settings.rotas)["primary"]

    [layer] = built.layers
    assert layer.members == (("ana",), (), ("bo", "cy"))
    assert layer.turn == Turn(unit=TurnUnit.WEEK, at=time(10), on=(0,))
    assert (layer.since, layer.until) == (utc("2026-11-09 09:00"), utc("2027-11-08 09:00"))
    assert layer.only[1] == WeeklyHours(days=frozenset({5}), begin=22 * 60, end=6 * 60)
    assert (layer.priority, layer.counts_excluded_days) == (3, False)
    assert (built.zone, built.at_least, built.gaps_to) == (zone("Europe/Berlin"), 2, "backup")
    assert (built.replace[0].layer, built.replace[0].end) == ("weekly", utc("2026-12-26 23:00"))
    assert (built.add[0].people, built.add[0].start) == (("cy", "bo"), utc("2026-12-23 23:00"))
    assert built.fixed[0].shifts[0].people == ("bo",)
    assert (built.leave[0].person, built.leave[0].end) == ("ana", utc("2026-12-13 23:00"))
    assert built.handoff is not None
    assert built.handoff.remind == (timedelta(days=1), timedelta(hours=1))
    assert built.holidays is not None
    assert utc("2026-03-08").date() in built.holidays.dates(2026)
    assert [key for key, _ in warnings] == ["rotas.primary.handoff"]


AT = "rotas.primary"
WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "a zone that is none": (changed(zone="Europe/Berln"), f"{AT}.zone", "did you mean 'Europe/Berlin'?"),
    "a member who is not there": (
        changed(layer={"members": ["anna", "bo"]}),
        f"{AT}.layers[0].members[0]",
        "is not the id of a person under `people`; did you mean 'ana'?",
    ),
    "leave of somebody who is not there": (
        changed(leave={"eve": period("2026-12-01", "2026-12-02 10:00")}),
        f"{AT}.leave.eve",
        "is not the id of a person",
    ),
    "turns without an anchor": (changed(layer={"anchor": None}), f"{AT}.layers[0]", "has no `anchor`; write the day"),
    "an anchor on another day": (
        changed(layer={"anchor": "2026-11-03"}),
        f"{AT}.layers[0].anchor",
        "is a Tuesday, and turns begin on Monday",
    ),
    "an anchor after the begin": (
        changed(layer={"from": "2026-11-01"}),
        f"{AT}.layers[0].from",
        "is before the first turn, which begins at the anchor; move the anchor back",
    ),
    "an end before the begin": (
        changed(layer={"from": "2026-11-09", "until": "2026-11-09"}),
        f"{AT}.layers[0].until",
        "is not after its begin",
    ),
    "several members and no turn": (
        changed(layer={"turn": None, "anchor": None}),
        f"{AT}.layers[0].members",
        "take no turns; give the layer a `turn`, or write them as one list",
    ),
    "a clock for weeks": (turn(clock="wall"), f"{AT}.layers[0].turn.clock", "means nothing here"),
    "five hours on the wall clock": (
        turn(unit="hour", every=5, on=None, clock="wall"),
        f"{AT}.layers[0].turn.clock",
        "cannot be wall: 24 is no multiple of `every`",
    ),
    "a weekday for months": (turn(unit="month"), f"{AT}.layers[0].turn.on", "must be a day of the month"),
    "a day of the month for weeks": (turn(on=15), f"{AT}.layers[0].turn.on", "must be a weekday"),
    "a weekday for days": (turn(unit="day"), f"{AT}.layers[0].turn.on", "means nothing for turns of days"),
    "a weekday that is none": (turn(on="moonday"), f"{AT}.layers[0].turn.on", "must be a weekday such as monday"),
    "no time of day": (turn(at="9"), f"{AT}.layers[0].turn.at", 'must be a time of day in quotes, such as "10:00"'),
    "no unit": (turn(unit="fortnight"), f"{AT}.layers[0].turn.unit", "must be one of"),
    "hours without length": (
        changed(layer={"only": [{"from": "08:00", "to": "08:00"}]}),
        f"{AT}.layers[0].only[0].to",
        "is the same as `from`",
    ),
    "hours of no days": (
        changed(layer={"only": [{"days": "workdays", "from": "08:00", "to": "18:00"}]}),
        f"{AT}.layers[0].only[0].days",
        "must be days, such as mon-fri",
    ),
    "hours that leave the night to nobody": (
        changed(layer={"only": [{"from": "08:00", "to": "24:00"}]}),
        f"{AT}.layers",
        "have no hours from Monday 00:00 to Monday 08:00 of each week; add hours or a layer, or write `gaps: allowed`",
    ),
    "a member whose turns are all at weekends": (
        changed(
            gaps="allowed",
            layer={
                "members": ["ana", "ana", "ana", "ana", "ana", "bo", "cy"],
                "turn": {"unit": "day"},
                "only": [{"days": "mon-fri", "from": "00:00", "to": "24:00"}],
            },
        ),
        f"{AT}.layers[0].members",
        "gives bo and cy no hour ever",
    ),
    "a time that comes twice": (
        changed(add=period("2026-10-25 02:30", "2026-10-26 10:00", who="cy")),
        f"{AT}.add[0].from",
        "write 2026-10-25T02:30+02:00 or 2026-10-25T02:30+01:00",
    ),
    "a time that does not exist": (
        changed(add=period("2027-03-28 01:00", "2027-03-28 02:30", who="cy")),
        f"{AT}.add[0].to",
        "does not exist in Europe/Berlin",
    ),
    "an end that is a day": (
        changed(leave={"ana": period("2026-12-01", "2026-12-02")}),
        f"{AT}.leave.ana[0].to",
        "needs a time of day",
    ),
    "an end that is no later": (
        changed(replace=period("2026-12-02", "2026-12-01 10:00", put="cy")),
        f"{AT}.replace[0].to",
        "is not after `from`",
    ),
    "somebody instead of a layer that is not there": (
        changed(replace=period("2026-12-01", "2026-12-02 10:00", put="cy", instead_of="layer weakly")),
        f"{AT}.replace[0].instead_of",
        "names no layer of this rota; did you mean 'weekly'?",
    ),
    "fixed periods that overlap": (
        changed(
            fixed=[*period("2026-12-01", "2026-12-05 10:00"), *period("2026-12-05 09:00", "2026-12-06 10:00")],
        ),
        f"{AT}.fixed[1].from",
        "overlaps fixed[0]",
    ),
    "a fixed shift outside of its period": (
        changed(
            fixed=period("2026-12-01", "2026-12-05 10:00", shifts=period("2026-12-01", "2026-12-06 10:00", who="cy"))
        ),
        f"{AT}.fixed[0].shifts[0]",
        "is not within its fixed period",
    ),
    "holidays of no country": (
        changed(holidays={"calendar": "XX", "use": "weekly"}),
        f"{AT}.holidays.calendar",
        "is no calendar of public holidays",
    ),
    "holidays for a layer that is not there": (
        changed(holidays={"calendar": "DE", "use": "feast"}),
        f"{AT}.holidays.use",
        "names no layer of this rota",
    ),
    "two layers of one name": (
        changed(layers=[LAYER, LAYER]),
        f"{AT}.layers[1].name",
        "is also the name of layers[0]",
    ),
    "shadows alone": (changed(layer={"shadow": True}), f"{AT}.layers", "are all shadows"),
    "more people at once than there are": (changed(at_least=3), f"{AT}.at_least", "is above the 2 people of the rota"),
    "a rota for gaps that is not there": (
        changed(gaps={"to": "rota secondary"}),
        f"{AT}.gaps",
        "names no rota under `rotas`",
    ),
    "a rota that fills its own gaps": (
        changed(gaps={"to": "rota primary"}),
        f"{AT}.gaps",
        "leads back to this rota",
    ),
    "gaps of no kind": (changed(gaps="sometimes"), f"{AT}.gaps", "must be forbidden, allowed, or {to: rota NAME}"),
    "a service on call by no rota": (
        {**PLAIN, "services": [{"name": "x", "match": {"a": "b"}, "on_call": ["ana", "rota primry"]}]},
        "services[0].on_call[1]",
        "names no rota under `rotas`; did you mean 'primary'?",
    ),
    "a rota with the name of a service": (
        {**PLAIN, "rotas": {**PLAIN["rotas"], "orders": PLAIN["rotas"]["primary"]}},
        "rotas.orders",
        "is also the name of a service",
    ),
    "a name that nobody can type": (
        {**PLAIN, "services": [], "rotas": {"My rota": PLAIN["rotas"]["primary"]}},
        "rotas.My rota",
        "must be small letters",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_told_at_its_place_with_what_to_do(tmp_path: Path, name: str) -> None:
    tree, key, message = WRONG[name]

    [(found, said)] = faults(tmp_path, tree)

    assert (found, message in said) == (key, True), said


def test_a_rota_that_leads_in_a_circle_with_others_is_refused_in_each(tmp_path: Path) -> None:
    tree = changed(gaps={"to": "rota second"})
    tree["rotas"]["second"] = {**tree["rotas"]["primary"], "gaps": {"to": "rota primary"}}

    assert [key for key, _ in faults(tmp_path, tree)] == ["rotas.primary.gaps", "rotas.second.gaps"]


def test_hours_of_several_layers_that_cover_the_week_are_enough(tmp_path: Path) -> None:
    day = {**LAYER, "only": [{"from": "08:00", "to": "20:00"}]}
    night = {**LAYER, "name": "nights", "only": [{"from": "20:00", "to": "08:00"}]}

    assert read(tmp_path, changed(layers=[day, night]))[1] == []


def test_gaps_of_the_coming_thirty_days_are_warned_of_and_later_ones_are_not(tmp_path: Path) -> None:
    """`vakhta check` asks with the time of now; a start does not."""
    away = changed(
        leave={"ana": [*period("2026-12-03", "2026-12-04 10:00"), *period("2027-01-13", "2027-01-14 10:00")]}
    )

    assert read(tmp_path, away)[1] == []
    assert read(tmp_path, away, NOW)[1] == [
        (
            "rotas.primary",
            (
                "Nobody is on call for rota primary from 2026-12-02 23:00 UTC (2026-12-03 00:00 Europe/Berlin)"
                " to 2026-12-04 09:00 UTC (10:00 Europe/Berlin) (ana on leave)."
            ),
        )
    ]


def test_of_many_coming_gaps_the_first_are_told_and_the_others_counted(tmp_path: Path) -> None:
    daily = changed(layer={"members": ["ana", {"vacant": True}], "turn": {"unit": "day"}})

    warnings = [message for _, message in read(tmp_path, daily, NOW)[1]]

    assert len(warnings) == 4
    assert "turn of layer weekly is vacant" in warnings[0]
    assert warnings[3] == "has 13 more such gaps within 30 days; `oncall primary` lists them"


def test_a_rota_that_allows_gaps_has_no_warnings(tmp_path: Path) -> None:
    daily = changed(gaps="allowed", layer={"members": ["ana", {"vacant": True}], "turn": {"unit": "day"}})

    assert read(tmp_path, daily, NOW)[1] == []
