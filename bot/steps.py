"""What is left to do for an ask once its transaction is committed: plan, run, plan the way back; and its record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bot import glass, grammar, words
from bot.acting import Action
from bot.acts import AuditEntry, Code, Decision
from bot.model import Ask, Principal
from bot.people import on_record
from bot.plans import Drawn
from bot.ports import Rejected
from bot.store.ran import Run


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """An action that may be planned."""

    action: Action[Any]
    args: object
    ask: Ask
    decision: Decision
    undoes: Run | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Approved:
    """A plan that has all its approvals, and runs now."""

    drawn: Drawn
    asker: Principal
    decision: Decision


@dataclass(frozen=True, kw_only=True, slots=True)
class Undoing:
    """A run whose undo is asked for in the words that it left."""

    run: Run
    why: str = ""  #: where the watch asks: what its plan announced has come


Next = Planned | Approved | Undoing


class Objected(Rejected):
    """The second opinion is against it."""

    def __init__(self, said: str, target: str) -> None:
        super().__init__(said, code="denied", status=403)
        self.target = target


def asked(drawn: Drawn, by: Principal) -> Ask:
    """The ask that a plan was drawn up for, in the name of its asker as they are now."""
    return Ask(by=by, words=drawn.words, place=drawn.place, incident_id=drawn.incident_id, spot=drawn.spot)


def entry_of(
    ask: Ask, code: Code, said: str, drawn: Drawn | None, *, target: str = "", decision: Decision | None = None
) -> AuditEntry:
    """What a step of an ask puts on record."""
    more = {"words": on_record(ask.words)}
    if drawn is not None:
        more |= {"plan": drawn.handle, "digest": drawn.digest}
    if decision is not None and decision.rule:
        more["rule"] = glass.grounds(decision.rule, glass=decision.glass)
    return AuditEntry(
        code=code,
        by=ask.by.id or f"{ask.place}:{ask.account}",
        said=said,
        run=drawn.handle if drawn else "",
        verb=drawn.verb if drawn else words.split(ask.words)[0],
        target=drawn.plan.target if drawn else target,
        place=ask.place,
        account=ask.account,
        once=ask.once,
        incident_id=ask.incident_id,
        more=more,
    )


def lasting(step: Planned) -> str:
    """The asker's words, or where those lean on names that are known now, words that mean the same without them."""
    action, ask = step.action, step.ask
    verb, rest = words.split(ask.words)
    try:
        alone = grammar.read(action.args, rest, ask.incident_id, action.usage)
    except Rejected:
        alone = None
    return ask.words if alone == step.args else f"{verb} {grammar.write(step.args)}".strip()
