"""Plans as people see and approve them: the bytes that are hashed, where they stand, and what has moved. Pure.

A yes is bound to the SHA-256 of the plan's canonical bytes. The same words planned again give another digest as soon
as anything that the plan shows or saw is different, and then it is another plan that nobody has approved yet.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.acts import Decision, Plan, Risk
from bot.audit import canonical
from bot.model import Card, Principal
from bot.people import Account, Voice
from bot.ports import Rejected

#: Who asks where time does: a revert, an undo after a check that failed.
WATCH = Principal(id="watch", name="The watch", human=False)
#: How long a plan can be approved.
LASTS = timedelta(minutes=15)
#: So many characters of a handle are shown, and suffice to type.
SHOWN = 8
#: The code of a refusal that stops the plan, and of which everybody at the place hears.
STOPS = "plan_not_allowed"
#: The codes of a refusal after which no other answer to that plan can count.
OVER = frozenset({STOPS, "plan_used", "plan_dropped", "plan_moved", "plan_stopped", "plan_expired"})


class State(StrEnum):
    """Where a plan stands; only a shown one can be approved, and only once."""

    SHOWN = "shown"
    APPROVED = "approved"
    BEGUN = "begun"  #: it has its run
    DROPPED = "dropped"
    MOVED = "moved"
    STOPPED = "stopped"  #: approved, and something was in the way of its run
    EXPIRED = "expired"


USED = (State.APPROVED, State.BEGUN)


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """A plan that somebody asked for and that was shown."""

    handle: str  #: 128 random bits in hex; whoever shows it has seen the plan
    verb: str
    words: str  #: what was asked, to be planned again before it runs
    by: str  #: the asker's id
    place: str
    incident_id: int | None
    at: datetime
    needs: int  #: how many others have to say yes; 0: the asker alone confirms
    state: State
    plan: Plan
    digest: str
    given: tuple[Voice, ...] = ()  #: those who said yes, in that order
    undoes: str = ""  #: the run that this is the undo of
    spot: str = ""  #: where at its place all are told what came of it
    account: str = ""  #: with which it was asked for, at its place
    had: frozenset[Account] = frozenset()  #: all the accounts that the asker had then

    @property
    def short(self) -> str:
        return self.handle[:SHOWN]

    @property
    def asker(self) -> Voice:
        return Voice(person=self.by, place=self.place, account=self.account, at=self.at, had=self.had)

    @property
    def by_watch(self) -> bool:
        """Whether time asked for it, by a plan that people had approved."""
        return (self.by, self.place) == (WATCH.id, WATCH.id)

    @property
    def approvers(self) -> tuple[str, ...]:
        return tuple(one.person for one in self.given)

    @property
    def until(self) -> datetime:
        return self.at + LASTS


def written(verb: str, words: str, plan: Plan) -> bytes:
    """The canonical bytes of what would be done."""
    return canonical(
        {
            "verb": verb,
            "words": words,
            "target": plan.target,
            "effect": list(plan.effect),
            "radius": plan.radius,
            "seen": dict(plan.seen),
            "undo": plan.undo,
            "check": plan.check,
            "within": int(plan.within.total_seconds()),
            "lasts": int(plan.lasts.total_seconds()),
            "private": list(plan.private),
            "typed": plan.typed,
            "others": plan.others,
        }
    )


def digest_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def read(body: bytes) -> Plan:
    """The other way round."""
    held = json.loads(body)
    return Plan(
        target=held["target"],
        effect=tuple(held["effect"]),
        radius=held["radius"],
        seen=held["seen"],
        undo=held["undo"],
        check=held["check"],
        within=timedelta(seconds=held["within"]),
        lasts=timedelta(seconds=held["lasts"]),
        private=tuple(held["private"]),
        typed=held.get("typed", ""),  # not in plans of before there was any
        others=held.get("others", 0),
    )


def needed(risk: Risk, decision: Decision, plan: Plan) -> int:
    """How many other people have to say yes. Behind broken glass the asker is alone with it, on record, unless the
    rule that sleeps there asks for others itself.
    """
    if decision.glass:
        return decision.approvals
    return max(decision.approvals, plan.others, 1 if risk is Risk.LASTING else 0)


def check_named(drawn: Drawn, named: str) -> None:
    """Raises `Rejected` where a yes does not name what the plan wants it to, or names what it does not ask for."""
    if named != drawn.plan.typed:
        said = "has to name what it is about" if drawn.plan.typed else "is asked for no name"
        raise refused(f"A yes to this plan {said}: `{yes_to(drawn)}`. {untouched(drawn)}", "not_named")


def check_open(drawn: Drawn, now: datetime) -> None:
    """Raises `Rejected` where no answer to it counts any more."""
    if drawn.state in USED:
        raise refused(f"Plan {drawn.short} was approved before, and runs once. Nothing more was done.", "used")
    if drawn.state is State.DROPPED:
        raise refused(f"Plan {drawn.short} was dropped. Nothing was done.", "dropped")
    if drawn.state is State.MOVED:
        raise refused(f"Plan {drawn.short} no longer fits the world. Nothing was done. See the newer one.", "moved")
    if drawn.state is State.STOPPED:
        said = f"Plan {drawn.short} was stopped before its run. Nothing was done."
        raise refused(f"{said} Say the same words for a new one.", "stopped")
    if now >= drawn.until or drawn.state is State.EXPIRED:
        ago = max(1, round((now - drawn.until) / timedelta(minutes=1)))
        said = f"Plan {drawn.short} expired {ago} min ago. Nothing was done. Say the same words for a new one."
        raise refused(said, "expired")


def moved(old: Plan, new: Plan) -> tuple[str, ...]:
    """What is different, a sentence each; what people are not shown is only named."""
    found = [
        f"{name} changed" if name in new.private else f"{name}: {old.seen.get(name, '-')} -> {new.seen.get(name, '-')}"
        for name in sorted({*old.seen, *new.seen})
        if old.seen.get(name) != new.seen.get(name)
    ]
    found += [f"now: {line}" for line in new.effect if line not in old.effect]
    found += [f"no longer: {line}" for line in old.effect if line not in new.effect]
    if old.radius != new.radius:
        found.append(f"touches: {old.radius} -> {new.radius}")
    return tuple(found)


def changed_since(left: dict[str, str], plan: Plan) -> tuple[str, ...]:
    """How the world differs from what a run left behind: whoever undoes it would undo somebody else's change."""
    return tuple(
        f"{name}: {value} -> {plan.seen.get(name, '-')}"
        for name, value in sorted(left.items())
        if plan.seen.get(name) != value
    )


