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

from bot.acting import Moved, Tools, Unsure
from bot.acts import Decision, Ended, Outcome
from bot.apart import MOST, Apart, beside
from bot.ending import Alarm, Endings, whole
from bot.failpoints import failpoint
from bot.intents import LEASE, NO_AUDIT, Intents, Seal
from bot.model import Ask, Principal, Reply
from bot.owing import Mouth
from bot.people import Account
from bot.plans import SHOWN, Drawn
from bot.ports import Rejected
from bot.reports import Reports
from bot.rights import Rights
from bot.states import state_of, told
from bot.store import ran
from bot.store.engine import Store, Unavailable
from bot.store.ran import Run
from bot.story import Told
from bot.verbs import Verbs
from bot.watchkeeping import Watchkeeping

logger = logging.getLogger(__name__)

_NOTHING: Mapping[Account, str] = {}
#: How often what goes on apart takes its lease anew.
_RENEW_S = 30.0
#: An end that cannot be found out for so long, once somebody looks for it, is for a person to find out.
GIVE_UP = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What runs are made with."""

    store: Store
    verbs: Verbs
    args_of: Callable[[Drawn], object]  #: a plan's words, read again
    tools: Tools
    mouths: Sequence[Mouth]
    told: Told
    seal: Seal
    alarm: Alarm
    reports: Reports
    rights: Rights
    waits: bool = False  #: slow runs are waited for: the process ends with its one ask


class Runs:
    """`begin` runs an approved plan; the rest is for the watch."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._endings = Endings(store=parts.store, mouths=parts.mouths, told=parts.told, alarm=parts.alarm)
        self._intents = Intents(
            store=parts.store,
            verbs=parts.verbs,
            rights=parts.rights,
            seal=parts.seal,
        )
        self._apart = Apart()
        self._watches = Watchkeeping(store=parts.store, reports=parts.reports, lease=LEASE)
        self._renewed = monotonic()

    def begin(
        self,
        drawn: Drawn,
        by: Principal,
        ask: Ask,
        decision: Decision,
        outside: Mapping[Account, str] = _NOTHING,
        *,
        undoes: Run | None = None,
    ) -> Reply:
        """Run it, now; the reply tells the outcome. The plan has been made again by the caller, and is the same.

        `decision`: by which the watch may; a person's right is decided anew, with what is `outside` as
        `approval_facts.weigh` takes it. `undoes`: what it is the undo of, as that was read when it was asked for or
        due. Raises `Lapsed`, or another refusal, and then there is no run.
        """
        slow = self._parts.verbs.action(drawn.verb).slow
        apart = slow and not self._parts.waits
        if apart and self._apart.full():
            said = f"{MOST} runs are going on. Nothing was done. Ask again when one has ended; `runs` lists them."
            raise Rejected(said, code="too_many_runs", status=429)
        try:
            run, uid, drawn = self._intents.write(drawn, by, ask, decision, outside, undoes=undoes)
        except Unavailable as trouble:
            return Reply(said=NO_AUDIT.format(why=trouble), ok=False)
        failpoint("run.intended")
        said = self._intents.why_not(run, uid, drawn, ask, outside)
        if said:
            self._endings.write(run, drawn, Outcome(ended=Ended.FAILED, said=said))
            return Reply(said=said, ok=False)
        if apart:
            self._apart.go(run, partial(self._ended_apart, run, partial(self._finish, run, drawn, by)))
            how = f"`runs` says how run {run.id[:SHOWN]} goes; its end is told where it was asked for."
            return Reply(said=f"Running: {drawn.words}. {how}")
        if not slow:
            return self._finish(run, drawn, by)
        with beside(partial(self._renew_one, run), _RENEW_S):  # Nobody else does, where the process ends with its ask.
            return self._finish(run, drawn, by)

    def _ended_apart(self, run: Run, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception:
            # The edge of the path: the run is looked at once its lease is over.
            logger.exception("a run ended badly", extra={"run": run.id})
        finally:
            self._parts.reports.over(run)

    def _finish(self, run: Run, drawn: Drawn, by: Principal) -> Reply:
        failpoint("run.calling")
        outcome = self._call(run, drawn, by)
        failpoint("run.called")
        if outcome is None:
            said = f"Run {run.id[:SHOWN]}: no answer came, and nobody knows yet whether it was done. It is looked at."
            return Reply(said=said, ok=False)
        outcome = whole(outcome, drawn)
        self._endings.write(run, drawn, outcome)
        failpoint("run.ended")
        return Reply(said=_told(run, outcome), ok=outcome.ended is Ended.DONE and not outcome.unwell)

    def recover(self) -> int:
        """Look at runs whose process said nothing in time; returns how many. Those that are watched go on apart."""
        self._renew()
        live = {run.id for run in self._apart.live()}
        with self._parts.store.begin() as tx:
            found = [(run, ran.plan_of_run(tx.sql, run)) for run in ran.abandoned(tx, lease=LEASE, but=live)]
        for run, drawn in found:
            action = self._parts.verbs.actions.get(drawn.verb)
            if action is not None and action.slow:
                self._apart.go(run, partial(self._ended_apart, run, partial(self._recover, run, drawn)))
            else:
                self._recover(run, drawn)
        return len(found)

    def _recover(self, run: Run, drawn: Drawn) -> None:
        outcome = self._look(run, drawn)
        lost = run.lost_at or run.began_at
        if outcome is None and self._parts.store.now() - lost > GIVE_UP:
            outcome = Outcome(ended=Ended.UNKNOWN, said="Nobody knows whether it was done: the target does not say.")
        if outcome is not None:
            self._endings.write(run, drawn, whole(outcome, drawn))

    def not_well(self, run: Run, why: str) -> None:
        """What it did is found not to hold, and nothing mends that by itself."""
        self._endings.not_well(run, why)

    def stop(self, within: timedelta) -> None:
        """Give what goes on this long to end; what does not is looked at after the next start."""
        self._apart.join(within.total_seconds())

    def _renew(self) -> None:
        """This process's own go on: nobody else is to look at them."""
        if monotonic() - self._renewed < _RENEW_S:
            return
        self._renewed = monotonic()
        for run in self._apart.live():
            self._renew_one(run)

    def _renew_one(self, run: Run) -> None:
        try:
            with self._parts.store.begin() as tx:
                ran.renew(tx, run, LEASE)
        except Unavailable as trouble:
            logger.warning("a run's lease is not renewed", extra={"run": run.id, "why": str(trouble)})

    def _call(self, run: Run, drawn: Drawn, by: Principal) -> Outcome | None:
        """The one call. None: nobody knows, and the world could not be asked."""
        action = self._parts.verbs.actions[drawn.verb]
        try:
            tools = self._watches.tools_for(run, drawn, replace(self._parts.tools, by=by), slow=action.slow)
            return action.run(self._parts.args_of(drawn), drawn.plan, run.id, by, tools)
        except Moved as moved:
            return Outcome(ended=Ended.FAILED, said=f"It moved meanwhile: {moved.said}. Nothing was done.")
        except Rejected as refused:
            return Outcome(ended=Ended.FAILED, said=refused.said)
        except Unsure as unsure:
            logger.warning("a run's answer did not come", extra={"run": run.id, "why": unsure.said})
            return _with_answer(self._look(run, drawn), unsure.said)
        except Exception:
            # The edge of the path: after a fault of ours nobody knows how far the call had got.
            logger.exception("a run failed", extra={"run": run.id})
        return self._look(run, drawn)

    def _look(self, run: Run, drawn: Drawn) -> Outcome | None:
        action = self._parts.verbs.actions.get(drawn.verb)
        if action is None:
            return Outcome(ended=Ended.UNKNOWN, said=f"The bot no longer has the command {drawn.verb}.")
        try:
            with self._parts.store.read() as reading:
                noted = ran.run_of(reading.sql, run.id).noted
            tools = self._watches.tools_for(run, drawn, replace(self._parts.tools, noted=noted), slow=action.slow)
            return action.probe(self._parts.args_of(drawn), drawn.plan, run.id, tools)
        except Unavailable as trouble:
            logger.warning("a run cannot be looked at", extra={"run": run.id, "why": str(trouble)})
        except (Rejected, Unsure) as down:
            logger.warning("a run cannot be looked at", extra={"run": run.id, "why": down.said})
        except Exception:
            # The edge of the path: one run that cannot be looked at must not keep the others from it.
            logger.exception("a run cannot be looked at", extra={"run": run.id})
        return None


def _with_answer(outcome: Outcome | None, answer: str) -> Outcome | None:
    """What was found, and what came back in the place of an answer: often that says why nothing was done."""
    if outcome is None or outcome.ended is Ended.DONE:
        return outcome
    return replace(outcome, said=f"{outcome.said} What came back from the call: {answer.rstrip('.')}.")


def _told(run: Run, outcome: Outcome) -> str:
    way_back = f" `undo {run.id[:SHOWN]}` undoes it." if outcome.ended is Ended.DONE and outcome.undo else ""
    return f"{told(state_of(outcome.ended, unwell=outcome.unwell), outcome.said)}{way_back}"
