"""unsilence: a silence is over, at once."""

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
from bot.core.plan import Outcome, Plan, Result, Risk
from bot.core.request import Principal
from bot.core.silences import ActiveSilence, MatchedAlert
from bot.lib.text import spell

#: What `silence` takes, so that what it would refuse is not offered as the undo.
_SHORTEST, _LONGEST = timedelta(minutes=1), timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class UnsilenceArgs:
    silence: Annotated[str, Name()]


@dataclass(frozen=True)
class UnsilenceAction:
    verb: str = "unsilence"
    usage: str = "unsilence <silence>"
    summary: str = "end a silence of Alertmanager at once"
    args: type[UnsilenceArgs] = UnsilenceArgs
    risk: Risk = Risk.REVERSIBLE
    read_only: bool = False
    long_running: bool = False
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({"silence": "one that stands, by its whole number"})
    )

    def target(self, args: UnsilenceArgs) -> str:
        return f"silence/{args.silence}"

    def plan(self, args: UnsilenceArgs, tools: Tools) -> Plan:
        silences = silencing.silences_of(tools)
        found = _find(args, silences.active(""))
        if found is None:
            message = f"No silence {args.silence[:40]!r} stands. Nothing was done. `silences` lists those that do."
            raise Rejected(message, code="no_silence", status=404)
        ringing = silences.silenced_alerts(found.id)
        return Plan(
            target=self.target(args),
            effect=(
                f"The silence of {silencing.format_matchers(found.matchers)} ends at once.",
                f"It is {found.by or 'nobody'}'s, until {found.ends_at:%Y-%m-%d %H:%M} UTC, because: {_reason(found)}",
                *_what_rings(ringing),
                _how_undone(found),
            ),
            blast_radius=silencing.describe_scope(ringing),
            preconditions=_seen(found),
        )

    def run(self, args: UnsilenceArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        silences = silencing.silences_of(tools)
        found = _find(args, silences.active(""))
        if found is None:
            raise Conflict("That silence is over by now. Nothing was done.")
        moved = [name for name, value in _seen(found).items() if plan.preconditions.get(name) != value]
        if moved:
            raise Conflict(f"Somebody changed that silence ({', '.join(moved)}). Nothing was done.")
        silences.expire(found.id)
        undo = _undo(found, found.ends_at - tools.now())
        message = f"Silence {found.id} is over." + (f" `{undo}` sets it again." if undo else "")
        return Outcome(result=Result.DONE, message=message, undo_command=undo)

    def probe(self, args: UnsilenceArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        if _find(args, silencing.silences_of(tools).active("")) is None:
            return Outcome(result=Result.DONE, message=f"Silence {args.silence} is over.")
        return Outcome(result=Result.FAILED, message=f"Silence {args.silence} still stands. Nothing was changed.")


def _find(args: UnsilenceArgs, standing: Sequence[ActiveSilence]) -> ActiveSilence | None:
    return next((one for one in standing if one.id == args.silence), None)


def _seen(found: ActiveSilence) -> dict[str, str]:
    return {
        "matchers": silencing.format_matchers(found.matchers),
        "until": found.ends_at.isoformat(),
        "by": found.by,
        "comment": found.comment,
    }


def _reason(found: ActiveSilence) -> str:
    return " ".join(found.comment.split())[:200] or "(no reason given)"


def _what_rings(ringing: Sequence[MatchedAlert]) -> tuple[str, ...]:
    if not ringing:
        return ("Nothing that fires now is kept quiet by it alone.",)
    return (f"{silencing.describe_count(ringing)} that fire now are told again:", *silencing.describe_kinds(ringing))


def _how_undone(found: ActiveSilence) -> str:
    if silencing.is_specific(found.matchers):
        return "It can be set again for what is left of its time; the outcome says with which words."
    return "Nothing here sets it again, because it is wider than `silence` allows."


def _undo(found: ActiveSilence, left: timedelta) -> str:
    """ "" where `silence` would refuse it: too wide, or hardly any time left. What is longer is cut to the longest."""
    if left < _SHORTEST or not silencing.is_specific(found.matchers):
        return ""
    whole = timedelta(minutes=min(left, _LONGEST) // timedelta(minutes=1))
    return f"silence {Matchers().format(found.matchers)} for {spell(whole)}"


action = UnsilenceAction()
