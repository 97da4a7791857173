"""backups: what could be restored now, of every store or of one.

It answers from the last look, which the bot takes every few minutes; a store that was not looked at lately is looked at
now, so that the answer also holds where no bot runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from bot.backups import describe, reports
from bot.chatops.arguments import Name
from bot.core.action import Tools
from bot.core.manual import Facility, Manual, Topic
from bot.core.plan import Outcome, Plan, Result, Risk
from bot.core.request import Principal


@dataclass(frozen=True, kw_only=True)
class BackupsArgs:
    store: Annotated[str | None, Name()] = None


_MANUAL = Manual(
    topic=Topic.BACKUPS,
    examples=("backups", "backups {store}"),
    details="A store is red while nothing that can be restored is as new as promised, or no drill has passed.",
    needs=(Facility.BACKUPS,),
)


@dataclass(frozen=True)
class BackupsAction:
    verb: str = "backups"
    usage: str = "backups [<store>]"
    summary: str = "show what could be restored, and the last drills"
    manual: Manual = _MANUAL
    args: type[BackupsArgs] = BackupsArgs
    risk: Risk = Risk.NONE
    read_only: bool = True
    long_running: bool = False
    limits: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({"changed": "nothing"}))

    def target(self, args: BackupsArgs) -> str:
        return args.store or ""

    def plan(self, args: BackupsArgs, tools: Tools) -> Plan:
        backups = reports.backups_of(tools)
        if args.store:
            reports.store_of(backups, args.store)
        return Plan(target=self.target(args), effect=("Read the backups.",), blast_radius="nothing is changed")

    def run(self, args: BackupsArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        backups, now = reports.backups_of(tools), tools.now()
        if args.store:
            store = reports.store_of(backups, args.store)
            report, drills = reports.report_on(backups, store, tools.now, look=True)
            copies = describe.describe_copies(backups.records.list_restores(store.name))
            return _answer([*describe.describe_store(store, report, drills, now), *copies])
        found = [reports.report_on(backups, store, tools.now)[0] for store in backups.stores.values()]
        return _answer(describe.describe_all(found, now))

    def probe(self, args: BackupsArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        return Outcome(result=Result.FAILED, message="`backups` only reads, so nothing was changed. Try again.")


def _answer(lines: list[str]) -> Outcome:
    return Outcome(result=Result.DONE, message="\n".join(lines))


action = BackupsAction()
