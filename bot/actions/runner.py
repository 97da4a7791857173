"""Runs: intent committed and sealed first, then one call, then its outcome; what nobody saw the end of is looked at.

The promise: nothing is called without a sealed intent, and nothing is called twice. Where an answer did not come, or
the process died, the world is only read: for what was written, and then on until it holds, with the deadline that the
watch over it had. What that does not settle is unknown, or not known to hold, and goes to a person.

The trap: a process may be frozen, and go on when its run has been judged. The run is taken anew right before its call,
so one that was judged by then calls nothing. What is left is a freeze longer than LEASE between that and the arrival of
the call; it ends as unknown, and a person is told.
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
from bot.actions.outcome import OutcomeWriter, complete_outcome
from bot.actions.progress import RunReports
from bot.actions.run_callbacks import ProgressKeeper
from bot.actions.workers import MAX_RUNNING, Workers, repeat_meanwhile
from bot.core.access import Account, Decision
from bot.core.action import RaiseAlert, Tools
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.incident import OnCommit
from bot.core.message import Subscription
from bot.core.plan import HANDLE_LENGTH, Outcome, Proposal, Result
from bot.core.registry import Registry
from bot.core.request import Principal, Reply, Request
from bot.core.run_state import describe_end, run_state
from bot.lib.failpoints import failpoint
from bot.store import runs
from bot.store.engine import Store, Unavailable
from bot.store.runs import Run

logger = logging.getLogger(__name__)

_NOTHING: Mapping[Account, str] = {}
#: How often what goes on apart takes its lease anew.
_RENEW_S = 30.0
#: An end that cannot be found out for so long, once somebody looks for it, is for a person to find out.
GIVE_UP_AFTER = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True)
class RunnerParts:
    """What runs are made with."""

    store: Store
    registry: Registry
    args_of: Callable[[Proposal], object]  #: a plan's words, read again
    tools: Tools
    subscriptions: Sequence[Subscription]
    on_commit: OnCommit
    seal: Seal
    raise_alert: RaiseAlert
    reports: RunReports
    authorizer: Authorizer
    wait_for_result: bool = False  #: slow runs are waited for: the process ends with its one ask


class Runner:
    """`start` runs an approved plan; the rest is for the watch."""

    def __init__(self, parts: RunnerParts) -> None:
        self._parts = parts
        self._endings = OutcomeWriter(
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
        self._apart = Workers()
        self._watches = ProgressKeeper(store=parts.store, reports=parts.reports, lease=LEASE)
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
        """Run it, now; the reply tells the outcome. The plan has been made again by the caller, and is the same.

        `decision`: by which the watch may; a person's right is decided anew, with what is `outside` as
        `approval_facts.review_approvals` takes it. `undoes`: what it is the undo of, as that was read when it was
        asked for or due. Raises `ApprovalLapsed`, or another refusal, and then there is no run.
        """
        slow = self._parts.registry.action(proposal.verb).long_running
        apart = slow and not self._parts.wait_for_result
        if apart:
            self._check_free()
        try:
            run, uid, proposal = self._intents.write(proposal, by, request, decision, outside, undo_of=undo_of)
        except Unavailable as trouble:
            return Reply(text=NO_AUDIT.format(why=trouble), ok=False)
        failpoint("run.intended")
        message = self._intents.refusal(run, uid, proposal, request, outside)
        if message:
            self._endings.write(run, proposal, Outcome(result=Result.FAILED, message=message))
            return Reply(text=message, ok=False)
        if apart:
            self._apart.start(run, partial(self._ended_apart, run, partial(self._finish, run, proposal, by)))
            how = f"`runs` says how run {run.id[:HANDLE_LENGTH]} goes; its end is told where it was asked for."
            return Reply(text=f"Running: {proposal.command}. {how}")
        if not slow:
            return self._finish(run, proposal, by)
        # Nobody else renews its lease, where the process ends with its request.
        with repeat_meanwhile(partial(self._renew_one, run), _RENEW_S):
            return self._finish(run, proposal, by)

    def _check_free(self) -> None:
        if self._apart.is_full():
            message = (
                f"{MAX_RUNNING} runs are going on. Nothing was done. Ask again when one has ended; `runs` lists them."
            )
            raise Rejected(message, code="too_many_runs", status=429)

    def _ended_apart(self, run: Run, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception:
            # The edge of the path: the run is looked at once its lease is over.
            logger.exception("a run ended badly", extra={"run": run.id})
        finally:
            self._parts.reports.forget(run)

    def _finish(self, run: Run, proposal: Proposal, by: Principal) -> Reply:
        failpoint("run.calling")
        outcome = self._call(run, proposal, by)
        failpoint("run.called")
        if outcome is None:
            message = (
                f"Run {run.id[:HANDLE_LENGTH]}: no answer came, and nobody knows yet whether it was done. "
                "It is looked at."
            )
            return Reply(text=message, ok=False)
        outcome = complete_outcome(outcome, proposal)
        self._endings.write(run, proposal, outcome)
        failpoint("run.ended")
        return Reply(text=_told(run, outcome), ok=outcome.result is Result.DONE and not outcome.degraded)

    def recover(self) -> int:
        """Look at runs whose process said nothing in time; returns how many. Those that are watched go on apart."""
        self._renew()
        live = {run.id for run in self._apart.running()}
        with self._parts.store.begin() as tx:
            found = [
                (run, runs.plan_of_run(tx.sql, run)) for run in runs.take_over_abandoned(tx, lease=LEASE, exclude=live)
            ]
        for run, proposal in found:
            action = self._parts.registry.actions.get(proposal.verb)
            if action is not None and action.long_running:
                self._apart.start(run, partial(self._ended_apart, run, partial(self._recover, run, proposal)))
            else:
                self._recover(run, proposal)
        return len(found)

    def _recover(self, run: Run, proposal: Proposal) -> None:
        outcome = self._look(run, proposal)
        lost = run.lost_at or run.began_at
        if outcome is None and self._parts.store.now() - lost > GIVE_UP_AFTER:
            outcome = Outcome(
                result=Result.UNKNOWN, message="Nobody knows whether it was done: the target does not say."
            )
        if outcome is not None:
            self._endings.write(run, proposal, complete_outcome(outcome, proposal))

    def mark_degraded(self, run: Run, reason: str) -> None:
        """What it did is found not to hold, and nothing mends that by itself."""
        self._endings.write_degraded(run, reason)

    def stop(self, within: timedelta) -> None:
        """Give what goes on this long to end; what does not is looked at after the next start."""
        self._apart.join(within.total_seconds())

    def _renew(self) -> None:
        """This process's own go on: nobody else is to look at them."""
        if monotonic() - self._renewed < _RENEW_S:
            return
        self._renewed = monotonic()
        for run in self._apart.running():
            self._renew_one(run)

    def _renew_one(self, run: Run) -> None:
        try:
            with self._parts.store.begin() as tx:
                runs.renew(tx, run, LEASE)
        except Unavailable as trouble:
            logger.warning("a run's lease is not renewed", extra={"run": run.id, "why": str(trouble)})

    def _call(self, run: Run, proposal: Proposal, by: Principal) -> Outcome | None:
        """The one call. None: nobody knows, and the world could not be asked."""
        action = self._parts.registry.actions[proposal.verb]
        try:
            tools = self._watches.tools_for(run, proposal, replace(self._parts.tools, by=by), slow=action.long_running)
            return action.run(self._parts.args_of(proposal), proposal.plan, run.id, by, tools)
        except Conflict as moved:
            return Outcome(result=Result.FAILED, message=f"It moved meanwhile: {moved.message}. Nothing was done.")
        except Rejected as refused:
            return Outcome(result=Result.FAILED, message=refused.message)
        except OutcomeUnknown as unsure:
            logger.warning("a run's answer did not come", extra={"run": run.id, "why": unsure.message})
            return _with_answer(self._look(run, proposal), unsure.message)
        except Exception:
            # The edge of the path: after a fault of ours nobody knows how far the call had got.
            logger.exception("a run failed", extra={"run": run.id})
        return self._look(run, proposal)

    def _look(self, run: Run, proposal: Proposal) -> Outcome | None:
        action = self._parts.registry.actions.get(proposal.verb)
        if action is None:
            return Outcome(result=Result.UNKNOWN, message=f"The bot no longer has the command {proposal.verb}.")
        try:
            with self._parts.store.read() as reading:
                noted = runs.get_run(reading.sql, run.id).notes
            tools = self._watches.tools_for(
                run, proposal, replace(self._parts.tools, remembered=noted), slow=action.long_running
            )
            return action.probe(self._parts.args_of(proposal), proposal.plan, run.id, tools)
        except Unavailable as trouble:
            logger.warning("a run cannot be looked at", extra={"run": run.id, "why": str(trouble)})
        except (Rejected, OutcomeUnknown) as down:
            logger.warning("a run cannot be looked at", extra={"run": run.id, "why": down.message})
        except Exception:
            # The edge of the path: one run that cannot be looked at must not keep the others from it.
            logger.exception("a run cannot be looked at", extra={"run": run.id})
        return None


def _with_answer(outcome: Outcome | None, answer: str) -> Outcome | None:
    """What was found, and what came back in the place of an answer: often that says why nothing was done."""
    if outcome is None or outcome.result is Result.DONE:
        return outcome
    return replace(outcome, message=f"{outcome.message} What came back from the call: {answer.rstrip('.')}.")


def _told(run: Run, outcome: Outcome) -> str:
    way_back = (
        f" `undo {run.id[:HANDLE_LENGTH]}` undoes it." if outcome.result is Result.DONE and outcome.undo_command else ""
    )
    return f"{describe_end(run_state(outcome.result, unwell=outcome.degraded), outcome.message)}{way_back}"
