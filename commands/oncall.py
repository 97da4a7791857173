"""oncall: who is on call for a service or by a rota, now or at a time; until when, why, who is next, and gaps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import FreeText, Keyword, Name
from bot.core.command import CommandContext, OnCallReport, ServiceOnCall
from bot.core.manual import Facility, Manual, Topic
from bot.core.request import Reply, Request
from bot.core.rota import RotaView
from bot.lib.text import spell_moment
from bot.oncall.describe import spell_gap, spell_local, spell_people, spell_reason

#: The most services, and the most rotas, of an answer about all.
_MOST = 20
_MOST_GAPS = _MOST_OVERRIDES = 5
_LONGEST_MOMENT = 64

_Names = Callable[[str], str]


@dataclass(frozen=True, kw_only=True)
class OnCallArgs:
    service_or_rota: Annotated[str, Name(of="service or rota")] = ""
    moment: Annotated[
        str,
        FreeText(max_length=_LONGEST_MOMENT, question="At which time, such as 2026-12-24 18:00?", placeholder="time"),
        Keyword("at"),
    ] = ""


_MANUAL = Manual(
    topic=Topic.PEOPLE,
    examples=("oncall", "oncall at 18:00 Europe/Berlin", "oncall at 2026-12-24 18:00"),
    details="A time is local to the zone of the rota, unless it names a zone; of all rotas it is UTC.",
    needs=(Facility.ON_CALL,),
)


@dataclass(frozen=True)
class OnCallCommand:
    verb: str = "oncall"
    usage: str = "oncall [<service or rota>] [at <time>]"
    summary: str = "show who is on call, until when, and who is next"
    manual: Manual = _MANUAL
    args: type[OnCallArgs] = OnCallArgs
    read_only: bool = True

    def run(self, request: Request, args: OnCallArgs, context: CommandContext) -> Reply:
        names = context.get_name
        if args.service_or_rota:
            report = context.on_call.look_up(args.service_or_rota, args.moment)
            return Reply(text="\n".join(_of_one(report, names)))
        return Reply(text="\n".join(_of_all(context.on_call.look_up_all(args.moment, _MOST), names)))


def _of_one(report: OnCallReport, names: _Names) -> Iterator[str]:
    for service in report.services:
        yield f"On call for {service.name} at {spell_moment(report.at)}:"
        if service.always:
            yield f"{spell_people(service.always, names)}, always, by the settings."
    for view in report.rotas:
        yield f"Rota {view.rota} at {spell_local(report.at, view.zone)}:"
        yield from _shifts(view, names)
        yield from _overrides(report, view, names)
        yield from _gaps(view, names) if view.gaps else ("No gap within 30 days.",)


def _of_all(report: OnCallReport, names: _Names) -> Iterator[str]:
    if not report.services and not report.rotas:
        yield "Nobody is on call, by the settings: no service names anybody, and there is no rota."
        return
    yield f"On call at {spell_moment(report.at)}:"
    yield from (_service_line(one, names) for one in report.services)
    for view in report.rotas:
        yield f"Rota {view.rota}: {'; '.join(_in_short(view, names))}."
    for view in report.rotas:
        yield from _gaps(view, names)
    if report.left_out:
        yield f"... and {report.left_out} more services and rotas; `oncall NAME` shows one."


def _service_line(service: ServiceOnCall, names: _Names) -> str:
    always = [spell_people(service.always, names)] if service.always else []
    return f"{service.name}: {', '.join([*always, *(f'rota {one}' for one in service.rotas)])}"


def _shifts(view: RotaView, names: _Names) -> Iterator[str]:
    if all(one.shadow for one in view.shifts):
        until = f" until {spell_local(view.until, view.zone)}" if view.until else ""
        yield f"Nobody is on call{until}."
    for one in view.shifts:
        until = f"until {spell_local(one.end, view.zone)}" if one.end < view.followed_to else "for more than a year"
        yield f"{spell_people(one.people, names)}, {spell_reason(one, names)}, {until}."
    for one in view.coming:
        if one not in view.shifts and not one.shadow:
            then = f"Then {spell_people(one.people, names)}, {spell_reason(one, names)}"
            until = f"until {spell_local(one.end, view.zone)}" if one.end < view.followed_to else "for more than a year"
            yield f"{then}, {until}."


def _in_short(view: RotaView, names: _Names) -> Iterator[str]:
    counting = [person for one in view.shifts if not one.shadow for person in one.people]
    until = f" until {spell_local(view.until, view.zone)}" if view.until else ""
    yield f"{spell_people(dict.fromkeys(counting), names)}{until}"
    if view.until is not None:
        coming = [person for one in view.coming if not one.shadow for person in one.people]
        yield f"then {spell_people(dict.fromkeys(coming), names)}"


def _overrides(report: OnCallReport, view: RotaView, names: _Names) -> Iterator[str]:
    """Those that people made and that are not over, each with its id, by which it is ended."""
    for made in [one for one in report.overrides if one.rota == view.rota][:_MOST_OVERRIDES]:
        one = made.override
        place = names(one.person) if one.person else "everybody"
        when = f"from {spell_local(one.start, view.zone)} to {spell_local(one.end, view.zone)}"
        yield f"Override {made.id} of {names(one.by)}: {spell_people(one.people, names)} for {place} {when}."


def _gaps(view: RotaView, names: _Names) -> Iterator[str]:
    for gap in view.gaps[:_MOST_GAPS]:
        yield f"WARNING: {spell_gap(gap, f'rota {view.rota}', view.zone, names)}"
    if len(view.gaps) > _MOST_GAPS:
        yield f"WARNING: ... and {len(view.gaps) - _MOST_GAPS} more gaps of rota {view.rota} within 30 days."


command = OnCallCommand()
