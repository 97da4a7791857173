"""Shifts and gaps in words: times in UTC and in the zone of the rota, people by their names, and the reason. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from bot.core.rota import RotaGap, Shift, ShiftSource
from bot.lib.text import spell_list, spell_moment

#: The name of the person with that id.
Names = Callable[[str], str]


def spell_local(at: datetime, zone: ZoneInfo) -> str:
    """ "2026-12-07 09:00 UTC (10:00 Europe/Berlin)", with the day where it is another one there."""
    local, utc = at.astimezone(zone), spell_moment(at)
    if zone.key in ("UTC", "Etc/UTC"):
        return utc
    day = "" if f"{local:%Y-%m-%d}" == utc[:10] else f"{local:%Y-%m-%d} "
    return f"{utc} ({day}{local:%H:%M} {zone.key})"


def spell_gap(gap: RotaGap, called: str, zone: ZoneInfo, names: Names = str) -> str:
    """A sentence that is hard to overlook. `called`: for what, such as "rota orders-primary"."""
    when = f"from {spell_local(gap.start, zone)} to {spell_local(gap.end, zone)}"
    if gap.have:
        people = "person is" if gap.have == 1 else "people are"
        told = f"Only {gap.have} {people} on call for {called} {when}; {gap.need} are needed"
    else:
        told = f"Nobody is on call for {called} {when}"
    why = [f"{spell_list(map(names, gap.away), 'and')} on leave"] if gap.away else []
    why += [f"turn of layer {name} is vacant" for name in gap.vacant]
    return f"{told} ({'; '.join(why)})." if why else f"{told}."


def spell_reason(shift: Shift, names: Names = str) -> str:
    """Why they are on call: "by layer weekly", "in the place of Ana, by an override of Bo"."""
    place = f"in the place of {spell_list(map(names, shift.instead_of), 'and')}" if shift.instead_of else ""
    by = names(shift.by) if shift.by else ""
    reason = {
        ShiftSource.LAYER: f"by layer {shift.layer}",
        ShiftSource.HOLIDAY: f"by layer {shift.layer}, for the public holiday",
        ShiftSource.REPLACE: "by `replace` of the settings",
        ShiftSource.ADD: "by `add` of the settings",
        ShiftSource.FIXED: "by a fixed period of the settings",
        ShiftSource.CHANGE: f"by an override of {by}",
        ShiftSource.OTHER_ROTA: f"from rota {shift.layer}, as this one has nobody",
    }[shift.source]
    told = f"{place}, {reason}" if place else reason
    return f"{told}; as a shadow, who does not count" if shift.shadow else told


def spell_people(people: Iterable[str], names: Names = str) -> str:
    """ "Ana and Bo"; "nobody" for none."""
    return spell_list(map(names, people), "and") or "nobody"
