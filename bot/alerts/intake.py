"""The intake: one thread that commits deliveries of alerts as incidents.

All waiting deliveries share one transaction. Each is answered after its commit, and only then are the channels woken. A
delivery that cannot be stored is answered with `NotStored` (503: the sender tries again). A delivery that can be read
but not correlated, or that violates a database constraint, is our bug: its body is quarantined, and an incident is
opened about it.
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
from bot.alerts.answer_deadline import WITHIN_S, Done, IntakeResult, NotStored, PendingDelivery, SenderAnswers
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

#: About the most alerts of one commit, so that a storm's first page does not wait for its last alert.
_ALERTS_A_COMMIT = 600
#: On PostgreSQL, changes are sent in parts of about this many alerts: it stores one while the next is correlated.
_ALERTS_AHEAD = 20
#: The same unreadable body is quarantined and reported again after this time.
_AGAIN = timedelta(hours=1)
#: When this many deliveries wait, further ones are refused: the sender should try again instead of waiting.
_MAX_WAITING = 5_000
#: When this many deliveries shared the last commit, the next one waits up to _MOMENT_S for as many: senders that were
#: answered together come back together, and one large commit is cheaper than many small ones.
_CROWD = 8
_MOMENT_S = 0.0015
#: Queueing wakes the thread; this poll is for a wake-up that was lost when a web loop closed.
_POLL_S = 5.0
_NOBODY = 2**62
#: Deliveries that waited longer than this behind a failed commit are refused with it; others try a new connection.
_BEHIND_S = 1.0
#: A commit younger than this proves that alerts are stored; a commit that takes longer proves that they are not.
_PROOF_S = 5.0
#: A readiness check is answered within this time, even if its probe takes longer.
_CHECK_S = 1.0


class Intake:
    """Queues deliveries and commits them on one thread. `post` runs a callable where answers are sent (the web)."""

    def __init__(
        self,
        store: Store,
        *,
        rules: AlertRules,
        subscriptions: Sequence[Subscription],
        on_commit: OnCommit,
        observe: Callable[[Sequence[tuple[AlertBatch, IntakeResult | Exception]]], None] = lambda _: None,
        post: Callable[[Callable[[], None]], object] = lambda answer: answer(),
        answer_within_s: float = WITHIN_S,
    ) -> None:
        self._store = store
        self._rules = rules
        self._subscriptions = subscriptions
        self._on_commit = on_commit
        #: Runs a callable once the caller of `take` has passed on everything that has arrived by now.
        self.soon: Callable[[Callable[[], None]], object] = lambda wake: wake()
        self._queue: deque[PendingDelivery] = deque()
        self.post = post
        self._answers = SenderAnswers(self._queue, observe=observe, post_answer=self._post, within_s=answer_within_s)
        self._stored_at: float | None = None  #: when the last commit succeeded; None when the last one failed
        self._proof: Future[object] | None = None  #: the last readiness probe
        self._wake_lock = threading.Lock()
        self._wake_lock.acquire()
        self._wanted = _NOBODY  #: how many deliveries must wait before the thread is woken
        self._stopping = False
        self._last_batch = 0
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
        """Why an alert would not be stored now, or None. The text is public, so it holds no secret.

        A recent commit is proof enough; otherwise a probe is stored the same way as an alert. While the probe runs, and
        has not taken too long, the result of the last commit counts: a slow disk is no reason to be sent no alerts.
        """
        if not self._thread.is_alive():
            return "its thread has ended; restart the bot"
        stored_at = self._stored_at
        if stored_at is not None and monotonic() - stored_at < _PROOF_S:
            return None
        waited_s = self._answers.oldest_wait_s()
        if waited_s > _PROOF_S:
            return f"it has not committed for {waited_s:.0f} s while alerts wait"
        proof = self._proof
        if proof is None or proof.done():
            proof = self._proof = self._start_probe()
        try:
            well = isinstance(proof.result(_CHECK_S), IntakeResult)
        except TimeoutError:
            well = self._stored_at is not None
        return None if well else "alerts are not stored; the log has the reason"

    def _start_probe(self) -> Future[object]:
        """A probe, queued like a delivery and, like one, answered in time whatever hangs."""
        proof: Future[object] = Future()

        def done(result: IntakeResult | Exception) -> None:
            if not isinstance(result, IntakeResult):
                self._stored_at = None
            proof.set_result(result)

        nothing = AlertBatch(source="vakhta", group="", alerts=())
        self._wait(PendingDelivery(nothing, done, monotonic(), is_probe=True), done)
        return proof

    def waiting(self) -> int:
        """The number of deliveries that wait for the next commit."""
        return len(self._queue)

    def take(self, batch: AlertBatch, done: Done) -> None:
        """Queue one delivery. `done` is called after its commit, or at once when too many are waiting."""
        self._wait(PendingDelivery(batch, done, monotonic()), done)

    def keep(self, source: str, body: bytes, rejected: Rejected, done: Done) -> None:
        """Queue an unreadable body of a known sender: it is quarantined, and an incident is opened about it."""
        delivered = AlertBatch(source=source, group="", alerts=(), body=body)
        self._wait(PendingDelivery(delivered, done, monotonic(), quarantine_as=(rejected.code, rejected.message)), done)

    def _wait(self, one: PendingDelivery, done: Done) -> None:
        if len(self._queue) >= _MAX_WAITING:
            done(NotStored(f"{_MAX_WAITING} deliveries are waiting to be stored"))
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
                # The edge of the path: the thread must go on, and waiting senders are answered that they should retry.
                logger.exception("intake failed after its commit")
                self._refuse(batch, repr(bug))
            self._answers.in_progress = ()

    def _gather(self) -> list[PendingDelivery]:
        """Wait for deliveries and take them; empty when the intake is to stop."""
        if self._last_batch >= _CROWD:
            self._sleep(until=self._last_batch, within_s=_MOMENT_S)
        while not self._queue and not self._stopping:
            self._sleep(until=1, within_s=_POLL_S)
        batch: list[PendingDelivery] = []
        alerts = 0
        self._answers.moves += 1
        with suppress(IndexError):  # no more are waiting: the deadline thread may take some as well
            while alerts < _ALERTS_A_COMMIT:
                batch.append(self._queue.popleft())
                alerts += len(batch[-1].delivered.alerts) or 1
        self._answers.in_progress = batch
        self._answers.moves += 1
        self._last_batch = len(batch)
        return batch

    def _sleep(self, *, until: int, within_s: float) -> None:
        """Sleep until that many wait, or the time is over. Without polling, so that the web thread keeps the GIL."""
        self._wanted = until
        if len(self._queue) < until and not self._stopping:
            self._wake_lock.acquire(timeout=within_s)
        self._wanted = _NOBODY

    def _wake(self) -> None:
        self._wanted = _NOBODY
        with suppress(RuntimeError):  # it was woken already
            self._wake_lock.release()

    def _commit(self, batch: list[PendingDelivery], *, again: bool = True) -> None:
        """`again`: after a bug, each delivery is tried once more in a commit of its own."""
        if not batch:
            return
        try:
            results, written = self._store_batch(batch)
        except DatabaseDamaged as trouble:
            self._one_by_one(batch, trouble, again=again)  # the other deliveries may need other pages
            return
        except Unavailable as trouble:
            # The next ones would wait as long for the same answer, and time out before they get it.
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
        """One delivery breaks the shared commit. Alone, the good ones are stored and the bad one is quarantined."""
        if again:
            logger.warning("commit rolled back by a fault", extra={"deliveries": len(batch), "why": repr(trouble)})
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

    def _store_batch(self, batch: list[PendingDelivery]) -> tuple[list[IntakeResult | Exception], Committed]:
        alerts = [alert for one in batch for alert in one.delivered.alerts]
        stored = ingest.lookup_of(alerts, postgres=not self._store.sqlite)
        with self._store.begin(first=stored.queries) as tx:
            failpoint("intake.begun")
            correlator = Correlator(tx, self._rules, tx.now)
            ingest.load_answers(tx, correlator, stored, tx.first)
            results: list[IntakeResult | Exception] = []
            written = Committed()
            for one in batch:
                results.append(self._take(tx, correlator, one))
                if tx.sql.postgres and correlator.pending() >= _ALERTS_AHEAD:
                    written |= ingest.write(tx, correlator, self._subscriptions)
                    tx.sql.send_pipeline()
            written |= ingest.write(tx, correlator, self._subscriptions)
            if all(one.is_probe for one in batch):
                prove(tx, self._rules, self._subscriptions)
            failpoint("intake.written")
        return results, written

    def _take(self, tx: Tx, correlator: Correlator, one: PendingDelivery) -> IntakeResult | Exception:
        delivered = one.delivered
        if one.quarantine_as is not None:
            self._quarantine(tx, correlator, delivered, *one.quarantine_as)
            return IntakeResult(accepted=0, code="set_aside")
        if delivered.rejected:
            path, reason = delivered.rejected[0]
            self._quarantine(tx, correlator, delivered, "bad_alert", f"{path}: {reason}")
        if delivered.keep_reason is not None:
            _keep(tx, delivered, *delivered.keep_reason)
        try:
            changed = correlator.add(delivered)
        except DRIVERS_OWN:
            raise
        except Exception as bug:
            # The edge of the path: the alert must not be lost, and must not block the others.
            logger.exception("a delivery could not be correlated")
            self._quarantine(tx, correlator, delivered, "not_folded", repr(bug))
            return IntakeResult(accepted=0, code="set_aside")
        if changed:
            return IntakeResult(accepted=len(delivered.alerts), code="accepted", incidents=tuple(changed))
        code = "duplicate" if any(alert.firing for alert in delivered.alerts) else "nothing_to_resolve"
        return IntakeResult(accepted=len(delivered.alerts), code=code if delivered.alerts else "accepted")

    def _quarantine(self, tx: Tx, correlator: Correlator, batch: AlertBatch, code: str, reason: str) -> None:
        """Quarantine the body, and raise an alert about it unless that was done a short while ago."""
        sha256 = _keep(tx, batch, code, reason)
        if sha256 is None:
            return
        own = unreadable(batch.source, tx.now, code, reason, sha256)
        ingest.load(tx, correlator, own.alerts)
        correlator.add(own)

    def _refuse(self, batch: Sequence[PendingDelivery], reason: str) -> None:
        self._stored_at = None
        self._answers.answer(batch, [NotStored(reason)] * len(batch))


def _keep(tx: Tx, batch: AlertBatch, code: str, reason: str) -> str | None:
    """Put the body into the quarantine and return its SHA-256; None when it was put there less than _AGAIN ago."""
    sha256 = hashlib.sha256(batch.body).hexdigest()
    if tx.is_quarantined(sha256, tx.now - _AGAIN):
        return None
    tx.quarantine(batch.source, batch.body, sha256, code=code, reason=reason)
    return sha256
