"""backup: a backup of a store, made now, waited for and looked up among the usable ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from bot.backups import backup_now
from bot.chatops.arguments import Name
from bot.core.action import Tools
from bot.core.manual import Facility, Manual, Topic
from bot.core.plan import Outcome, Plan, Risk
from bot.core.request import Principal


@dataclass(frozen=True, kw_only=True)
class BackupArgs:
    store: Annotated[str, Name()]


_MANUAL = Manual(
    topic=Topic.BACKUPS,
    examples=("backup {store}",),
    details="Before a change that may go wrong. `backups` shows what there is.",
    way_back="There is none, and none is needed: the bot deletes no backups.",
    needs=(Facility.BACKUPS,),
)


@dataclass(frozen=True)
class BackupAction:
    verb: str = "backup"
    usage: str = "backup <store>"
    summary: str = "make a backup of a store now"
    manual: Manual = _MANUAL
    args: type[BackupArgs] = BackupArgs
    risk: Risk = Risk.REVERSIBLE
    read_only: bool = False
    long_running: bool = True
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({"stores": "those whose engine makes backups", "deleted": "nothing"})
    )

    def target(self, args: BackupArgs) -> str:
        return args.store

    def plan(self, args: BackupArgs, tools: Tools) -> Plan:
        return backup_now.plan(args.store, tools)

    def run(self, args: BackupArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        return backup_now.run(args.store, run, tools)

    def probe(self, args: BackupArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        return backup_now.probe(args.store, run, tools)


action = BackupAction()
