"""silences: which stand now, whose, and until when.

It changes nothing. It is an action because only actions are given tools; its plan is the look, and running it tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from bot.alerts import silences
from bot.chatops.arguments import NoArguments
from bot.core.action import Tools
from bot.core.plan import Outcome, Plan, Result, Risk
from bot.core.request import Principal
from bot.core.silences import ActiveSilence

_SHOWN = 20


@dataclass(frozen=True)
class SilencesAction:
    verb: str = "silences"
    usage: str = "silences"
    summary: str = "list the silences that stand, the first to end first"
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
        standing = sorted(silences.silences_of(tools).active(""), key=lambda one: (one.ends_at, one.id))
        effect = [_line(one) for one in standing[:_SHOWN]] or ["No silence stands."]
        if len(standing) > _SHOWN:
            effect.append(f"... and {len(standing) - _SHOWN} more; Alertmanager shows them all.")
        return Plan(target="", effect=tuple(effect), blast_radius="nothing is changed")

    def run(self, args: NoArguments, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        return Outcome(result=Result.DONE, message="\n".join(plan.effect))

    def probe(self, args: NoArguments, plan: Plan, run: str, tools: Tools) -> Outcome:
        return Outcome(result=Result.FAILED, message="A list changes nothing. Ask again.")


def _line(one: ActiveSilence) -> str:
    matchers, comment = silences.format_matchers(one.matchers), " ".join(one.comment.split())
    return f"{one.id} until {one.ends_at:%Y-%m-%d %H:%M} UTC by {one.by or '?'}: {matchers[:200]} ({comment[:200]})"


action = SilencesAction()
