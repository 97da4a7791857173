"""override: somebody is on call in the place of others, for a while. It counts over whatever the settings say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from bot.chatops.arguments import Duration, FreeText, Keyword, Name, Person
from bot.core.command import CommandContext
from bot.core.manual import Facility, Manual, Topic
from bot.core.request import Reply, Request
from bot.lib.text import spell_duration, spell_list
from bot.oncall.describe import spell_local

_LONGEST = timedelta(days=92)
_LONGEST_MOMENT = 64


@dataclass(frozen=True, kw_only=True)
class OverrideArgs:
    rota: Annotated[str, Name()]
    person: Annotated[str, Person()]
    duration: Annotated[timedelta, Duration(_LONGEST, timedelta(minutes=1))]
    absent: Annotated[str, Person(), Keyword("instead")] = ""
    moment: Annotated[
        str,
        FreeText(max_length=_LONGEST_MOMENT, question="From which time on, such as 18:00?", placeholder="time"),
        Keyword("from"),
    ] = ""


_MANUAL = Manual(
    topic=Topic.PEOPLE,
    examples=("override orders-primary {person} 8h", "override orders-primary {person} 12h from 2026-12-24 18:00"),
    details="Without `instead`, of everybody who is on call; without `from`, from now on. Times are the rota's.",
    way_back="`remove-override` ends it. `oncall ROTA` lists them.",
    needs=(Facility.ROTA,),
)


@dataclass(frozen=True)
class OverrideCommand:
    verb: str = "override"
    usage: str = "override <rota> <person> <duration> [instead <absent>] [from <time>]"
    summary: str = "put somebody on call in the place of others"
    manual: Manual = _MANUAL
    args: type[OverrideArgs] = OverrideArgs
    read_only: bool = False

    def run(self, request: Request, args: OverrideArgs, context: CommandContext) -> Reply:
        return Reply(text=" ".join(_said(args, context)), shared=True)


def _said(args: OverrideArgs, context: CommandContext) -> Iterator[str]:
    made = context.on_call.override(args.rota, args.person, args.duration, instead_of=args.absent, start=args.moment)
    one, zone, names = made.override, made.zone, context.get_name
    yield f"{names(args.person)} is on call for rota {args.rota} from {spell_local(one.start, zone)} to"
    place = f", in the place of {spell_list(map(names, made.replaced), 'and')}" if made.replaced else ""
    yield f"{spell_local(one.end, zone)} ({spell_duration(one.end - one.start)}){place}."
    yield f"`remove-override {made.id}` ends it."


command = OverrideCommand()
