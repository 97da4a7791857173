"""unsilence: end a silence at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated

from bot.alerts import silences as silencing
from bot.chatops.arguments import Matchers, Name
from bot.core.action import Tools
from bot.core.errors import Conflict, Rejected
from bot.core.manual import Facility, Manual, Topic
from bot.core.plan import Outcome, Plan, Result, Risk
from bot.core.request import Principal
from bot.core.silences import ActiveSilence, MatchedAlert
from bot.lib.text import spell
from commands.silence import LONGEST, SHORTEST


@dataclass(frozen=True, kw_only=True)
class UnsilenceArgs:
    silence: Annotated[str, Name()]


_MANUAL = Manual(
    topic=Topic.SILENCES,
    examples=("unsilence 0d3e2c1b-9f0a-4c5d-8e7f-1a2b3c4d5e6f",),
    details="`silences` lists the ids.",
    way_back="The result shows the command that sets it again.",
    needs=(Facility.SILENCES,),
)


@dataclass(frozen=True)
class UnsilenceAction:
    verb: str = "unsilence"
    usage: str = "unsilence <silence>"
    summary: str = "end a silence in Alertmanager at once"
    manual: Manual = _MANUAL
    args: type[UnsilenceArgs] = UnsilenceArgs
    risk: Risk = Risk.REVERSIBLE
    read_only: bool = False
    long_running: bool = False
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({"silence": "an active one, by its whole id"})
    )

    def target(self, args: UnsilenceArgs) -> str:
        return f"silence/{args.silence}"

    def plan(self, args: UnsilenceArgs, tools: Tools) -> Plan:
        silences = silencing.silences_of(tools)
        found = _find(args, silences.active(""))
        if found is None:
            message = (
                f"There is no active silence {args.silence[:40]!r}. Nothing was done. `silences` lists the active ones."
            )
            raise Rejected(message, code="no_silence", status=404)
        unsilenced = silences.silenced_alerts(found.id)
        return Plan(
            target=self.target(args),
            effect=(
                f"The silence for {silencing.format_matchers(found.matchers)} ends at once.",
                f"Set by {found.by or 'nobody'} until {found.ends_at:%Y-%m-%d %H:%M} UTC, because: {_reason(found)}",
                *_notifying(unsilenced),
                _undo_line(found),
            ),
            blast_radius=silencing.describe_scope(unsilenced),
            preconditions=_seen(found),
        )

    def run(self, args: UnsilenceArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        silences = silencing.silences_of(tools)
        found = _find(args, silences.active(""))
        if found is None:
            raise Conflict("The silence has ended already. Nothing was done.")
        changed = [name for name, value in _seen(found).items() if plan.preconditions.get(name) != value]
        if changed:
            raise Conflict(f"The silence was changed since the plan: {', '.join(changed)}. Nothing was done.")
        silences.expire(found.id)
        undo = _undo(found, found.ends_at - tools.now())
        message = f"Silence {found.id} is over." + (f" `{undo}` sets it again." if undo else "")
        return Outcome(result=Result.DONE, message=message, undo_command=undo)

    def probe(self, args: UnsilenceArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        if _find(args, silencing.silences_of(tools).active("")) is None:
            return Outcome(result=Result.DONE, message=f"Silence {args.silence} is over.")
        return Outcome(result=Result.FAILED, message=f"Silence {args.silence} is still active. Nothing was changed.")


def _find(args: UnsilenceArgs, active: Sequence[ActiveSilence]) -> ActiveSilence | None:
    return next((one for one in active if one.id == args.silence), None)


def _seen(found: ActiveSilence) -> dict[str, str]:
    return {
        "matchers": silencing.format_matchers(found.matchers),
        "until": found.ends_at.isoformat(),
        "by": found.by,
        "comment": found.comment,
    }


def _reason(found: ActiveSilence) -> str:
    return " ".join(found.comment.split())[:200] or "(no reason given)"


def _notifying(unsilenced: Sequence[MatchedAlert]) -> tuple[str, ...]:
    if not unsilenced:
        return ("It alone silences no alert that fires now.",)
    count = len(unsilenced)
    return (f"Alerts that fire now and notify again: {count}", *silencing.describe_kinds(unsilenced))


def _undo_line(found: ActiveSilence) -> str:
    if silencing.is_specific(found.matchers):
        return "Undo: it can be set again for the rest of its time; the result shows the command."
    return "No undo: it is wider than `silence` allows, so it cannot be set again from here."


def _undo(found: ActiveSilence, left: timedelta) -> str:
    """The command that sets it again, for at most as long as `silence` allows; "" where `silence` would refuse it."""
    if left < SHORTEST or not silencing.is_specific(found.matchers):
        return ""
    whole = timedelta(minutes=min(left, LONGEST) // timedelta(minutes=1))
    return f"silence {Matchers().format(found.matchers)} for {spell(whole)}"


action = UnsilenceAction()
