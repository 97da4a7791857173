"""The intent of a run: committed and sealed before its call, and both times whoever wants it is decided anew.

The promise: in the commit that writes an intent, and again in the one right before the call, the asker and everybody
who said yes may still say so (`approval_facts.weigh`). Between the two the log is sealed, which may take a while:
rights end, freezes begin, incidents are resolved, and a process may be frozen. The run is taken anew with the last
decision, so one that was judged by then calls nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from bot import approval_facts, glass, lapses, yeses
from bot.acts import Code, Decision
from bot.ending import entry
from bot.failpoints import failpoint
from bot.model import Ask, Principal
from bot.people import Account
from bot.plans import SHOWN, Drawn
from bot.ports import Rejected
from bot.rights import Rights
from bot.states import state_of
from bot.store import drawn as drawn_up
from bot.store import glass as glasses
from bot.store import ledger, ran, tellings
from bot.store.engine import Store, Unavailable
from bot.store.ran import INTENDED, Run
from bot.store.tx import Tx
from bot.verbs import Verbs
from bot.watchkeeping import HELD_UP
from bot.yeses import Verdict

#: Longer than any tool's time-out, so that a run which is still going on is not looked at as if it had died.
LEASE = timedelta(minutes=2)

#: What is said to whoever asked for an action while nothing can be put on record.
NO_AUDIT = "Refused: the audit log cannot be written ({why}). Nothing was changed."

#: Returns once these entries are sealed; raises `Unavailable`, and then what they announce must not happen.
Seal = Callable[[Sequence[str]], None]


class Lapsed(Rejected):
    """Decided anew, the plan may not run: somebody's word for it counts no longer."""

    def __init__(self, drawn: Drawn, verdict: Verdict) -> None:
        super().__init__(yeses.told(drawn, verdict), code="plan_lapsed", status=409)
        self.drawn = drawn
        self.verdict = verdict


@dataclass(frozen=True, kw_only=True)
class Intents:
    """`write`, then `why_not`, then the call."""

    store: Store
    verbs: Verbs
    rights: Rights
    seal: Seal

    def write(
        self,
        drawn: Drawn,
        by: Principal,
        ask: Ask,
        decision: Decision,
        outside: Mapping[Account, str],
        *,
        undoes: Run | None,
    ) -> tuple[Run, str, Drawn]:
        """The run, its entry's uid, and the plan with all its yeses. From `decision` on: as in `Runs.begin`.

        Raises:
            Lapsed: somebody who counted does not any more; nothing is written.
            Rejected: its plan has its run or was stopped, its target is held, or nothing is to be undone any more.
        """
        with self.store.begin() as tx:
            drawn = drawn_up.plan(tx.sql, drawn.handle)
            decision = self._decided(tx, drawn, decision, outside, undoes=undoes)
            if not drawn_up.take_up(tx, drawn.handle):
                said = f"Plan {drawn.short} was stopped, or has its run. Nothing more was done."
                raise Rejected(said, code="plan_stopped", status=409)
            run = self._begun(tx, drawn, by, decision)
            ran.put_run(tx, run)
            place, spot = _spot(drawn, ask)
            if spot and self.verbs.action(drawn.verb).slow:
                tellings.put(tx, run, place, spot)
            (uid,) = ledger.record(tx, [entry(Code.INTENT, drawn.words, run, drawn, ask)])
            failpoint("run.intending")
        return run, uid, drawn

    def why_not(self, run: Run, uid: str, drawn: Drawn, ask: Ask, outside: Mapping[Account, str]) -> str:
        """Why it must not be called; "" once its intent is sealed, and the run is this process's for another LEASE."""
        try:
            self.seal([uid])
            failpoint("run.sealed")
            with self.store.begin() as tx:
                if not ran.renew(tx, run, LEASE):
                    return HELD_UP.format(run=run.id[:SHOWN])
                verdict = self._weigh(tx, drawn, outside)
                if verdict is None or verdict.runs:
                    return ""
                said = f"{yeses.ended(drawn, verdict)} Nothing was changed. Say the same words for a new plan."
                lapses.write_begun(tx, drawn, verdict, said, ask)
        except Unavailable as trouble:
            return NO_AUDIT.format(why=trouble)
        return said

    def _weigh(self, tx: Tx, drawn: Drawn, outside: Mapping[Account, str]) -> Verdict | None:
        """None: it is the watch's."""
        if drawn.by_watch:
            return None
        return approval_facts.weigh(self.rights, tx, drawn, self.verbs.action(drawn.verb).risk, outside)

    def _decided(
        self, tx: Tx, drawn: Drawn, decision: Decision, outside: Mapping[Account, str], *, undoes: Run | None
    ) -> Decision:
        verdict = self._weigh(tx, drawn, outside)
        if verdict is None:
            _check_due(tx, undoes)
            return decision
        if not verdict.runs:
            raise Lapsed(drawn, verdict)
        return verdict.decision

    def _begun(self, tx: Tx, drawn: Drawn, by: Principal, decision: Decision) -> Run:
        run_id, target = secrets.token_hex(16), drawn.plan.target
        token = ran.seize(tx, target, run_id, LEASE)
        if token is None:
            raise _busy(tx, drawn)
        behind = glasses.standing(tx.sql, by.id, tx.now) if decision.glass else None
        # By the clock that judges it: of a host whose own is behind, each lease would have run out at once.
        return Run(
            id=run_id,
            handle=drawn.handle,
            by=by.id,
            target=target,
            state=INTENDED,
            token=token,
            lease_until=tx.now + LEASE,
            began_at=tx.now,
            left={},
            rule=glass.grounds(decision.rule, glass=decision.glass),
            glass=None if behind is None else behind.id,
        )


def _check_due(tx: Tx, undoes: Run | None) -> None:
    """Raises `Rejected` where somebody has said since that what the watch would undo is to stay."""
    if undoes is not None and not ran.ends_now(tx, undoes):
        said = f"Run {undoes.id[:SHOWN]} is not to be undone any more: somebody keeps it. Nothing was done."
        raise Rejected(said, code="kept", status=409)


def _busy(tx: Tx, drawn: Drawn) -> Rejected:
    other = ran.holder(tx.sql, drawn.plan.target)
    busy = f"run {other.id[:SHOWN]} of {other.by}" if other else "another run"
    return Rejected(
        f"{drawn.plan.target or drawn.verb} is held by {busy}, {state_of(other.state) if other else 'under way'}."
        " Nothing was done. Ask again when that has ended.",
        code="target_busy",
        status=409,
    )


def _spot(drawn: Drawn, ask: Ask) -> tuple[str, str]:
    """Where its end is told: below the yes, if that was said where the plan stands; else where the plan was asked."""
    return (ask.place, ask.spot) if ask.spot and ask.place == drawn.place else (drawn.place, drawn.spot)
