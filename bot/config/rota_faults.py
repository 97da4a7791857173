"""What is wrong with rotas that are valid key by key: people who are not there, hours that nobody has, gaps to come.

Works on plain values and builds each rota whose keys have no fault, so that it also finds its faults in a file that has
others.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from math import lcm

from pydantic import ValidationError

from bot.config.consistency import FoundFault, Tree, entries, section_of
from bot.config.faults import Loc, nearest
from bot.config.rota_building import DAYS, RotaBuilder
from bot.config.rotas import EVERYONE, ROTA, RotaSettings
from bot.core.rota import GapRule, Layer, Rota, Together
from bot.oncall.describe import spell_gap
from bot.oncall.duties import Duties
from bot.oncall.local_time import MINUTES_OF_A_DAY
from bot.oncall.turns import cycle_of, has_hours, last_minute, members_of

#: How far ahead gaps are looked for.
LOOKED_AHEAD = timedelta(days=30)
_WEEK = 7 * MINUTES_OF_A_DAY
#: More turns than this are not looked at for a member who never has one.
_MOST_TURNS = 5000
_MOST_GAPS = 3


def contradictions(tree: Tree) -> Iterator[FoundFault]:
    """Faults of rotas, and of services that name one. `tree`: all settings, as read."""
    sections = section_of(tree, "rotas")
    people = {str(person.get("id")) for _, person in entries(tree, "people")}
    services = {str(service.get("name")) for _, service in entries(tree, "services")}
    for name, section in _valid(tree).items():
        at: Loc = ("rotas", name)
        if name in services:
            yield at, "is also the name of a service, so that `oncall` could mean either; choose another name"
        for loc, person in _named(section):
            if person not in people:
                yield (*at, *loc), f"is not the id of a person under `people`; {nearest(person, people)}"
        builder = RotaBuilder(name, section)
        rota = builder.built()
        yield from (((*at, *loc), message) for loc, message in builder.faults)
        yield from (((*at, *loc), message) for loc, message in _of_others(name, section, sections))
        if not builder.faults:
            yield from (((*at, *loc), message) for loc, message in _of_whole(rota))
    for loc, service in entries(tree, "services"):
        for number, named in enumerate(_texts(service.get("on_call"))):
            rota_name = named.removeprefix(ROTA)
            if named.startswith(ROTA) and rota_name not in sections:
                yield (*loc, "on_call", number), f"names no rota under `rotas`; {nearest(rota_name, sections)}"


def coming_gaps(tree: Tree, now: datetime) -> Iterator[FoundFault]:
    """Warnings: times in the coming days in which nobody is on call. Of a file without faults."""
    rotas = {name: RotaBuilder(name, section).built() for name, section in _valid(tree).items()}
    duties = Duties({}, rotas, lambda: now)
    for name, rota in rotas.items():
        found = duties.gaps(name, now, now + LOOKED_AHEAD)
        for gap in found[:_MOST_GAPS]:
            yield ("rotas", name), spell_gap(gap, f"rota {name}", rota.zone)
        if len(found) > _MOST_GAPS:
            message = f"has {len(found) - _MOST_GAPS} more such gaps within {LOOKED_AHEAD.days} days"
            yield ("rotas", name), f"{message}; `oncall {name}` lists them"


def _valid(tree: Tree) -> dict[str, RotaSettings]:
    """The rotas whose keys have no fault by themselves."""
    found = {}
    for name, given in section_of(tree, "rotas").items():
        try:
            found[str(name)] = RotaSettings.model_validate(given)
        except ValidationError:
            continue  # Its faults are found, and told, with those of all other sections.
    return found


def _named(section: RotaSettings) -> Iterator[tuple[Loc, str]]:
    """Every person that a rota names, with the place."""
    for number, layer in enumerate(section.layers):
        for which, member in enumerate(layer.members):
            yield from ((("layers", number, "members", which), person) for person in member)
    for number, put in enumerate(section.replace):
        yield from ((("replace", number, "put"), person) for person in put.put)
        if put.instead_of != EVERYONE and not put.instead_of.startswith("layer "):
            yield ("replace", number, "instead_of"), put.instead_of
    for number, addition in enumerate(section.add):
        yield from ((("add", number, "who"), person) for person in addition.who)
    for number, period in enumerate(section.fixed):
        for which, shift in enumerate(period.shifts):
            yield from ((("fixed", number, "shifts", which, "who"), person) for person in shift.who)
    yield from ((("leave", person), person) for person in section.leave)


def _of_others(name: str, section: RotaSettings, sections: Tree) -> Iterator[FoundFault]:
    """Layers of one name, and the rota that fills gaps: it must be there, and must not lead back."""
    first: dict[str, int] = {}
    for number, layer in enumerate(section.layers):
        if layer.name in first:
            message = f"is also the name of layers[{first[layer.name]}]; give each layer a name of its own"
            yield ("layers", number, "name"), message
        first.setdefault(layer.name, number)
    seen, to = [name], section.gaps_to
    while to:
        if to not in sections:
            if len(seen) == 1:
                yield ("gaps",), f"names no rota under `rotas`; {nearest(to, sections)}"
            return
        if to in seen:
            yield ("gaps",), "leads back to this rota, so nobody would fill the gap; name another one"
            return
        seen.append(to)
        gaps = section_of(sections, to).get("gaps")
        to = str(gaps.get("to", "")).removeprefix(ROTA) if isinstance(gaps, dict) else ""


def _of_whole(rota: Rota) -> Iterator[FoundFault]:
    counting = [(number, layer) for number, layer in enumerate(rota.layers) if not layer.shadow]
    if not counting:
        yield ("layers",), "are all shadows, who do not count as on call; add a layer of people who do"
        return
    for number, layer in counting:
        if never := _never_on_call(layer):
            message = f"gives {' and '.join(never)} no hour ever: all their turns are outside of `only`"
            yield ("layers", number, "members"), f"{message}; set counts_excluded_days: false, or change the turn"
    people = {one for _, layer in counting for member in layer.members for one in member}
    people |= {one for put in rota.replace for one in put.people} | {one for more in rota.add for one in more.people}
    if len(people) < rota.at_least:
        yield ("at_least",), f"is above the {len(people)} people of the rota; name more people, or lower it"
    strict = rota.gaps is GapRule.FORBIDDEN and not rota.gaps_to
    if strict and (hole := _hole(layer for _, layer in counting if not _only_on_holidays(rota, layer))):
        message = f"have no hours from {_of_week(hole[0])} to {_of_week(hole[1])} of each week"
        yield ("layers",), f"{message}; add hours or a layer, or write `gaps: allowed`"


def _only_on_holidays(rota: Rota, layer: Layer) -> bool:
    return rota.holidays is not None and rota.holidays.layer == layer.name


def _never_on_call(layer: Layer) -> Together:
    """Members all of whose turns are outside of the layer's hours, because both repeat with the weeks."""
    turn = layer.turn
    if turn is None or not layer.only or turn.elapsed or not layer.counts_excluded_days:
        return ()
    cycle = cycle_of(turn)
    turns = lcm(cycle, len(layer.members) * turn.per_member)
    if turns > _MOST_TURNS:
        return ()
    open_turns, member = [has_hours(layer, number) for number in range(cycle)], members_of(layer)
    served = {one for number in range(turns) if open_turns[number % cycle] for one in member(number)}
    return tuple(dict.fromkeys(one for each in layer.members for one in each if one not in served))


def _hole(layers: Iterator[Layer]) -> tuple[int, int] | None:
    """The first time of a week, in minutes, that no layer has hours for."""
    taken = []
    for layer in layers:
        if not layer.only:
            return None
        taken += [
            (day * MINUTES_OF_A_DAY + one.begin + week, day * MINUTES_OF_A_DAY + last_minute(one) + week)
            for one in layer.only
            for day in one.days
            for week in (-_WEEK, 0)
        ]
    at = 0
    for begin, end in [*sorted(taken), (_WEEK, _WEEK)]:
        if begin > at:
            return at, begin
        at = max(at, end)
    return None


def _of_week(minutes: int) -> str:
    day, clock = divmod(minutes, MINUTES_OF_A_DAY)
    return f"{DAYS[day % 7].title()} {clock // 60:02}:{clock % 60:02}"


def _texts(given: object) -> list[str]:
    return [one for one in given if isinstance(one, str)] if isinstance(given, list) else []
