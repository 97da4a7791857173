"""silences: list the active silences of Alertmanager, with author and end.

It changes nothing. It is an action because only actions get tools: its plan reads the list, its run answers with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from bot.alerts import silences
from bot.chatops.arguments import NoArguments
from bot.core.action import Tools
from bot.core.manual import Facility, Manual, Topic
from bot.core.plan import Outcome, Plan, Result, Risk
from bot.core.request import Principal
from bot.core.silences import ActiveSilence

_SHOWN = 20


_MANUAL = Manual(topic=Topic.SILENCES, examples=("silences",), needs=(Facility.SILENCES,))


@dataclass(frozen=True)
class SilencesAction:
    verb: str = "silences"
    usage: str = "silences"
    summary: str = "list the active silences, the first to end first"
    manual: Manual = _MANUAL
    args: type[NoArguments] = NoArguments
    risk: Risk = Risk.NONE
    read_only: bool = True
    long_running: bool = False
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({"shown": f"the first {_SHOWN}", "changed": "nothing"})
    )

    def target(self, args: NoArguments) -> str:
        return ""

    def plan(self, args: NoArguments, tools: Tools) -> Plan:
        active = sorted(silences.silences_of(tools).active(""), key=lambda one: (one.ends_at, one.id))
        effect = [_line(one) for one in active[:_SHOWN]] or ["There are no active silences."]
        if len(active) > _SHOWN:
            effect.append(f"... and {len(active) - _SHOWN} more; Alertmanager lists all.")
        return Plan(target="", effect=tuple(effect), blast_radius="nothing is changed")

    def run(self, args: NoArguments, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        return Outcome(result=Result.DONE, message="\n".join(plan.effect))

    def probe(self, args: NoArguments, plan: Plan, run: str, tools: Tools) -> Outcome:
        return Outcome(result=Result.FAILED, message="`silences` only reads, so nothing was changed. Try again.")


def _line(one: ActiveSilence) -> str:
    matchers, comment = silences.format_matchers(one.matchers), " ".join(one.comment.split())
    return f"{one.id} until {one.ends_at:%Y-%m-%d %H:%M} UTC by {one.by or '?'}: {matchers[:200]} ({comment[:200]})"


action = SilencesAction()
