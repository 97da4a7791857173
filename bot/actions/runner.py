"""Executes approved plans: intent committed and sealed, one call, outcome. An unknown result is probed, never repeated.

The promise: nothing is called without a sealed intent, and nothing is called twice. If no answer came, or the process
died, the world is only read: first for the write, then until the target has converged, with the deadline that the run
had. What the probe does not settle is recorded as unknown or degraded, and goes to a person.

The trap: a process may be frozen, and go on after its run was judged. The run's lease is renewed right before the
call, so a run that was judged by then calls nothing. What is left is a freeze longer than LEASE between that and the
arrival of the call; it ends as unknown, and a person is paged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from time import monotonic

from bot.access.authorizer import Authorizer
from bot.actions.intent import LEASE, NO_AUDIT, IntentWriter, Seal
from bot.actions.outcome import OutcomeWriter, approval_note, complete_outcome, describe_result
from bot.actions.progress import RunReports
from bot.actions.run_callbacks import RunCallbacks
from bot.actions.workers import MAX_RUNNING, Workers, repeat_meanwhile
from bot.core.access import Account, Decision
from bot.core.action import RaiseAlert, Tools
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.incident import OnCommit
from bot.core.message import Subscription
from bot.core.plan import HANDLE_LENGTH, Outcome, Proposal, Result
from bot.core.registry import Registry
from bot.core.request import Principal, Reply, Request
from bot.core.run_state import run_state
from bot.lib.failpoints import failpoint
from bot.store import runs
from bot.store.engine import Store, Unavailable
from bot.store.runs import Run

logger = logging.getLogger(__name__)

_NOTHING: Mapping[Account, str] = {}
#: Seconds between two renewals of the leases of runs in worker threads.
_RENEW_S = 30.0
#: If probes have found no result for this long, the run is recorded as unknown, for a person to look at.
GIVE_UP_AFTER = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True)
class RunnerParts:
    """What a `Runner` is composed of."""

    store: Store
    registry: Registry
    args_of: Callable[[Proposal], object]  #: parses the plan's command again
    tools: Tools
    subscriptions: Sequence[Subscription]
    on_commit: OnCommit
    seal: Seal
    raise_alert: RaiseAlert
    reports: RunReports
    authorizer: Authorizer
    wait_for_result: bool = False  #: wait for slow runs too: this process ends with its one request


class Runner:
    """`start` runs an approved plan; the rest is for the scheduler."""

    def __init__(self, parts: RunnerParts) -> None:
        self._parts = parts
        self._outcomes = OutcomeWriter(
            store=parts.store,
            subscriptions=parts.subscriptions,
            on_commit=parts.on_commit,
            raise_alert=parts.raise_alert,
        )
        self._intents = IntentWriter(
            store=parts.store,
            registry=parts.registry,
            authorizer=parts.authorizer,
            seal=parts.seal,
        )
        self._workers = Workers()
        self._callbacks = RunCallbacks(store=parts.store, reports=parts.reports, lease=LEASE)
        self._renewed = monotonic()

    def start(
        self,
        proposal: Proposal,
        by: Principal,
        request: Request,
        decision: Decision,
        outside: Mapping[Account, str] = _NOTHING,
        *,
        undo_of: Run | None = None,
    ) -> Reply:
        """Run the plan now; the reply has the outcome. The caller has planned again, and the plan is the same.

        Args:
            decision: what allows the scheduler's request; a person's right is decided anew.
            outside: problems that platforms report with accounts, as in `approval_facts.review_approvals`.
            undo_of: the run that this one undoes, as it was read when its undo was requested or due.

        Raises:
            Rejected: there is no run; `ApprovalLapsed` if the request or an approval no longer counts.
        """
        slow = self._parts.registry.action(proposal.verb).long_running
        in_worker = slow and not self._parts.wait_for_result
        if in_worker:
            self._check_free()
        try:
            run, uid, proposal = self._intents.write(proposal, by, request, decision, outside, undo_of=undo_of)
        except Unavailable as trouble:
            return Reply(text=NO_AUDIT.format(why=trouble), ok=False)
        failpoint("run.intended")
        message = self._intents.refusal(run, uid, proposal, request, outside)
        if message:
            self._outcomes.write(run, proposal, Outcome(result=Result.FAILED, message=message))
            return Reply(text=message, ok=False)
        if in_worker:
            return self._start_worker(run, proposal, by)
        if not slow:
            return self._finish(run, proposal, by)
        # Nobody else renews its lease if the process ends with its request.
        with repeat_meanwhile(partial(self._renew_one, run), _RENEW_S):
            return self._finish(run, proposal, by)

    def _start_worker(self, run: Run, proposal: Proposal, by: Principal) -> Reply:
        self._workers.start(run, partial(self._work, run, partial(self._finish, run, proposal, by)))
        how = f"`runs` shows how run {run.id[:HANDLE_LENGTH]} goes; its result is posted where it was requested."
        return Reply(text=f"Running: {proposal.command}{approval_note(proposal)}. {how}")

    def _check_free(self) -> None:
        if self._workers.is_full():
            message = (
                f"{MAX_RUNNING} runs are going on, the limit. Nothing was done. Ask again when one has ended; `runs` "
                "lists them."
            )
            raise Rejected(message, code="too_many_runs", status=429)

    def _work(self, run: Run, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception:
            # The edge of the path: the run is probed once its lease is over.
            logger.exception("a run's worker failed", extra={"run": run.id})
        finally:
            self._parts.reports.forget(run)

    def _finish(self, run: Run, proposal: Proposal, by: Principal) -> Reply:
        failpoint("run.calling")
        outcome = self._call(run, proposal, by)
        failpoint("run.called")
        if outcome is None:
            message = (
                f"Run {run.id[:HANDLE_LENGTH]}: no answer came, so its result is unknown. The bot goes on probing it; "
                "do not repeat it. `runs` shows the result."
            )
            return Reply(text=message, ok=False)
        outcome = complete_outcome(outcome, proposal)
        self._outcomes.write(run, proposal, outcome)
        failpoint("run.ended")
        done = outcome.result is Result.DONE
        message = describe_result(
            run,
            proposal,
            run_state(outcome.result, unwell=outcome.degraded),
            outcome.message,
            can_undo=done and bool(outcome.undo_command),
            took=self._parts.store.now() - run.began_at,
        )
        return Reply(text=message, ok=done and not outcome.degraded)

    def recover(self) -> int:
        """Probe the runs whose lease is over; returns how many. A slow run is probed in a worker."""
        self._renew()
        live = {run.id for run in self._workers.running()}
        with self._parts.store.begin() as tx:
            found = [
                (run, runs.plan_of_run(tx.sql, run)) for run in runs.take_over_abandoned(tx, lease=LEASE, exclude=live)
            ]
        for run, proposal in found:
            action = self._parts.registry.actions.get(proposal.verb)
            if action is not None and action.long_running:
                self._workers.start(run, partial(self._work, run, partial(self._recover, run, proposal)))
            else:
                self._recover(run, proposal)
        return len(found)

    def _recover(self, run: Run, proposal: Proposal) -> None:
        outcome = self._probe(run, proposal)
        lost = run.lost_at or run.began_at
        if outcome is None and self._parts.store.now() - lost > GIVE_UP_AFTER:
            outcome = Outcome(
                result=Result.UNKNOWN, message="It is not known whether it was done: the target does not show it."
            )
        if outcome is not None:
            self._outcomes.write(run, proposal, complete_outcome(outcome, proposal))

    def mark_degraded(self, run: Run, reason: str) -> None:
        """Its target does not converge or hold, and nothing repairs that automatically."""
        self._outcomes.write_degraded(run, reason)

    def stop(self, within: timedelta) -> None:
        """Wait at most this long for the workers; a run that has not ended is probed after the next start."""
        self._workers.join(within.total_seconds())

    def _renew(self) -> None:
        """Keep the runs of this process's workers, so that no other process probes them."""
        if monotonic() - self._renewed < _RENEW_S:
            return
        self._renewed = monotonic()
        for run in self._workers.running():
            self._renew_one(run)

    def _renew_one(self, run: Run) -> None:
        try:
            with self._parts.store.begin() as tx:
                runs.renew(tx, run, LEASE)
        except Unavailable as trouble:
            logger.warning("the lease of a run is not renewed", extra={"run": run.id, "why": str(trouble)})

    def _call(self, run: Run, proposal: Proposal, by: Principal) -> Outcome | None:
        """The one call. None: the result is unknown, and the probe could not read the world either."""
        action = self._parts.registry.actions[proposal.verb]
        try:
            tools = self._callbacks.tools_for(
                run, proposal, replace(self._parts.tools, by=by), slow=action.long_running
            )
            return action.run(self._parts.args_of(proposal), proposal.plan, run.id, by, tools)
        except Conflict as conflict:
            return Outcome(
                result=Result.FAILED, message=f"It has changed meanwhile: {conflict.message}. Nothing was done."
            )
        except Rejected as refused:
            return Outcome(result=Result.FAILED, message=refused.message)
        except OutcomeUnknown as unknown:
            logger.warning("the call of a run got no answer", extra={"run": run.id, "why": unknown.message})
            return _with_answer(self._probe(run, proposal), unknown.message)
        except Exception:
            # The edge of the path: after a bug of ours it is not known how far the call had got.
            logger.exception("a run failed", extra={"run": run.id})
        return self._probe(run, proposal)

    def _probe(self, run: Run, proposal: Proposal) -> Outcome | None:
        action = self._parts.registry.actions.get(proposal.verb)
        if action is None:
            return Outcome(result=Result.UNKNOWN, message=f"The bot no longer has the command {proposal.verb}.")
        try:
            with self._parts.store.read() as reading:
                notes = runs.get_run(reading.sql, run.id).notes
            tools = self._callbacks.tools_for(
                run, proposal, replace(self._parts.tools, remembered=notes), slow=action.long_running
            )
            return action.probe(self._parts.args_of(proposal), proposal.plan, run.id, tools)
        except Unavailable as trouble:
            logger.warning("a run cannot be probed", extra={"run": run.id, "why": str(trouble)})
        except (Rejected, OutcomeUnknown) as down:
            logger.warning("a run cannot be probed", extra={"run": run.id, "why": down.message})
        except Exception:
            # The edge of the path: one run that cannot be probed must not hold up the others.
            logger.exception("a run cannot be probed", extra={"run": run.id})
        return None


def _with_answer(outcome: Outcome | None, answer: str) -> Outcome | None:
    """With the error that the call returned: if nothing was done, it often says why."""
    if outcome is None or outcome.result is Result.DONE:
        return outcome
    return replace(outcome, message=f"{outcome.message} The call returned: {answer.rstrip('.')}.")
