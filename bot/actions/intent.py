"""The intent of a run: committed and sealed before its call, and both times whoever wants it is decided anew.

The promise: in the commit that writes an intent, and again in the one right before the call, the asker and everybody
who said yes may still say so (`approval_facts.review_approvals`). Between the two the log is sealed, which may take a
while: rights end, freezes begin, incidents are resolved, and a process may be frozen. The run is taken anew with the
last decision, so one that was judged by then calls nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from bot.access.authorizer import Authorizer
from bot.actions import approval_facts, approval_validity, plan_writer
from bot.actions.approval_validity import ApprovalReview
from bot.actions.outcome import outcome_entry
from bot.actions.run_callbacks import HELD_UP_MESSAGE
from bot.core.access import Account, Decision, rule_with_break_glass
from bot.core.audit import Code
from bot.core.errors import Rejected
from bot.core.plan import HANDLE_LENGTH, Proposal
from bot.core.registry import Registry
from bot.core.request import Principal, Request
from bot.core.run_state import run_state
from bot.lib.failpoints import failpoint
from bot.store import audit_log, run_reports, runs
from bot.store import break_glass as glasses
from bot.store import plans as drawn_up
from bot.store.engine import Store, Unavailable
from bot.store.runs import INTENDED, Run
from bot.store.transaction import Tx

#: Longer than any tool's time-out, so that a run which is still going on is not looked at as if it had died.
LEASE = timedelta(minutes=2)

#: What is said to whoever asked for an action while nothing can be put on record.
NO_AUDIT = "Refused: the audit log cannot be written ({why}). Nothing was changed."

#: Returns once these entries are sealed; raises `Unavailable`, and then what they announce must not happen.
Seal = Callable[[Sequence[str]], None]


class ApprovalLapsed(Rejected):
    """Decided anew, the plan may not run: somebody's word for it counts no longer."""

    def __init__(self, proposal: Proposal, verdict: ApprovalReview) -> None:
        super().__init__(approval_validity.describe_lapses(proposal, verdict), code="plan_lapsed", status=409)
        self.proposal = proposal
        self.verdict = verdict


@dataclass(frozen=True, kw_only=True)
class IntentWriter:
    """`write`, then `refusal`, then the call."""

    store: Store
    registry: Registry
    authorizer: Authorizer
    seal: Seal

    def write(
        self,
        proposal: Proposal,
        by: Principal,
        request: Request,
        decision: Decision,
        outside: Mapping[Account, str],
        *,
        undo_of: Run | None,
    ) -> tuple[Run, str, Proposal]:
        """The run, its entry's uid, and the plan with all its yeses. From `decision` on: as in `Runs.start`.

        Raises:
            Lapsed: somebody who counted does not any more; nothing is written.
            Rejected: its plan has its run or was stopped, its target is held, or nothing is to be undone any more.
        """
        with self.store.begin() as tx:
            proposal = drawn_up.plan(tx.sql, proposal.handle)
            decision = self._decided(tx, proposal, decision, outside, undo_of=undo_of)
            if not drawn_up.set_begun(tx, proposal.handle):
                message = f"Plan {proposal.short_handle} was stopped, or has its run. Nothing more was done."
                raise Rejected(message, code="plan_stopped", status=409)
            run = self._begun(tx, proposal, by, decision)
            runs.put_run(tx, run)
            place, spot = _spot(proposal, request)
            if spot and self.registry.action(proposal.verb).long_running:
                run_reports.put(tx, run, place, spot)
            (uid,) = audit_log.append(tx, [outcome_entry(Code.INTENT, proposal.command, run, proposal, request)])
            failpoint("run.intending")
        return run, uid, proposal

    def refusal(self, run: Run, uid: str, proposal: Proposal, request: Request, outside: Mapping[Account, str]) -> str:
        """Why it must not be called; "" once its intent is sealed, and the run is this process's for another LEASE."""
        try:
            self.seal([uid])
            failpoint("run.sealed")
            with self.store.begin() as tx:
                if not runs.renew(tx, run, LEASE):
                    return HELD_UP_MESSAGE.format(run=run.id[:HANDLE_LENGTH])
                verdict = self._weigh(tx, proposal, outside)
                if verdict is None or verdict.runs:
                    return ""
                message = (
                    f"{approval_validity.describe_unstarted(proposal, verdict)} Nothing was changed. Say the same "
                    "words for a new plan."
                )
                plan_writer.write_begun(tx, proposal, verdict, message, request)
        except Unavailable as trouble:
            return NO_AUDIT.format(why=trouble)
        return message

    def _weigh(self, tx: Tx, proposal: Proposal, outside: Mapping[Account, str]) -> ApprovalReview | None:
        """None: it is the watch's."""
        if proposal.by_scheduler:
            return None
        return approval_facts.review_approvals(
            self.authorizer, tx, proposal, self.registry.action(proposal.verb).risk, outside
        )

    def _decided(
        self, tx: Tx, proposal: Proposal, decision: Decision, outside: Mapping[Account, str], *, undo_of: Run | None
    ) -> Decision:
        verdict = self._weigh(tx, proposal, outside)
        if verdict is None:
            _check_due(tx, undo_of)
            return decision
        if not verdict.runs:
            raise ApprovalLapsed(proposal, verdict)
        return verdict.decision

    def _begun(self, tx: Tx, proposal: Proposal, by: Principal, decision: Decision) -> Run:
        run_id, target = secrets.token_hex(16), proposal.plan.target
        token = runs.acquire(tx, target, run_id, LEASE)
        if token is None:
            raise _busy(tx, proposal)
        behind = glasses.active(tx.sql, by.id, tx.now) if decision.break_glass else None
        # By the clock that judges it: of a host whose own is behind, each lease would have run out at once.
        return Run(
            id=run_id,
            handle=proposal.handle,
            by=by.id,
            target=target,
            state=INTENDED,
            token=token,
            lease_until=tx.now + LEASE,
            began_at=tx.now,
            expected_state={},
            rule=rule_with_break_glass(decision.rule, glass=decision.break_glass),
            break_glass_id=None if behind is None else behind.id,
        )


def _check_due(tx: Tx, undo_of: Run | None) -> None:
    """Raises `Rejected` where somebody has said since that what the watch would undo is to stay."""
    if undo_of is not None and not runs.claim_due(tx, undo_of):
        message = f"Run {undo_of.id[:HANDLE_LENGTH]} is not to be undone any more: somebody keeps it. Nothing was done."
        raise Rejected(message, code="kept", status=409)


def _busy(tx: Tx, proposal: Proposal) -> Rejected:
    other = runs.holder(tx.sql, proposal.plan.target)
    busy = f"run {other.id[:HANDLE_LENGTH]} of {other.by}" if other else "another run"
    return Rejected(
        f"{proposal.plan.target or proposal.verb} is held by {busy}, "
        f"{run_state(other.state) if other else 'under way'}."
        " Nothing was done. Ask again when that has ended.",
        code="target_busy",
        status=409,
    )


def _spot(proposal: Proposal, request: Request) -> tuple[str, str]:
    """Where its end is told: below the yes, if that was said where the plan stands; else where the plan was asked."""
    return (
        (request.channel, request.thread)
        if request.thread and request.channel == proposal.channel
        else (proposal.channel, proposal.thread)
    )
