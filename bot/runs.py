"""Runs: intent committed and sealed first, then one call, then its outcome; what nobody saw the end of is looked at.

The promise: nothing is called without a sealed intent, and nothing is called twice. Where an answer did not come, or
the process died, the world is only read; what that does not settle is unknown, and goes to a person.

The trap: a process may be frozen, and go on when its run has been judged. The run is taken anew right before its call,
so one that was judged by then calls nothing. What is left is a freeze longer than LEASE between that and the arrival of
the call; it ends as unknown, and a person is told.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from time import monotonic

from bot import glass, grammar, words
from bot.acting import Moved, Tools, Unsure
from bot.acts import Code, Decision, Ended, Outcome
from bot.apart import MOST, Apart, beside
from bot.ending import Alarm, Endings, entry, whole
from bot.failpoints import failpoint
from bot.following import Following, Look
from bot.model import Ask, Principal, Reply
from bot.owing import Mouth
from bot.plans import SHOWN, Drawn
from bot.ports import Rejected
from bot.reports import Reports
from bot.store import drawn as drawn_up
from bot.store import glass as glasses
from bot.store import ledger, ran, tellings
from bot.store.engine import Store, Unavailable
from bot.store.ran import INTENDED, Run
from bot.store.tx import Tx
from bot.story import Told
from bot.verbs import Verbs

logger = logging.getLogger(__name__)

#: Longer than any tool's time-out, so that a run which is still going on is not looked at as if it had died.
LEASE = timedelta(minutes=2)
#: How often what goes on apart takes its lease anew.
_RENEW_S = 30.0
#: An end that cannot be found out for so long is for a person to find out.
GIVE_UP = timedelta(minutes=10)

#: What is said to whoever asked for an action while nothing can be put on record.
NO_AUDIT = "Refused: the audit log cannot be written ({why}). Nothing was changed."


#: Returns once these entries are sealed; raises `Unavailable`, and then what they announce must not happen.
Seal = Callable[[Sequence[str]], None]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What runs are made with."""

    store: Store
    verbs: Verbs
    tools: Tools
    mouths: Sequence[Mouth]
    told: Told
    seal: Seal
    alarm: Alarm
    reports: Reports
    waits: bool = False  #: slow runs are waited for: the process ends with its one ask
    following: Following = field(default_factory=lambda: Following({}))


