"""The work that follows the commit of a request: plan an action, run a plan, or plan an undo."""

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
    """An action that the requester may use, to be planned."""

    action: Action[Any]
    args: object
    request: Request
    decision: Decision
    target: str  #: what the rights were asked for
    undo_of: Run | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStep:
    """A plan that has all its approvals, to be run now."""

    proposal: Proposal
    requester: Principal
    decision: Decision
    account_problems: Mapping[Account, str] = field(default_factory=dict)  #: reported by the platforms just now


@dataclass(frozen=True, kw_only=True, slots=True)
class UndoStep:
    """A run to be undone, by the undo command that it left."""

    run: Run
    reason: str = ""  #: of a timed undo or a failed check: why it is due


NextStep = PlanStep | RunStep | UndoStep


class DeniedExternally(Rejected):
    """The external policy denies it."""

    def __init__(self, message: str, target: str) -> None:
        super().__init__(message, code="denied", status=403)
        self.target = target


def request_of(proposal: Proposal, by: Principal) -> Request:
    """The request that a plan was made for, with the requester's present roles."""
    return Request(
        by=by,
        text=proposal.command,
        channel=proposal.channel,
        incident_id=proposal.incident_id,
        account=proposal.account,
        thread=proposal.thread,
    )


def proposal_for(step: PlanStep, plan: Plan, needs: int, *, now: datetime) -> Proposal:
    """The plan of a step, to be shown. The requester's account is added when it is stored."""
    request, verb, command = step.request, step.action.verb, standalone_command(step)
    return Proposal(
        handle=secrets.token_hex(16),
        verb=verb,
        command=command,
        requester=request.by.id,
        channel=request.channel,
        incident_id=request.incident_id,
        at=now,
        approvals_needed=needs,
        state=PlanState.SHOWN,
        plan=plan,
        digest=plan_digest(plan_bytes(verb, command, plan)),
        undo_of=step.undo_of.id if step.undo_of else "",
        thread=request.thread,
    )


def standalone_command(step: PlanStep) -> str:
    """The text as typed; if it depends on names or a thread known only now, an equivalent text that does not."""
    action, request = step.action, step.request
    verb, rest = split_verb(request.text)
    try:
        alone = parser.parse(action.args, rest, request.incident_id, action.usage)
    except Rejected:
        alone = None
    return request.text if alone == step.args else f"{verb} {parser.format_arguments(step.args)}".strip()


def inspect(look: Callable[[], Found]) -> Found:
    """The result of a read-only function. Whatever fails in it, nothing was done, and the refusal says so.

    Raises:
        Rejected: it refuses, or cannot read the present state.
    """
    try:
        return look()
    except (Rejected, Unavailable):
        raise
    except (Conflict, OutcomeUnknown) as trouble:
        reason = trouble.message.rstrip(".")
        message = f"The target changed, or did not answer, while it was read: {reason}. Nothing was done. Try again."
        raise Rejected(message, code="not_seen", status=409) from None
    except Exception:
        # The edge of the path: the requester gets an answer, and an approved plan does not wait for ever.
        logger.exception("reading the present state failed")
        message = (
            "The bot could not read the present state, because of a bug; its log has the details. Nothing was done."
        )
        raise Rejected(message, code="not_read", status=500) from None
