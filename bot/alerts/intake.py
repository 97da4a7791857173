"""PATH 1: alerts to committed incidents.

All deliveries that wait share one transaction; each is answered after its commit, and only then are the channels
woken. What cannot be stored is answered with `NotStored` (503: the sender tries again). What can be read but not
folded, or breaks the database's rules, is a fault of ours: it is set aside whole, and an incident says so.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import timedelta
from time import monotonic

from bot.alerts import ingest
from bot.alerts.answer_deadline import Done, IntakeResult, NotStored, PendingDelivery, SenderAnswers
from bot.alerts.classification import AlertRules
from bot.alerts.correlation import Correlator
from bot.alerts.internal import unreadable
from bot.alerts.readiness_probe import prove
from bot.core.alert import AlertBatch
from bot.core.errors import Rejected
from bot.core.incident import Committed, OnCommit
from bot.core.message import Subscription
from bot.lib.failpoints import failpoint
from bot.store.connections import DRIVERS_OWN
from bot.store.engine import DatabaseDamaged, Store, Unavailable
from bot.store.transaction import Tx

__all__ = ["Intake", "IntakeResult", "NotStored"]

logger = logging.getLogger(__name__)

#: One commit takes about this many alerts at most, so that a storm's first page does not wait for its last alert.
_ALERTS_A_COMMIT = 600
#: PostgreSQL is given what is folded in parts of about so many, and stores one while the next is folded.
_ALERTS_AHEAD = 20
#: The same unreadable body is kept and told again after this.
_AGAIN = timedelta(hours=1)
#: Beyond so many a sender is better off trying again than waiting.
_MOST_WAITING = 5_000
#: When so many shared the last commit, the next waits this long at most for as many: those who were answered together
#: come back together, and one commit of many costs less than many of few.
_CROWD = 8
_MOMENT_S = 0.0015
#: Whoever queues something wakes the thread; this is for a wake that a web loop took with it when it closed.
_LOOK_EVERY_S = 5.0
_NOBODY = 2**62
#: Who has waited for longer behind a commit that failed is told so with it; others may find a better connection.
_BEHIND_S = 1.0
#: A commit that is younger shows that alerts are stored; one that takes longer, that they are not.
_PROOF_S = 5.0
#: Whoever asks is answered within this, though the proof may take longer.
_ASKED_S = 1.0


class Intake:
    """The one thread that folds. `post` runs a callable where the answers belong (the web's loop)."""

    def __init__(
        self,
        store: Store,
        *,
        rules: AlertRules,
        subscriptions: Sequence[Subscription],
        on_commit: OnCommit,
        observe: Callable[[Sequence[tuple[AlertBatch, IntakeResult | Exception]]], None] = lambda _: None,
        post: Callable[[Callable[[], None]], object] = lambda answer: answer(),
    ) -> None:
        self._store = store
        self._rules = rules
        self._subscriptions = subscriptions
        self._on_commit = on_commit
        #: Runs a callable when whoever calls `take` has passed on what else has arrived by now.
        self.soon: Callable[[Callable[[], None]], object] = lambda wake: wake()
        self._queue: deque[PendingDelivery] = deque()
        self.post = post
        self._answers = SenderAnswers(self._queue, observe=observe, post_answer=self._post)
        self._stored_at: float | None = None  #: when the last commit ended well; None when the last one did not
        self._proof: Future[object] | None = None  #: the last one that was asked for
        self._gate = threading.Lock()
        self._gate.acquire()
        self._wanted = _NOBODY  #: how many have to wait before the thread is woken
        self._stopping = False
        self._crowd = 0
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._answers.start()

    def stop(self) -> None:
        """Commit and answer what is waiting, then end."""
        self._stopping = True
        self._wake()
        if self._thread.is_alive():
            self._thread.join()
        self._answers.stop()

    def _post(self, answer: Callable[[], None]) -> None:
        self.post(answer)

    def storage_problem(self) -> str | None:
        """Why an alert would not be stored now, or None. For whoever asks, so it holds no secret.

        A commit of late is proof enough; else one is made that stores as little as can be, the way an alert goes.
        While that goes on, and has not taken too long, what the last commit showed still counts: a slow disk is no
        reason to be given no alerts.
        """
        if not self._thread.is_alive():
            return "its thread has ended; restart the bot"
        stored_at = self._stored_at
        if stored_at is not None and monotonic() - stored_at < _PROOF_S:
            return None
        held_s = self._answers.oldest_wait_s()
        if held_s > _PROOF_S:
            return f"it has not committed for {held_s:.0f} s while alerts wait"
        proof = self._proof
        if proof is None or proof.done():
            proof = self._proof = self._asked()
        try:
            well = isinstance(proof.result(_ASKED_S), IntakeResult)
        except TimeoutError:
            well = self._stored_at is not None
        return None if well else "alerts are not stored; the log tells why"

    def _asked(self) -> Future[object]:
        """A proof that waits for its turn like an alert; like one it is answered in time, whatever hangs."""
        proof: Future[object] = Future()

        def hear(said: IntakeResult | Exception) -> None:
            if not isinstance(said, IntakeResult):
                self._stored_at = None
            proof.set_result(said)

        nothing = AlertBatch(source="vakhta", group="", alerts=())
        self._wait(PendingDelivery(nothing, hear, monotonic(), is_probe=True), hear)
        return proof

    def waiting(self) -> int:
        """How many deliveries wait for the next commit."""
        return len(self._queue)

    def take(self, batch: AlertBatch, done: Done) -> None:
        """Queue one delivery; `done` hears of it after the commit, or at once that there are too many."""
        self._wait(PendingDelivery(batch, done, monotonic()), done)

    def keep(self, source: str, body: bytes, rejected: Rejected, done: Done) -> None:
        """Queue what a known sender sent and could not be read: it is kept, and raised as an incident."""
        delivered = AlertBatch(source=source, group="", alerts=(), body=body)
        self._wait(PendingDelivery(delivered, done, monotonic(), quarantine_as=(rejected.code, rejected.message)), done)

    def _wait(self, one: PendingDelivery, done: Done) -> None:
        if len(self._queue) >= _MOST_WAITING:
            done(NotStored(f"{_MOST_WAITING} deliveries are waiting to be stored"))
            return
        self._queue.append(one)
        if len(self._queue) >= self._wanted:
            self._wanted = _NOBODY
            self.soon(self._wake)

    def _run(self) -> None:
        while True:
            batch = self._gather()
            if not batch and self._stopping:
                return
            try:
                self._commit(batch)
            except Exception as bug:
                # The edge of the path: the thread lives on, and whoever still waits is told to send again.
                logger.exception("intake failed after its commit")
                self._refuse(batch, repr(bug))
            self._answers.in_progress = ()

    def _gather(self) -> list[PendingDelivery]:
        """What waits, once something does; empty when the intake is to stop."""
        if self._crowd >= _CROWD:
            self._sleep(until=self._crowd, within_s=_MOMENT_S)
        while not self._queue and not self._stopping:
            self._sleep(until=1, within_s=_LOOK_EVERY_S)
        batch: list[PendingDelivery] = []
        alerts = 0
        self._answers.moves += 1
        with suppress(IndexError):  # no more are waiting; the clock's thread takes some as well
            while alerts < _ALERTS_A_COMMIT:
                batch.append(self._queue.popleft())
                alerts += len(batch[-1].delivered.alerts) or 1
        self._answers.in_progress = batch
        self._answers.moves += 1
        self._crowd = len(batch)
        return batch

    def _sleep(self, *, until: int, within_s: float) -> None:
        """Until so many wait, or the time is over. Python's lock is not asked for in between, so the web keeps it."""
        self._wanted = until
        if len(self._queue) < until and not self._stopping:
            self._gate.acquire(timeout=within_s)
        self._wanted = _NOBODY

    def _wake(self) -> None:
        self._wanted = _NOBODY
        with suppress(RuntimeError):  # it is open already
            self._gate.release()

    def _commit(self, batch: list[PendingDelivery], *, again: bool = True) -> None:
        """`again`: what a fault undoes is tried once more, each delivery alone."""
        if not batch:
            return
        try:
            results, written = self._fold(batch)
        except DatabaseDamaged as trouble:
            self._one_by_one(batch, trouble, again=again)  # others may need other pages
            return
        except Unavailable as trouble:
            # They would wait as long again for the same answer, and give up before they hear it.
            batch += self._answers.out_of_queue(monotonic() - _BEHIND_S)
            logger.warning("alerts not stored", extra={"deliveries": len(batch), "why": str(trouble)})
            self._refuse(batch, str(trouble))
            return
        except Exception as trouble:  # noqa: BLE001 - the edge of the path; it is logged where it ends
            self._one_by_one(batch, trouble, again=again)
            return
        failpoint("intake.committed")
        self._stored_at = monotonic()
        self._on_commit(written)
        self._answers.answer(batch, results)

    def _one_by_one(self, batch: list[PendingDelivery], trouble: Exception, *, again: bool) -> None:
        """One of them breaks the commit of all. Alone, the good ones pass, and the bad one is set aside."""
        if again:
            logger.warning("commit undone by a fault", extra={"deliveries": len(batch), "why": repr(trouble)})
            for one in batch:
                self._commit([one], again=False)
            return
        one = batch[0]
        if one.quarantine_as is not None or one.is_probe:
            logger.error("alerts not stored", exc_info=trouble)
            self._refuse(batch, repr(trouble))
            return
        logger.error("delivery set aside", exc_info=trouble)
        one.quarantine_as = ("not_stored", repr(trouble))
        self._commit(batch, again=False)

    def _fold(self, batch: list[PendingDelivery]) -> tuple[list[IntakeResult | Exception], Committed]:
        alerts = [alert for one in batch for alert in one.delivered.alerts]
        asked = ingest.lookup_of(alerts, postgres=not self._store.sqlite)
        with self._store.begin(first=asked.queries) as tx:
            failpoint("intake.begun")
            fold = Correlator(tx, self._rules, tx.now)
            ingest.load_answers(tx, fold, asked, tx.first)
            results: list[IntakeResult | Exception] = []
            written = Committed()
            for one in batch:
                results.append(self._take(tx, fold, one))
                if tx.sql.postgres and fold.pending() >= _ALERTS_AHEAD:
                    written |= ingest.write(tx, fold, self._subscriptions)
                    tx.sql.send_pipeline()
            written |= ingest.write(tx, fold, self._subscriptions)
            if all(one.is_probe for one in batch):
                prove(tx, self._rules, self._subscriptions)
            failpoint("intake.written")
        return results, written

    def _take(self, tx: Tx, correlator: Correlator, one: PendingDelivery) -> IntakeResult | Exception:
        delivered = one.delivered
        if one.quarantine_as is not None:
            self._set_aside(tx, correlator, delivered, *one.quarantine_as)
            return IntakeResult(accepted=0, code="set_aside")
        if delivered.rejected:
            path, reason = delivered.rejected[0]
            self._set_aside(tx, correlator, delivered, "bad_alert", f"{path}: {reason}")
        if delivered.keep_reason is not None:
            _keep(tx, delivered, *delivered.keep_reason)
        try:
            changed = correlator.add(delivered)
        except DRIVERS_OWN:
            raise
        except Exception as bug:
            # The edge of the path: whatever it is, the alert must not be lost, nor hold up the others.
            logger.exception("a delivery could not be folded")
            self._set_aside(tx, correlator, delivered, "not_folded", repr(bug))
            return IntakeResult(accepted=0, code="set_aside")
        if changed:
            return IntakeResult(accepted=len(delivered.alerts), code="accepted", incidents=tuple(changed))
        code = "duplicate" if any(alert.firing for alert in delivered.alerts) else "nothing_to_resolve"
        return IntakeResult(accepted=len(delivered.alerts), code=code if delivered.alerts else "accepted")

    def _set_aside(self, tx: Tx, correlator: Correlator, batch: AlertBatch, code: str, reason: str) -> None:
        sha256 = _keep(tx, batch, code, reason)
        if sha256 is None:
            return
        alarm = unreadable(batch.source, tx.now, code, reason, sha256)
        ingest.load(tx, correlator, alarm.alerts)
        correlator.add(alarm)

    def _refuse(self, batch: Sequence[PendingDelivery], reason: str) -> None:
        self._stored_at = None
        self._answers.answer(batch, [NotStored(reason)] * len(batch))


def _keep(tx: Tx, batch: AlertBatch, code: str, reason: str) -> str | None:
    """The SHA-256 of the body, which is now in the quarantine; None where it had been a short while ago."""
    sha256 = hashlib.sha256(batch.body).hexdigest()
    if tx.is_quarantined(sha256, tx.now - _AGAIN):
        return None
    tx.quarantine(batch.source, batch.body, sha256, code=code, reason=reason)
    return sha256
