"""What is left to do for an ask once its transaction is committed: plan, run, plan the way back; and its record."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from bot import glass, grammar, plans, words
from bot.acting import Action, Moved, Unsure
from bot.acts import AuditEntry, Code, Decision, Plan
from bot.model import Ask, Principal
from bot.people import Account, on_record
from bot.plans import Drawn, State
from bot.ports import Rejected
from bot.store.engine import Unavailable
from bot.store.ran import Run

logger = logging.getLogger(__name__)

Found = TypeVar("Found")


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
    outside: Mapping[Account, str] = field(default_factory=dict)  #: what platforms have just said against accounts


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
    return Ask(
        by=by,
        words=drawn.words,
        place=drawn.place,
        incident_id=drawn.incident_id,
        account=drawn.account,
        spot=drawn.spot,
    )


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


def drawn_for(step: Planned, plan: Plan, needs: int, *, now: datetime) -> Drawn:
    """The plan of a step, to be shown; with which account it was asked for is added where it is stored."""
    ask, verb, said = step.ask, step.action.verb, lasting(step)
    return Drawn(
        handle=secrets.token_hex(16),
        verb=verb,
        words=said,
        by=ask.by.id,
        place=ask.place,
        incident_id=ask.incident_id,
        at=now,
        needs=needs,
        state=State.SHOWN,
        plan=plan,
        digest=plans.digest_of(plans.written(verb, said, plan)),
        undoes=step.undoes.id if step.undoes else "",
        spot=ask.spot,
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


def looked(look: Callable[[], Found]) -> Found:
    """What a look at the world finds. It only reads, so that whatever goes wrong, nothing was done, and that is said.

    Raises:
        Rejected: it refuses, or what is there is not as the action can read it.
    """
    try:
        return look()
    except (Rejected, Unavailable):
        raise
    except (Moved, Unsure) as trouble:
        said = f"It changed, or did not answer, while it was looked at: {trouble.said.rstrip('.')}. Nothing was done."
        raise Rejected(f"{said} Ask again.", code="not_seen", status=409) from None
    except Exception:
        # The edge of the path: whoever asked gets an answer, and a plan that was approved does not wait for ever.
        logger.exception("a look at the world failed")
        said = "The bot cannot read what is there, which is a fault of its own; its log has it. Nothing was done."
        raise Rejected(said, code="not_read", status=500) from None