class Runs:
    """`begin` runs an approved plan; the rest is for the watch."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._endings = Endings(store=parts.store, mouths=parts.mouths, told=parts.told, alarm=parts.alarm)
        self._apart = Apart()
        self._renewed = monotonic()

    def begin(self, drawn: Drawn, by: Principal, ask: Ask, decision: Decision) -> Reply:
        """Run it, now; the reply tells the outcome. The plan has been made again by the caller, and is the same.

        `decision` is the last one, which allows it.
        """
        slow = self._parts.verbs.action(drawn.verb).slow
        apart = slow and not self._parts.waits
        if apart and self._apart.full():
            said = f"{MOST} runs are going on. Nothing was done. Ask again when one has ended; `runs` lists them."
            raise Rejected(said, code="too_many_runs", status=429)
        run = Run(
            id=secrets.token_hex(16),
            handle=drawn.handle,
            by=by.id,
            target=drawn.plan.target,
            state=INTENDED,
            token=0,
            lease_until=drawn.at,
            began_at=drawn.at,
            left={},
            rule=glass.grounds(decision.rule, glass=decision.glass),
        )
        try:
            run, uid = self._intend(run, drawn, ask, behind_glass=decision.glass)
        except Unavailable as trouble:
            return Reply(said=NO_AUDIT.format(why=trouble), ok=False)
        failpoint("run.intended")
        said = self._why_not(run, uid)
        if said:
            self._endings.write(run, drawn, Outcome(ended=Ended.FAILED, said=said))
            return Reply(said=said, ok=False)
        if apart:
            self._apart.go(run, partial(self._finish_apart, run, drawn, by))
            how = f"`runs` says how run {run.id[:SHOWN]} goes; its end is told where it was asked for."
            return Reply(said=f"Running: {drawn.words}. {how}")
        if not slow:
            return self._finish(run, drawn, by)
        with beside(partial(self._renew_one, run), _RENEW_S):  # Nobody else does, where the process ends with its ask.
            return self._finish(run, drawn, by)

    def _finish_apart(self, run: Run, drawn: Drawn, by: Principal) -> None:
        try:
            self._finish(run, drawn, by)
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

    def answer(self, ask: Ask, outcome: Outcome, look: Look) -> Reply:
        """Of what only looks: nothing was run, and where it moves it is followed."""
        return self._parts.following.answer(ask, outcome, look)

    def recover(self) -> int:
        """Look at runs whose process said nothing in time; returns how many."""
        self._renew()
        with self._parts.store.begin() as tx:
            found = [(run, ran.plan_of_run(tx.sql, run)) for run in ran.abandoned(tx, lease=LEASE)]
        for run, drawn in found:
            outcome = self._look(run, drawn)
            if outcome is None and self._parts.store.now() - run.began_at > GIVE_UP:
                outcome = Outcome(
                    ended=Ended.UNKNOWN, said="Nobody knows whether it was done: the target does not say."
                )
            if outcome is not None:
                self._endings.write(run, drawn, whole(outcome, drawn))
        return len(found)

    def stop(self, within: timedelta) -> None:
        """Give what goes on this long to end; what does not is looked at after the next start."""
        self._parts.following.stop()
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

    def _intend(self, run: Run, drawn: Drawn, ask: Ask, *, behind_glass: bool) -> tuple[Run, str]:
        with self._parts.store.begin() as tx:
            if not drawn_up.take_up(tx, drawn.handle):
                said = f"Plan {drawn.short} was stopped, or has its run. Nothing more was done."
                raise Rejected(said, code="plan_stopped", status=409)
            behind = _standing_glass(tx, run.by) if behind_glass else None
            token = ran.seize(tx, run.target, run.id, LEASE)
            if token is None:
                other = ran.holder(tx.sql, run.target)
                busy = f"run {other.id[:SHOWN]} of {other.by}" if other else "another run"
                raise Rejected(
                    f"{run.target or drawn.verb} is held by {busy}, {other.state if other else 'under way'}."
                    " Nothing was done. Ask again when that has ended.",
                    code="target_busy",
                    status=409,
                )
            # By the clock that judges it: of a host whose own is behind, each lease would have run out at once.
            mine = replace(run, token=token, lease_until=tx.now + LEASE, began_at=tx.now, glass=behind)
            ran.put_run(tx, mine)
            place, spot = _spot(drawn, ask)
            if spot and self._parts.verbs.action(drawn.verb).slow:
                tellings.put(tx, mine, place, spot)
            (uid,) = ledger.record(tx, [entry(Code.INTENT, drawn.words, mine, drawn, ask)])
            failpoint("run.intending")
        return mine, uid

    def _why_not(self, run: Run, uid: str) -> str:
        """Why it must not be called; "" once its intent is sealed, and the run is this process's for another LEASE."""
        try:
            self._parts.seal([uid])
            failpoint("run.sealed")
            with self._parts.store.begin() as tx:
                ours = ran.renew(tx, run, LEASE)
        except Unavailable as trouble:
            return NO_AUDIT.format(why=trouble)
        return "" if ours else f"Run {run.id[:SHOWN]} was held up so long that it was given up. Nothing was changed."

    def _call(self, run: Run, drawn: Drawn, by: Principal) -> Outcome | None:
        """The one call. None: nobody knows, and the world could not be asked."""
        action = self._parts.verbs.actions[drawn.verb]
        try:
            tools = replace(self._parts.tools, by=by)
            if action.slow:
                tools = replace(tools, report=partial(self._hear, run, drawn))
            return action.run(self.args_of(drawn), drawn.plan, run.id, by, tools)
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

    def _hear(self, run: Run, drawn: Drawn, said: str) -> None:
        try:
            self._parts.reports.hear(run, drawn.words, said, LEASE)
        except Unavailable as trouble:
            logger.warning("how a run goes is not kept", extra={"run": run.id, "why": str(trouble)})
        except Exception:
            # The edge of the path: that it cannot be told how it goes must not end what goes on.
            logger.exception("how a run goes is not told", extra={"run": run.id})

    def _look(self, run: Run, drawn: Drawn) -> Outcome | None:
        action = self._parts.verbs.actions.get(drawn.verb)
        if action is None:
            return Outcome(ended=Ended.UNKNOWN, said=f"The bot no longer has the command {drawn.verb}.")
        try:
            return action.probe(self.args_of(drawn), drawn.plan, run.id, self._parts.tools)
        except (Rejected, Unsure) as down:
            logger.warning("a run cannot be looked at", extra={"run": run.id, "why": down.said})
        except Exception:
            # The edge of the path: one run that cannot be looked at must not keep the others from it.
            logger.exception("a run cannot be looked at", extra={"run": run.id})
        return None

    def args_of(self, drawn: Drawn) -> object:
        """The plan's words, read again."""
        _, rest = words.split(drawn.words)
        action = self._parts.verbs.actions[drawn.verb]
        return grammar.read(action.args, rest, drawn.incident_id, action.usage)


def _with_answer(outcome: Outcome | None, answer: str) -> Outcome | None:
    """What was found, and what came back in the place of an answer: often that says why nothing was done."""
    if outcome is None or outcome.ended is Ended.DONE:
        return outcome
    return replace(outcome, said=f"{outcome.said} What came back from the call: {answer.rstrip('.')}.")


def _spot(drawn: Drawn, ask: Ask) -> tuple[str, str]:
    """Where its end is told: below the yes, if that was said where the plan stands; else where the plan was asked."""
    return (ask.place, ask.spot) if ask.spot and ask.place == drawn.place else (drawn.place, drawn.spot)


def _standing_glass(tx: Tx, person: str) -> int:
    """Raises `Rejected` where it has mended since the decision."""
    broken = glasses.standing(tx.sql, person, tx.now)
    if broken is None:
        said = f"The glass of {person} is mended, and only behind it this was allowed. Nothing was done."
        raise Rejected(said, code="glass_mended", status=409)
    return broken.id


def _told(run: Run, outcome: Outcome) -> str:
    way_back = f" `undo {run.id[:SHOWN]}` undoes it." if outcome.ended is Ended.DONE and outcome.undo else ""
    return f"{outcome.said}{way_back}"
