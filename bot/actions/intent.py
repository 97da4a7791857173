"""The intent of a run: committed and sealed before its call, with everybody involved decided anew both times.

The promise: in the commit that writes an intent, and again in the one right before the call, the requester and every
approver still have the right (`approval_facts.review_approvals`). Between the two the log is sealed, which may take a
while: rights end, freezes begin, incidents are resolved, and a process may be frozen. The second commit also renews
the run's lease, so a process whose run was given up meanwhile calls nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from bot.access.authorizer import Authorizer
from bot.actions import approval_facts, approval_validity, plan_writer
from bot.actions.approval_validity import ApprovalReview
from bot.actions.audit_entries import run_entry
from bot.actions.run_callbacks import HELD_UP_MESSAGE
from bot.core.access import Account, Decision, rule_with_break_glass
from bot.core.audit import Code
from bot.core.errors import Rejected
from bot.core.plan import HANDLE_LENGTH, Proposal
from bot.core.registry import Registry
from bot.core.request import Principal, Request
from bot.core.run_state import State, person_named, run_state
from bot.lib.failpoints import failpoint
from bot.store import audit_log, break_glass, plans, run_reports, runs
from bot.store.engine import Store, Unavailable
from bot.store.runs import INTENDED, Run
from bot.store.transaction import Tx

#: Longer than any tool's time-out, so that a run which is still going on is not probed as if its process had died.
LEASE = timedelta(minutes=2)

#: The answer to a request for an action while the audit log cannot be written.
NO_AUDIT = "Refused: the audit log cannot be written ({why}). Nothing was changed."

#: Returns once these entries are sealed; raises `Unavailable`, and then what they announce must not happen.
Seal = Callable[[Sequence[str]], None]


class ApprovalLapsed(Rejected):
    """The plan may not run: decided anew, the request for it or an approval no longer counts."""

    def __init__(self, proposal: Proposal, verdict: ApprovalReview) -> None:
        super().__init__(approval_validity.describe_lapses(proposal, verdict), code="plan_lapsed", status=409)
        self.proposal = proposal
        self.verdict = verdict


@dataclass(frozen=True, kw_only=True)
class IntentWriter:
    """The order is `write`, `refusal`, the call."""

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
        """The run, the uid of its audit entry, and the plan with all its approvals. The last three parameters are
        those of `Runner.start`.

        Raises:
            ApprovalLapsed: the request or an approval no longer counts; nothing is written.
            Rejected: the plan has a run or was stopped, its target is held, or its undo is not due any more.
        """
        with self.store.begin() as tx:
            proposal = plans.plan(tx.sql, proposal.handle)
            decision = self._decided(tx, proposal, decision, outside, undo_of=undo_of)
            if not plans.set_begun(tx, proposal.handle):
                message = f"Plan {proposal.short_handle} was stopped, or has a run already. Nothing more was done."
                raise Rejected(message, code="plan_stopped", status=409)
            run = self._begun(tx, proposal, by, decision)
            runs.put_run(tx, run)
            channel, thread = _report_to(proposal, request)
            if thread and self.registry.action(proposal.verb).long_running:
                run_reports.put(tx, run, channel, thread)
            (uid,) = audit_log.append(tx, [run_entry(Code.INTENT, proposal.command, run, proposal, request)])
            failpoint("run.intending")
        return run, uid, proposal

    def refusal(self, run: Run, uid: str, proposal: Proposal, request: Request, outside: Mapping[Account, str]) -> str:
        """Why it must not be called; "" once its intent is sealed and its lease renewed for this process."""
        try:
            self.seal([uid])
            failpoint("run.sealed")
            with self.store.begin() as tx:
                if not runs.renew(tx, run, LEASE):
                    return HELD_UP_MESSAGE.format(run=run.id[:HANDLE_LENGTH])
                verdict = self._review(tx, proposal, outside)
                if verdict is None or verdict.runs:
                    return ""
                reason = approval_validity.describe_unstarted(proposal, verdict)
                message = f"{reason} Nothing was changed. Send the command again for a new plan."
                plan_writer.notify_unstarted(tx, proposal, verdict, message, request)
        except Unavailable as trouble:
            return NO_AUDIT.format(why=trouble)
        return message

    def _review(self, tx: Tx, proposal: Proposal, outside: Mapping[Account, str]) -> ApprovalReview | None:
        """None: the scheduler requested it, by a plan that people had approved."""
        if proposal.by_scheduler:
            return None
        return approval_facts.review_approvals(
            self.authorizer, tx, proposal, self.registry.action(proposal.verb).risk, outside
        )

    def _decided(
        self, tx: Tx, proposal: Proposal, decision: Decision, outside: Mapping[Account, str], *, undo_of: Run | None
    ) -> Decision:
        verdict = self._review(tx, proposal, outside)
        if verdict is None:
            _check_due(tx, undo_of)
            return decision
        if not verdict.runs:
            raise ApprovalLapsed(proposal, verdict)
        return verdict.decision

    def _begun(self, tx: Tx, proposal: Proposal, by: Principal, decision: Decision) -> Run:
        run_id, target = secrets.token_hex(16), proposal.plan.held
        token = runs.acquire(tx, target, run_id, LEASE)
        if token is None:
            raise _busy(tx, proposal)
        use = break_glass.active(tx.sql, by.id, tx.now) if decision.break_glass else None
        # By the store's clock, which judges leases: on a host whose clock is behind, each would have run out at once.
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
            break_glass_id=None if use is None else use.id,
        )


def _check_due(tx: Tx, undo_of: Run | None) -> None:
    """Raises `Rejected` if somebody has decided since to keep what the scheduler would undo."""
    if undo_of is not None and not runs.claim_due(tx, undo_of):
        message = (
            f"Run {undo_of.id[:HANDLE_LENGTH]} is no longer due to be undone: somebody keeps it. Nothing was done."
        )
        raise Rejected(message, code="kept", status=409)


def _busy(tx: Tx, proposal: Proposal) -> Rejected:
    other = runs.holder(tx.sql, proposal.plan.held)
    busy, then = "another run", "Ask again when it has ended."
    if other:
        state = run_state(other.state)
        busy = f"run {other.id[:HANDLE_LENGTH]} of {person_named(other.by)}, {state}"
        if state is State.UNKNOWN:
            then = "Ask again when its result is known; `runs` shows what to do."
    message = f"{proposal.plan.held or proposal.verb} is held by {busy}. Nothing was done. {then}"
    return Rejected(message, code="target_busy", status=409)


def _report_to(proposal: Proposal, request: Request) -> tuple[str, str]:
    """The channel and thread that get the result: those of the approval if it was given in the plan's channel, else
    those of the plan's request.
    """
    return (
        (request.channel, request.thread)
        if request.thread and request.channel == proposal.channel
        else (proposal.channel, proposal.thread)
    )
