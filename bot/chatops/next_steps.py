"""What is left to do for an ask once its transaction is committed: plan, run, plan the way back; and its record."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from bot.chatops import parser
from bot.core.access import Account, Decision
from bot.core.action import Action
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.plan import Plan, PlanState, Proposal, plan_bytes, plan_digest
from bot.core.request import Principal, Request, split_verb
from bot.store.engine import Unavailable
from bot.store.runs import Run

logger = logging.getLogger(__name__)

Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanStep:
    """An action that may be planned."""

    action: Action[Any]
    args: object
    request: Request
    decision: Decision
    undo_of: Run | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStep:
    """A plan that has all its approvals, and runs now."""

    proposal: Proposal
    requester: Principal
    decision: Decision
    outside: Mapping[Account, str] = field(default_factory=dict)  #: what platforms have just said against accounts


@dataclass(frozen=True, kw_only=True, slots=True)
class UndoStep:
    """A run whose undo is asked for in the words that it left."""

    run: Run
    reason: str = ""  #: where the watch asks: what its plan announced has come


NextStep = PlanStep | RunStep | UndoStep


class DeniedExternally(Rejected):
    """The second opinion is against it."""

    def __init__(self, message: str, target: str) -> None:
        super().__init__(message, code="denied", status=403)
        self.target = target


def request_of(proposal: Proposal, by: Principal) -> Request:
    """The ask that a plan was drawn up for, in the name of its asker as they are now."""
    return Request(
        by=by,
        text=proposal.command,
        channel=proposal.channel,
        incident_id=proposal.incident_id,
        account=proposal.account,
        thread=proposal.thread,
    )


def proposal_for(step: PlanStep, plan: Plan, needs: int, *, now: datetime) -> Proposal:
    """The plan of a step, to be shown; with which account it was asked for is added where it is stored."""
    request, verb, message = step.request, step.action.verb, standalone_command(step)
    return Proposal(
        handle=secrets.token_hex(16),
        verb=verb,
        command=message,
        requester=request.by.id,
        channel=request.channel,
        incident_id=request.incident_id,
        at=now,
        approvals_needed=needs,
        state=PlanState.SHOWN,
        plan=plan,
        digest=plan_digest(plan_bytes(verb, message, plan)),
        undo_of=step.undo_of.id if step.undo_of else "",
        thread=request.thread,
    )


def standalone_command(step: PlanStep) -> str:
    """The asker's words, or where those lean on names that are known now, words that mean the same without them."""
    action, request = step.action, step.request
    verb, rest = split_verb(request.text)
    try:
        alone = parser.parse(action.args, rest, request.incident_id, action.usage)
    except Rejected:
        alone = None
    return request.text if alone == step.args else f"{verb} {parser.format_arguments(step.args)}".strip()


def inspect(look: Callable[[], Found]) -> Found:
    """What a look at the world finds. It only reads, so that whatever goes wrong, nothing was done, and that is said.

    Raises:
        Rejected: it refuses, or what is there is not as the action can read it.
    """
    try:
        return look()
    except (Rejected, Unavailable):
        raise
    except (Conflict, OutcomeUnknown) as trouble:
        message = (
            f"It changed, or did not answer, while it was looked at: {trouble.message.rstrip('.')}. Nothing was done."
        )
        raise Rejected(f"{message} Ask again.", code="not_seen", status=409) from None
    except Exception:
        # The edge of the path: whoever asked gets an answer, and a plan that was approved does not wait for ever.
        logger.exception("a look at the world failed")
        message = "The bot cannot read what is there, which is a fault of its own; its log has it. Nothing was done."
        raise Rejected(message, code="not_read", status=500) from None