def card(drawn: Drawn, asker: str, limits: tuple[str, ...], differences: tuple[str, ...] = ()) -> Card:
    """The plan as a message with its buttons; what has to be typed has none that says yes."""
    plan = drawn.plan
    seen = [f"{name} {value}" for name, value in sorted(plan.seen.items()) if name not in plan.private]
    lines = [*(f"Changed: {one}" for one in differences), *plan.effect, f"Touches: {plan.radius}"]
    if seen:
        lines.append(f"Seen: {', '.join(seen)}")
    if plan.undo:
        lines.append(f"Undo: {plan.undo}")
    if plan.lasts:
        lines.append(f"Undone by itself after {plan.lasts}, unless it is kept")
    if plan.check:
        lines.append(f"Held for {plan.within}: {plan.check}")
    lines.append(f"Limits: {'; '.join(limits)}")
    lines.append(waiting(drawn, drawn.needs))
    return Card(
        title=f"{asker} asks: {drawn.words}",
        lines=tuple(lines),
        buttons=_agreeing(drawn) | {"Drop it": f"no {drawn.handle}"},
    )


def _agreeing(drawn: Drawn) -> dict[str, str]:
    if drawn.plan.typed:
        return {}
    return {"Approve" if drawn.needs else "Do it": f"yes {drawn.handle}"}


def yes_to(drawn: Drawn) -> str:
    """The words that approve it."""
    return f"yes {drawn.short} {drawn.plan.typed}".rstrip()


def waiting(drawn: Drawn, missing: int) -> str:
    """Who has still to say yes, until when, and in which words."""
    until = f"until {drawn.until:%H:%M} UTC; `{yes_to(drawn)}`"
    if drawn.needs == 0:
        return f"{drawn.by} confirms, {until}"
    return f"{missing} {'person' if missing == 1 else 'people'} other than {drawn.by} must approve, {until}"


def untouched(drawn: Drawn) -> str:
    return f"Plan {drawn.short} is as it was; nothing was done."


def refused(said: str, code: str) -> Rejected:
    """`code` without what all of a plan's refusals begin with."""
    return Rejected(said, code=f"plan_{code}", status=409)
