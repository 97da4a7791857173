"""PATH 1: alerts to committed incidents.

All deliveries that wait share one transaction; each is answered after its commit, and only then are the channels
woken. What cannot be stored is answered with `Unstored` (503: the sender tries again). What can be read but not
folded, or breaks the database's rules, is a fault of ours: it is set aside whole, and an incident says so.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from msgspec import Struct

from bot import raising
from bot.alarms import unreadable
from bot.failpoints import failpoint
from bot.folding import Fold
from bot.model import Delivered
from bot.owing import Mouth
from bot.ports import Rejected
from bot.rules import Rules
from bot.store.engine import Store, Unavailable
from bot.store.opening import DRIVERS_OWN
from bot.store.tx import Tx
from bot.story import Told, Written

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
_LOOK_EVERY_S = 1.0
_NOBODY = 2**62


class Unstored(Exception):
    """The database did not take it: nothing of this delivery is kept, and its sender has to send it again."""


class Taken(Struct, frozen=True, kw_only=True, gc=False):
    """What became of one delivery, after its commit."""

    accepted: int
    code: str  #: "accepted", "duplicate", "nothing_to_resolve" or "set_aside"
    incidents: tuple[int, ...] = ()


Done = Callable[[Taken | Exception], None]


class _Waiting(Struct, frozen=True):
    delivered: Delivered
    done: Done
    #: Set when it is to be kept as it came: (code, why).
    aside: tuple[str, str] | None = None


class Intake:
    """The one thread that folds. `post` runs a callable where the answers belong (the web's loop)."""

    def __init__(
        self,
        store: Store,
        *,
        rules: Rules,
        mouths: Sequence[Mouth],
        told: Told,
        observe: Callable[[Sequence[tuple[Delivered, Taken | Exception]]], None] = lambda _: None,
        post: Callable[[Callable[[], None]], object] = lambda answer: answer(),
    ) -> None:
        self._store = store
        self._rules = rules
        self._mouths = mouths
        self._told = told
        self._observe = observe
        self.post = post
        #: Runs a callable when whoever calls `take` has passed on what else has arrived by now.
        self.soon: Callable[[Callable[[], None]], object] = lambda wake: wake()
        self._queue: deque[_Waiting] = deque()
        self._gate = threading.Lock()
        self._gate.acquire()
        self._wanted = _NOBODY  #: how many have to wait before the thread is woken
        self._stopping = False
        self._crowd = 0
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Commit and answer what is waiting, then end."""
        self._stopping = True
        self._wake()
        if self._thread.is_alive():
            self._thread.join()

    def alive(self) -> bool:
        return self._thread.is_alive()

    def waiting(self) -> int:
        """How many deliveries wait for the next commit."""
        return len(self._queue)

    def take(self, delivered: Delivered, done: Done) -> None:
        """Queue one delivery; `done` hears of it after the commit, or at once that there are too many."""
        self._wait(_Waiting(delivered, done))

    def keep(self, source: str, body: bytes, rejected: Rejected, done: Done) -> None:
        """Queue what a known sender sent and could not be read: it is kept, and raised as an incident."""
        delivered = Delivered(source=source, group="", alerts=(), body=body)
        self._wait(_Waiting(delivered, done, aside=(rejected.code, rejected.said)))

    def _wait(self, one: _Waiting) -> None:
        if len(self._queue) >= _MOST_WAITING:
            one.done(Unstored(f"{_MOST_WAITING} deliveries are waiting to be stored"))
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
                self._answer(batch, [Unstored(repr(bug))] * len(batch))

    def _gather(self) -> list[_Waiting]:
        """What waits, once something does; empty when the intake is to stop."""
        if self._crowd >= _CROWD:
            self._sleep(until=self._crowd, within_s=_MOMENT_S)
        while not self._queue and not self._stopping:
            self._sleep(until=1, within_s=_LOOK_EVERY_S)
        batch: list[_Waiting] = []
        alerts = 0
        while self._queue and alerts < _ALERTS_A_COMMIT:
            one = self._queue.popleft()
            alerts += len(one.delivered.alerts) or 1
            batch.append(one)
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

    def _commit(self, batch: list[_Waiting], *, again: bool = True) -> None:
        """`again`: what a fault undoes is tried once more, each delivery alone."""
        if not batch:
            return
        try:
            results, written = self._fold(batch)
        except Unavailable as trouble:
            # Those who wait behind would wait as long again for the same answer, and give up before they hear it.
            batch += [self._queue.popleft() for _ in range(len(self._queue))]
            logger.warning("alerts not stored", extra={"deliveries": len(batch), "why": str(trouble)})
            self._answer(batch, [Unstored(str(trouble))] * len(batch))
            return
        except Exception as trouble:  # noqa: BLE001 - the edge of the path; it is logged where it ends
            self._one_by_one(batch, trouble, again=again)
            return
        failpoint("intake.committed")
        self._told(written)
        self._answer(batch, results)

    def _one_by_one(self, batch: list[_Waiting], trouble: Exception, *, again: bool) -> None:
        """One of them breaks the commit of all. Alone, the good ones pass, and the bad one is set aside."""
        if again:
            logger.warning("commit undone by a fault", extra={"deliveries": len(batch), "why": repr(trouble)})
            for one in batch:
                self._commit([one], again=False)
            return
        logger.error("delivery set aside", exc_info=trouble)
        one = batch[0]
        if one.aside is not None:
            self._answer(batch, [Unstored(repr(trouble))])
            return
        self._commit([_Waiting(one.delivered, one.done, aside=("not_stored", repr(trouble)))])

    def _fold(self, batch: list[_Waiting]) -> tuple[list[Taken | Exception], Written]:
        alerts = [alert for one in batch for alert in one.delivered.alerts]
        asked = raising.question_of(alerts, postgres=not self._store.sqlite)
        with self._store.begin(first=asked.asked) as tx:
            failpoint("intake.begun")
            fold = Fold(tx, self._rules, tx.now)
            raising.know(tx, fold, asked, tx.first)
            results: list[Taken | Exception] = []
            written = Written()
            for one in batch:
                results.append(self._take(tx, fold, one))
                if tx.sql.postgres and fold.pending() >= _ALERTS_AHEAD:
                    written |= raising.write(tx, fold, self._mouths)
                    tx.sql.send_ahead()
            written |= raising.write(tx, fold, self._mouths)
            failpoint("intake.written")
        return results, written

    def _take(self, tx: Tx, fold: Fold, one: _Waiting) -> Taken | Exception:
        delivered = one.delivered
        if one.aside is not None:
            self._set_aside(tx, fold, delivered, *one.aside)
            return Taken(accepted=0, code="set_aside")
        if delivered.rejected:
            path, why = delivered.rejected[0]
            self._set_aside(tx, fold, delivered, "bad_alert", f"{path}: {why}")
        if delivered.kept_for is not None:
            _keep(tx, delivered, *delivered.kept_for)
        try:
            changed = fold.take(delivered)
        except DRIVERS_OWN:
            raise
        except Exception as bug:
            # The edge of the path: whatever it is, the alert must not be lost, nor hold up the others.
            logger.exception("a delivery could not be folded")
            self._set_aside(tx, fold, delivered, "not_folded", repr(bug))
            return Taken(accepted=0, code="set_aside")
        if changed:
            return Taken(accepted=len(delivered.alerts), code="accepted", incidents=tuple(changed))
        code = "duplicate" if any(alert.firing for alert in delivered.alerts) else "nothing_to_resolve"
        return Taken(accepted=len(delivered.alerts), code=code if delivered.alerts else "accepted")

    def _set_aside(self, tx: Tx, fold: Fold, delivered: Delivered, code: str, why: str) -> None:
        sha256 = _keep(tx, delivered, code, why)
        if sha256 is None:
            return
        alarm = unreadable(delivered.source, tx.now, code, why, sha256)
        raising.load(tx, fold, alarm.alerts)
        fold.take(alarm)

    def _answer(self, batch: Sequence[_Waiting], results: Sequence[Taken | Exception]) -> None:
        answers = list(zip(batch, results, strict=True))

        def answer() -> None:
            for one, result in answers:
                try:
                    one.done(result)
                except Exception:
                    logger.exception("a sender could not be answered")  # the others have to be

        self.post(answer)
        self._observe([(one.delivered, result) for one, result in answers])


def _keep(tx: Tx, delivered: Delivered, code: str, why: str) -> str | None:
    """The SHA-256 of the body, which is now in the quarantine; None where it had been a short while ago."""
    sha256 = hashlib.sha256(delivered.body).hexdigest()
    if tx.kept(sha256, tx.now - _AGAIN):
        return None
    tx.keep(delivered.source, delivered.body, sha256, code=code, why=why)
    return sha256
