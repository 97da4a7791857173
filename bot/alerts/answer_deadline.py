"""Answers each delivery's sender once and in time: after the commit, or with `NotStored` when that takes too long.

The trap: the committing thread may hang where no timeout applies, in a disk or a DNS lookup. So a second thread watches
the clock. A delivery that was answered `NotStored` may be stored all the same; sent again, it changes nothing.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic

from msgspec import Struct

from bot.core.alert import AlertBatch

logger = logging.getLogger(__name__)

#: Every sender is answered within this time.
WITHIN_S = 4.5
#: How soon to check again when the queue was being moved.
_RECHECK_S = 0.25


class NotStored(Exception):
    """The delivery is not known to be stored, and its sender has to send it again."""


class IntakeResult(Struct, frozen=True, kw_only=True, gc=False):
    """The result of one delivery, after its commit."""

    accepted: int
    code: str  #: "accepted", "duplicate", "nothing_to_resolve" or "set_aside"
    incidents: tuple[int, ...] = ()


Done = Callable[[IntakeResult | Exception], None]


class PendingDelivery(Struct):
    """A delivery that waits for its answer."""

    delivered: AlertBatch
    done: Done | None  #: None once it is answered
    since: float  #: by the monotonic clock
    #: Set when the body is to be quarantined: (code, reason).
    quarantine_as: tuple[str, str] | None = None
    #: A readiness probe: nobody sent it, and it tests whether a delivery would be stored.
    is_probe: bool = False


class SenderAnswers:
    """Answers senders, from whichever thread is first. `queue`: deliveries that the committing thread has not taken."""

    def __init__(
        self,
        queue: deque[PendingDelivery],
        *,
        observe: Callable[[Sequence[tuple[AlertBatch, IntakeResult | Exception]]], None],
        post_answer: Callable[[Callable[[], None]], object],
        within_s: float = WITHIN_S,
    ) -> None:
        self._within_s = within_s
        self._queue = queue
        self._observe = observe
        self.post = post_answer
        #: The deliveries that the committing thread has taken, the oldest first.
        self.in_progress: Sequence[PendingDelivery] = ()
        #: Odd while the committing thread takes deliveries from the queue: then some are in neither list.
        self.moves = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="intake-clock", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def oldest_wait_s(self) -> float:
        """How long the oldest delivery that the committing thread has taken has been waiting."""
        taken = self.in_progress
        return monotonic() - taken[0].since if taken else 0.0

    def answer(self, batch: Sequence[PendingDelivery], results: Sequence[IntakeResult | Exception]) -> None:
        """Answer those of them that are not answered yet."""
        with self._lock:
            answers = [(one, one.done, result) for one, result in zip(batch, results, strict=True) if one.done]
            for one, _, _ in answers:
                one.done = None

        def answer() -> None:
            for _, done, result in answers:
                try:
                    done(result)
                except Exception:
                    logger.exception("a sender could not be answered")  # the others still have to be answered

        if answers:
            self.post(answer)
            self._observe([(one.delivered, result) for one, _, result in answers if not one.is_probe])

    def _watch(self) -> None:
        while not self._stopped.wait(self.idle_s()):
            try:
                self._answer_late()
            except Exception:
                # The edge of the path: without this thread, a commit that hangs would leave every sender unanswered.
                logger.exception("late senders could not be answered")

    def idle_s(self) -> float:
        """How long no deadline can pass: until that of the oldest delivery, or of one that arrives now."""
        moves = self.moves
        try:
            oldest = self._queue[0].since
        except IndexError:
            oldest = monotonic()
        oldest = min([oldest, *(one.since for one in self.in_progress if one.done)])
        if moves % 2 or moves != self.moves:
            return min(_RECHECK_S, self._within_s)
        return max(0.0, oldest + self._within_s - monotonic())

    def _answer_late(self) -> None:
        late = self._late()
        if late:
            why = f"the database did not take it within {self._within_s:g} s"
            logger.warning("alerts not stored", extra={"deliveries": len(late), "why": why})
            self.answer(late, [NotStored(why)] * len(late))

    def _late(self) -> list[PendingDelivery]:
        """The deliveries that have waited for too long."""
        before = monotonic() - self._within_s
        return [one for one in self.in_progress if one.done and one.since <= before] + self.out_of_queue(before)

    def out_of_queue(self, before: float) -> list[PendingDelivery]:
        """Remove the deliveries that were queued before then, and return them. They will not be stored."""
        taken: list[PendingDelivery] = []
        with suppress(IndexError):  # another thread may take from it between any two of these
            while self._queue[0].since <= before:
                one = self._queue.popleft()
                if one.since > before:
                    self._queue.appendleft(one)
                    break
                taken.append(one)
        return taken
