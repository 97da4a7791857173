"""dr: every store against its RPO and RTO, or the ordered asks that bring a service back.

It runs none of them: each ask goes through the same plan and approvals as when it is typed by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from bot.backups import disaster, reports
from bot.backups.disaster import StoreInDisaster
from bot.chatops.arguments import Name
from bot.core.action import Tools
from bot.core.errors import Rejected
from bot.core.manual import Facility, Manual, Topic
from bot.core.plan import Outcome, Plan, Result, Risk
from bot.core.request import Principal


@dataclass(frozen=True, kw_only=True)
class DrArgs:
    service: Annotated[str | None, Name()] = None


_MANUAL = Manual(
    topic=Topic.BACKUPS,
    examples=("dr", "dr {service}"),
    details="It runs nothing. `vakhta dr export` writes the same, with commands that work while the bot is down.",
    needs=(Facility.BACKUPS,),
)


@dataclass(frozen=True)
class DrAction:
    verb: str = "dr"
    usage: str = "dr [<service>]"
    summary: str = "show the steps that bring a service back"
    manual: Manual = _MANUAL
    args: type[DrArgs] = DrArgs
    risk: Risk = Risk.NONE
    read_only: bool = True
    long_running: bool = False
    limits: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({"changed": "nothing"}))

    def target(self, args: DrArgs) -> str:
        return args.service or ""

    def plan(self, args: DrArgs, tools: Tools) -> Plan:
        if args.service:
            _of_service(args.service, tools)
        else:
            reports.backups_of(tools)
        return Plan(target=self.target(args), effect=("Read the stores.",), blast_radius="nothing is changed")

    def run(self, args: DrArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        now = tools.now()
        if args.service is None:
            return _answer(disaster.at_a_glance(list(_stores(tools)), now))
        workload = tools.targets is not None and args.service in tools.targets.names()
        steps = disaster.steps_for(args.service, _of_service(args.service, tools), now, workload=workload)
        return _answer(disaster.describe_steps(args.service, steps, now))

    def probe(self, args: DrArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        return Outcome(result=Result.FAILED, message="`dr` only reads, so nothing was changed. Try again.")


def _stores(tools: Tools) -> Iterator[StoreInDisaster]:
    backups = reports.backups_of(tools)
    for store in backups.stores.values():
        report, drills = reports.report_on(backups, store, tools.now)
        yield StoreInDisaster(report=report, drills=drills)


def _of_service(service: str, tools: Tools) -> list[StoreInDisaster]:
    """Raises `Rejected`: no store belongs to it."""
    found = list(_stores(tools))
    mine = [one for one in found if one.report.service == service]
    if not mine:
        of_store = next((one.report.service for one in found if one.report.store == service), "")
        if of_store:
            message = f"{service} is a store. Nothing was done. Its service: `dr {of_store}`."
            raise Rejected(message, code="no_service", status=404)
        known = ", ".join(sorted({one.report.service for one in found if one.report.service})) or "none"
        message = f"No store of backups belongs to {service}. Nothing was done. Services with stores: {known}."
        raise Rejected(message, code="no_store", status=404)
    return mine


def _answer(lines: list[str]) -> Outcome:
    return Outcome(result=Result.DONE, message="\n".join(lines))


action = DrAction()
