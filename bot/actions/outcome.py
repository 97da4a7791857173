"""How a run ended, written down once: its row, its record, the story of its incident, and a page where nobody knows.

The trap: two processes may have an end to write for one run. The first one counts; what the other found goes to a
person where it says something else.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.core.action import RaiseAlert
from bot.core.audit import AuditEntry, Code
from bot.core.incident import Committed, EventType, OnCommit
from bot.core.message import Subscription
from bot.core.plan import HANDLE_LENGTH, Outcome, Proposal, Result
from bot.core.request import Request
from bot.core.run_state import State, run_state
from bot.incidents import lifecycle, timeline
from bot.incidents.transitions import ActionReported
from bot.lib.failpoints import failpoint
from bot.store import audit_log, flagger_gates, run_reports, runs
from bot.store import break_glass as glasses
from bot.store.engine import Store, Unavailable
from bot.store.runs import Run
from bot.store.transaction import Tx

logger = logging.getLogger(__name__)


_CODES = {Result.DONE: Code.DONE, Result.FAILED: Code.FAILED, Result.UNKNOWN: Code.UNKNOWN}
_WHATS = {
    State.DONE: EventType.ACTION_DONE,
    State.DEGRADED: EventType.ACTION_DEGRADED,
    State.FAILED: EventType.ACTION_NOT_DONE,
    State.UNKNOWN: EventType.ACTION_UNKNOWN,
}


@dataclass(frozen=True, kw_only=True)
class OutcomeWriter:
    """`write` is the one way in which a run ends."""

    store: Store
    subscriptions: Sequence[Subscription]
    on_commit: OnCommit
    raise_alert: RaiseAlert

    def write(self, run: Run, proposal: Proposal, outcome: Outcome) -> None:
        """Once; a database in trouble leaves the run to be looked at."""
        plan, done = proposal.plan, outcome.result is Result.DONE
        held = done and not outcome.degraded  # what is not well already needs no check to say so
        written = Committed()
        try:
            self._page(run, proposal, outcome)  # before its row says so: after that nobody comes back to it
            with self.store.begin() as tx:
                ours = runs.end(
                    tx,
                    run,
                    outcome,
                    revert_at=tx.now + plan.undo_after if done and plan.undo_after and outcome.undo_command else None,
                    check_until=tx.now + plan.check_duration if held and plan.check and plan.check_duration else None,
                )
                if ours:
                    flagger_gates.close_gate(tx, run.id)  # What it has opened and left open would go on without it.
                    audit_log.append(tx, [outcome_entry(_code(outcome), outcome.message, run, proposal, None)])
                    written = replace(self._tell(tx, run, proposal, outcome), run_states=(_state(outcome),))
                    (run_reports.delete if proposal.incident_id else run_reports.mark_due)(tx, run)
                    failpoint("run.ending")
            if done and not ours:
                self._correct(run, proposal, outcome)
        except Unavailable as trouble:
            logger.warning("how a run ended is not stored yet", extra={"run": run.id, "why": str(trouble)})
        self.on_commit(written)

    def write_degraded(self, run: Run, reason: str) -> None:
        """What was done is found not to hold after its end; somebody was paged about it by whoever found that."""
        outcome = Outcome(result=Result.DONE, message=f"{run.message} NOT WELL: {reason}", degraded=reason)
        with self.store.begin() as tx:
            if not runs.mark_degraded(tx, run, reason):
                return
            proposal = runs.plan_of_run(tx.sql, run)
            audit_log.append(tx, [outcome_entry(Code.UNWELL, outcome.message, run, proposal, None)])
            written = self._tell(tx, run, proposal, outcome)
        self.on_commit(written)

    def _page(self, run: Run, proposal: Proposal, outcome: Outcome) -> None:
        """Somebody, about what nobody sees. Who asked for what is not well hears so themselves; but time asks too, and
        where the process died in between nobody may wait for the answer any more.
        """
        if outcome.result is Result.UNKNOWN:
            self.raise_alert("RunUnknown", run.id, f"{proposal.command}: {outcome.message}")
        elif outcome.degraded and (proposal.channel == "watch" or run.lost_at is not None):
            self.raise_alert("RunUnwell", run.id, f"{proposal.command}: {outcome.message}")

    def _correct(self, run: Run, proposal: Proposal, outcome: Outcome) -> None:
        """It was frozen inside its call, judged failed, and had its effect after that: a person has to hear of it."""
        message = f"Judged failed while its process was held up, and done after that: {outcome.message}"
        late = replace(outcome, result=Result.UNKNOWN, message=message)
        with self.store.begin() as tx:
            if not runs.mark_lost(tx, run, late):
                return
            audit_log.append(tx, [outcome_entry(Code.UNKNOWN, message, run, proposal, None)])
            written = self._tell(tx, run, proposal, late)
        self.on_commit(written)
        self.raise_alert("RunUnknown", run.id, f"{proposal.command}: {message}")

    def _tell(self, tx: Tx, run: Run, proposal: Proposal, outcome: Outcome) -> Committed:
        """On the incident where it was asked, that of the run which it undoes, and that of the broken glass."""
        broken = glasses.by_id(tx.sql, run.break_glass_id) if run.break_glass_id else None
        state = _state(outcome)
        behind = ", behind broken glass" if run.break_glass_id else ""
        undoes = f", which undoes run {proposal.undo_of[:HANDLE_LENGTH]}" if proposal.undo_of else ""
        message = f"{run.by}{behind}: {proposal.command}{undoes}: {state}. {outcome.message}"
        wish = ActionReported(type=_WHATS[state], by=run.by, text=message, via=proposal.channel)
        about = dict.fromkeys((proposal.incident_id, _undone_on(tx, proposal), broken.incident_id if broken else None))
        found = tx.incidents([one for one in about if one is not None])
        changes = [lifecycle.change(found[one], wish, now=tx.now) for one in about if one in found]
        return timeline.write(tx, changes, self.subscriptions)


def complete_outcome(outcome: Outcome, proposal: Proposal) -> Outcome:
    """With the way back that its plan knew, and with all that is to be said in one text."""
    message = f"{outcome.message} NOT WELL: {outcome.degraded}" if outcome.degraded else outcome.message
    return replace(outcome, message=message, undo_command=outcome.undo_command or proposal.plan.undo_command)


def _undone_on(tx: Tx, proposal: Proposal) -> int | None:
    """The incident on which the run was told that this one undoes."""
    return runs.plan_of_run(tx.sql, runs.get_run(tx.sql, proposal.undo_of)).incident_id if proposal.undo_of else None


def _state(outcome: Outcome) -> State:
    return run_state(outcome.result, unwell=outcome.degraded)


def _code(outcome: Outcome) -> Code:
    return Code.UNWELL if outcome.degraded else _CODES[outcome.result]


def outcome_entry(code: Code, message: str, run: Run, proposal: Proposal, request: Request | None) -> AuditEntry:
    more = {
        "plan": proposal.handle,
        "digest": proposal.digest,
        "asked_by": proposal.requester,
        "approved_by": " ".join(proposal.approvers),
    }
    return AuditEntry(
        code=code,
        by=run.by,
        message=message,
        run=run.id,
        verb=proposal.verb,
        target=run.target,
        channel=request.channel if request else proposal.channel,
        account=request.account if request else "",
        idempotency_key=request.idempotency_key if request else "",
        incident_id=proposal.incident_id,
        details=more
        | ({"rule": run.rule} if run.rule else {})
        | ({"glass": str(run.break_glass_id)} if run.break_glass_id else {}),
    )
