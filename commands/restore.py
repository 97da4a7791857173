"""restore: a copy of a store from a backup or a moment, beside the live data, checked before anybody uses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from bot.backups import restore
from bot.backups.restore_plan import RestoreRequest
from bot.backups.restore_points import PointRequest
from bot.chatops.arguments import BackupId, FreeText, Keyword, Name, OneOf
from bot.core.action import Tools
from bot.core.manual import Facility, Manual, Topic
from bot.core.plan import Outcome, Plan, Risk
from bot.core.request import Principal

_LONGEST_MOMENT = 64


@dataclass(frozen=True, kw_only=True)
class RestoreArgs:
    store: Annotated[str, Name()]
    newest: Annotated[str, OneOf("latest")] = ""
    backup: Annotated[str, BackupId(), Keyword("from")] = ""
    moment: Annotated[
        str,
        FreeText(max_length=_LONGEST_MOMENT, question="At which time, such as 14:30 UTC?", placeholder="time"),
        Keyword("at"),
    ] = ""

    @property
    def wish(self) -> RestoreRequest:
        return RestoreRequest(
            store=self.store, point=PointRequest(backup=self.backup, moment=self.moment, latest=bool(self.newest))
        )


_MANUAL = Manual(
    topic=Topic.BACKUPS,
    examples=(
        "restore {store}",
        "restore {store} at 14:30 Europe/Berlin",
        "restore {store} from b1",
    ),
    details="Without a backup or a time, the newest. `backups` lists what there is.",
    way_back="Nothing live is changed. `remove-copy <run>` removes the copy.",
    approval="Always another person, who types the store's name.",
    needs=(Facility.BACKUPS,),
)


@dataclass(frozen=True)
class RestoreAction:
    verb: str = "restore"
    usage: str = "restore <store> [latest] [from <backup>] [at <time>]"
    summary: str = "restore beside the live data, and check the copy"
    manual: Manual = _MANUAL
    args: type[RestoreArgs] = RestoreArgs
    risk: Risk = Risk.IRREVERSIBLE
    read_only: bool = False
    long_running: bool = True
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType(
            {
                "place": "always beside the live data, never over it",
                "backups": "only usable ones that outlast the restore",
                "room": "only where the copy fits",
            }
        )
    )

    def target(self, args: RestoreArgs) -> str:
        return args.store

    def plan(self, args: RestoreArgs, tools: Tools) -> Plan:
        return restore.plan(args.wish, tools)

    def run(self, args: RestoreArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        return restore.run(args.wish, plan, run, tools)

    def probe(self, args: RestoreArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        return restore.probe(run, tools)


action = RestoreAction()
