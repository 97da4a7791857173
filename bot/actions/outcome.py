"""Writes how a run ended, once: its row, its audit entry, its incidents, and a page if the result is unknown.

The trap: two processes may each have a result to write for one run. The first one counts; if the other one contradicts
it, a person is paged.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from bot.actions.approval import approved_by
from bot.actions.audit_entries import run_entry
from bot.core.action import RaiseAlert
from bot.core.audit import Code
from bot.core.incident import Committed, EventType, OnCommit
from bot.core.message import Subscription
from bot.core.plan import HANDLE_LENGTH, Outcome, Proposal, Result
from bot.core.request import SCHEDULER
from bot.core.run_state import State, describe_end, run_state
from bot.incidents import lifecycle, timeline
from bot.incidents.transitions import ActionReported
from bot.lib.failpoints import failpoint
from bot.lib.text import spell_duration
from bot.store import audit_log, break_glass, flagger_gates, run_reports, runs
from bot.store.engine import Store, Unavailable
from bot.store.runs import Run
from bot.store.transaction import Tx

logger = logging.getLogger(__name__)

#: Shorter durations are not mentioned.
_NOTABLE = timedelta(seconds=1)
_CODES = {Result.DONE: Code.DONE, Result.FAILED: Code.FAILED, Result.UNKNOWN: Code.UNKNOWN}
_EVENTS = {
    State.DONE: EventType.ACTION_DONE,
    State.DEGRADED: EventType.ACTION_DEGRADED,
    State.FAILED: EventType.ACTION_NOT_DONE,
    State.UNKNOWN: EventType.ACTION_UNKNOWN,
}


@dataclass(frozen=True, kw_only=True)
class OutcomeWriter:
    """Every run ends through `write`."""

    store: Store
    subscriptions: Sequence[Subscription]
    on_commit: OnCommit
    raise_alert: RaiseAlert

    def write(self, run: Run, proposal: Proposal, outcome: Outcome) -> None:
        """Write it once. If the database is unavailable, the run is probed later."""
        plan, done = proposal.plan, outcome.result is Result.DONE
        held = done and not outcome.degraded  # a degraded target needs no check to show it
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
                    flagger_gates.close_gate(tx, run.id)  # A gate that it left open would let a rollout pass.
                    audit_log.append(tx, [run_entry(_code(outcome), outcome.message, run, proposal, None)])
                    written = self._report(tx, run, proposal, outcome, took=tx.now - run.began_at)
                    written = replace(written, run_states=(_state(outcome),))
                    (run_reports.delete if proposal.incident_id else run_reports.mark_due)(tx, run)
                    failpoint("run.ending")
            if done and not ours:
                self._correct(run, proposal, outcome)
        except Unavailable as trouble:
            logger.warning("the result of a run is not stored yet", extra={"run": run.id, "why": str(trouble)})
        self.on_commit(written)

    def write_degraded(self, run: Run, reason: str) -> None:
        """A run that was done is found degraded later. The caller has paged somebody about it."""
        outcome = Outcome(result=Result.DONE, message=f"{run.message} NOT WELL: {reason}", degraded=reason)
        with self.store.begin() as tx:
            if not runs.mark_degraded(tx, run, reason):
                return
            proposal = runs.plan_of_run(tx.sql, run)
            audit_log.append(tx, [run_entry(Code.UNWELL, outcome.message, run, proposal, None)])
            written = self._report(tx, run, proposal, outcome)
        self.on_commit(written)

    def _page(self, run: Run, proposal: Proposal, outcome: Outcome) -> None:
        """Page somebody if nobody else would see the result.

        A requester reads of a degraded target in the answer, but not if the scheduler made the request, or if the
        process died in between and nobody waits for the answer any more.
        """
        if outcome.result is Result.UNKNOWN:
            self.raise_alert("RunUnknown", run.id, f"{proposal.command}: {outcome.message}")
        elif outcome.degraded and (proposal.channel == SCHEDULER.id or run.lost_at is not None):
            self.raise_alert("RunUnwell", run.id, f"{proposal.command}: {outcome.message}")

    def _correct(self, run: Run, proposal: Proposal, outcome: Outcome) -> None:
        """Page a person: a run that was judged failed while its process was frozen has had its effect later."""
        message = f"Done after all. It was recorded as failed while its process was held up: {outcome.message}"
        late = replace(outcome, result=Result.UNKNOWN, message=message)
        with self.store.begin() as tx:
            if not runs.mark_lost(tx, run, late):
                return
            audit_log.append(tx, [run_entry(Code.UNKNOWN, message, run, proposal, None)])
            written = self._report(tx, run, proposal, late)
        self.on_commit(written)
        self.raise_alert("RunUnknown", run.id, f"{proposal.command}: {message}")

    def _report(
        self, tx: Tx, run: Run, proposal: Proposal, outcome: Outcome, took: timedelta = timedelta(0)
    ) -> Committed:
        """On the incident of its request, that of the run which it undoes, and that of the break-glass use."""
        use = break_glass.by_id(tx.sql, run.break_glass_id) if run.break_glass_id else None
        state = _state(outcome)
        privilege = ", with break-glass" if run.break_glass_id else ""
        undoes = f", which undoes run {proposal.undo_of[:HANDLE_LENGTH]}" if proposal.undo_of else ""
        after = f" after {spell_duration(took)}" if took >= _NOTABLE else ""
        who = f"{run.by}{privilege}{approval_note(proposal)}"
        message = f"{who}: {proposal.command}{undoes}: {state}{after}. {outcome.message}"
        report = ActionReported(type=_EVENTS[state], by=run.by, text=message, via=proposal.channel)
        about = dict.fromkeys((proposal.incident_id, _undone_on(tx, proposal), use.incident_id if use else None))
        found = tx.incidents([one for one in about if one is not None])
        changes = [lifecycle.change(found[one], report, now=tx.now) for one in about if one in found]
        return timeline.write(tx, changes, self.subscriptions)


def describe_result(
    run: Run, proposal: Proposal, state: State, message: str, *, can_undo: bool, took: timedelta
) -> str:
    """The result for people who wait for it: the effect, the way back, then who and how long.

    A run that only its requester confirmed, and that took no time, is described by its effect alone.
    """
    parts = [describe_end(state, message)]
    if can_undo:
        parts.append(f"`undo {run.id[:HANDLE_LENGTH]}` undoes it.")
    approved = approval_note(proposal)
    if approved or took >= _NOTABLE:
        parts.append(f"Requested by {run.by}{approved}{f', took {spell_duration(took)}' if took >= _NOTABLE else ''}.")
    return " ".join(parts)


def approval_note(proposal: Proposal) -> str:
    """ ", approved by bo and cy"; "" if its requester alone confirmed it."""
    return f", {approved_by(proposal.approvers)}" if proposal.approvals_needed and proposal.approvers else ""


def complete_outcome(outcome: Outcome, proposal: Proposal) -> Outcome:
    """With the undo that its plan knew, and with why it is degraded in the message."""
    message = f"{outcome.message} NOT WELL: {outcome.degraded}" if outcome.degraded else outcome.message
    return replace(outcome, message=message, undo_command=outcome.undo_command or proposal.plan.undo_command)


def _undone_on(tx: Tx, proposal: Proposal) -> int | None:
    """The incident of the run that this one undoes."""
    return runs.plan_of_run(tx.sql, runs.get_run(tx.sql, proposal.undo_of)).incident_id if proposal.undo_of else None


def _state(outcome: Outcome) -> State:
    return run_state(outcome.result, unwell=outcome.degraded)


def _code(outcome: Outcome) -> Code:
    return Code.UNWELL if outcome.degraded else _CODES[outcome.result]
