"""autosync: pause Argo CD's automatic sync of a service's application, and restore it as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from types import MappingProxyType
from typing import Annotated

from bot.chatops.arguments import Duration, Keyword, Name, OneOf
from bot.core.action import Tools
from bot.core.errors import Rejected
from bot.core.manual import Facility, Manual, Topic
from bot.core.plan import Outcome, Plan, Risk
from bot.core.request import Principal
from bot.workloads.gitops import autosync


@dataclass(frozen=True, kw_only=True)
class AutosyncArgs:
    service: Annotated[str, Name()]
    state: Annotated[str, OneOf("on", "off")]
    held: Annotated[
        timedelta | None, Duration(minimum=timedelta(minutes=1), maximum=timedelta(days=7)), Keyword("for")
    ] = None


_MANUAL = Manual(
    topic=Topic.WORKLOADS,
    examples=("autosync {service} off for 2h", "autosync {service} on"),
    details="With `for` it is resumed by itself. Then git's state is applied.",
    way_back="`autosync {service} on`, or `undo` and the run.",
    needs=(Facility.WORKLOAD,),
)


@dataclass(frozen=True)
class AutosyncAction:
    verb: str = "autosync"
    usage: str = "autosync <service> <on|off> [for <duration>]"
    summary: str = "pause Argo CD's sync of a service, or resume it"
    manual: Manual = _MANUAL
    args: type[AutosyncArgs] = AutosyncArgs
    risk: Risk = Risk.REVERSIBLE
    read_only: bool = False
    long_running: bool = False
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType(
            {
                "applications": "none that an ApplicationSet or another application manages",
                "on": "only where it was switched off here, and as it was then",
            }
        )
    )

    def target(self, args: AutosyncArgs) -> str:
        return args.service

    def plan(self, args: AutosyncArgs, tools: Tools) -> Plan:
        if args.state == "on" and args.held:
            message = "`for` is only valid with `off`. Nothing was done. Leave `for` out."
            raise Rejected(message, code="bad_duration", status=HTTPStatus.BAD_REQUEST)
        one = autosync.find_application(args.service, tools)
        return autosync.plan_on(one) if args.state == "on" else autosync.plan_off(one, args.held or timedelta(0))

    def run(self, args: AutosyncArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        one = autosync.find_application(args.service, tools)
        return (autosync.run_on if args.state == "on" else autosync.run_off)(one, plan, run)

    def probe(self, args: AutosyncArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        return autosync.probe(autosync.find_application(args.service, tools), plan, run)


action = AutosyncAction()
