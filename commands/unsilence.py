"""unsilence: a silence is over, at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated

from bot import silencing
from bot.acting import Matched, Moved, Silenced, Tools
from bot.acts import Ended, Outcome, Plan, Risk
from bot.kinds import Matchers, Name, spell
from bot.model import Principal
from bot.ports import Rejected

#: What `silence` takes, so that what it would refuse is not offered as the undo.
_SHORTEST, _LONGEST = timedelta(minutes=1), timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class Args:
    silence: Annotated[str, Name()]


@dataclass(frozen=True)
class Unsilence:
    verb: str = "unsilence"
    usage: str = "unsilence <silence>"
    says: str = "end a silence of Alertmanager at once"
    args: type[Args] = Args
    risk: Risk = Risk.UNDOABLE
    reads: bool = False
    slow: bool = False
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({"silence": "one that stands, by its whole number"})
    )

    def target(self, args: Args) -> str:
        return f"silence/{args.silence}"

    def plan(self, args: Args, tools: Tools) -> Plan:
        silences = silencing.tool(tools)
        found = _find(args, silences.standing(""))
        if found is None:
            said = f"No silence {args.silence[:40]!r} stands. Nothing was done. `silences` lists those that do."
            raise Rejected(said, code="no_silence", status=404)
        ringing = silences.quieted(found.id)
        return Plan(
            target=self.target(args),
            effect=(
                f"The silence of {silencing.written(found.matchers)} ends at once.",
                f"It is {found.by or 'nobody'}'s, until {found.ends_at:%Y-%m-%d %H:%M} UTC, because: {_reason(found)}",
                *_what_rings(ringing),
                _how_undone(found),
            ),
            radius=silencing.whose(ringing),
            seen=_seen(found),
        )

    def run(self, args: Args, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        silences = silencing.tool(tools)
        found = _find(args, silences.standing(""))
        if found is None:
            raise Moved("That silence is over by now. Nothing was done.")
        moved = [name for name, value in _seen(found).items() if plan.seen.get(name) != value]
        if moved:
            raise Moved(f"Somebody changed that silence ({', '.join(moved)}). Nothing was done.")
        silences.expire(found.id)
        undo = _undo(found, found.ends_at - tools.now())
        said = f"Silence {found.id} is over." + (f" `{undo}` sets it again." if undo else "")
        return Outcome(ended=Ended.DONE, said=said, undo=undo)

    def probe(self, args: Args, plan: Plan, run: str, tools: Tools) -> Outcome:
        if _find(args, silencing.tool(tools).standing("")) is None:
            return Outcome(ended=Ended.DONE, said=f"Silence {args.silence} is over.")
        return Outcome(ended=Ended.FAILED, said=f"Silence {args.silence} still stands. Nothing was changed.")


def _find(args: Args, standing: Sequence[Silenced]) -> Silenced | None:
    return next((one for one in standing if one.id == args.silence), None)


def _seen(found: Silenced) -> dict[str, str]:
    return {
        "matchers": silencing.written(found.matchers),
        "until": found.ends_at.isoformat(),
        "by": found.by,
        "comment": found.comment,
    }


def _reason(found: Silenced) -> str:
    return " ".join(found.comment.split())[:200] or "(no reason given)"


def _what_rings(ringing: Sequence[Matched]) -> tuple[str, ...]:
    if not ringing:
        return ("Nothing that fires now is kept quiet by it alone.",)
    return (f"{silencing.count(ringing)} that fire now are told again:", *silencing.lines(ringing))


def _how_undone(found: Silenced) -> str:
    if silencing.named(found.matchers):
        return "It can be set again for what is left of its time; the outcome says with which words."
    return "Nothing here sets it again, because it is wider than `silence` allows."


def _undo(found: Silenced, left: timedelta) -> str:
    """ "" where `silence` would refuse it: too wide, or hardly any time left. What is longer is cut to the longest."""
    if left < _SHORTEST or not silencing.named(found.matchers):
        return ""
    whole = timedelta(minutes=min(left, _LONGEST) // timedelta(minutes=1))
    return f"silence {Matchers().write(found.matchers)} for {spell(whole)}"


action = Unsilence()
