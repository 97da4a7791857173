"""silences: which stand now, whose, and until when.

It changes nothing. It is an action because only actions are given tools; its plan is the look, and running it tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from bot import silencing
from bot.acting import Silenced, Tools
from bot.acts import Ended, Outcome, Plan, Risk
from bot.kinds import Nothing
from bot.model import Principal

_SHOWN = 20


@dataclass(frozen=True)
class StandingSilences:
    verb: str = "silences"
    usage: str = "silences"
    says: str = "list the silences that stand, the first to end first"
    args: type[Nothing] = Nothing
    risk: Risk = Risk.NONE
    reads: bool = True
    slow: bool = False
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({"shown": f"the first {_SHOWN}", "changed": "nothing"})
    )

    def target(self, args: Nothing) -> str:
        return ""

    def plan(self, args: Nothing, tools: Tools) -> Plan:
        standing = sorted(silencing.tool(tools).standing(""), key=lambda one: (one.ends_at, one.id))
        effect = [_line(one) for one in standing[:_SHOWN]] or ["No silence stands."]
        if len(standing) > _SHOWN:
            effect.append(f"... and {len(standing) - _SHOWN} more; Alertmanager shows them all.")
        return Plan(target="", effect=tuple(effect), radius="nothing is changed")

    def run(self, args: Nothing, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        return Outcome(ended=Ended.DONE, said="\n".join(plan.effect))

    def probe(self, args: Nothing, plan: Plan, run: str, tools: Tools) -> Outcome:
        return Outcome(ended=Ended.FAILED, said="A list changes nothing. Ask again.")


def _line(one: Silenced) -> str:
    matchers, comment = silencing.written(one.matchers), " ".join(one.comment.split())
    return f"{one.id} until {one.ends_at:%Y-%m-%d %H:%M} UTC by {one.by or '?'}: {matchers[:200]} ({comment[:200]})"


action = StandingSilences()
