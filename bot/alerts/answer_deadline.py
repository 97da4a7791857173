"""Whoever delivered is answered once, and in time: after the commit, or that nothing is known to be stored.

The trap: the thread that commits may hang where no deadline reaches, on a disk or in a name service. So another one
watches the clock. What it has answered may be stored all the same; it is sent again then, and changes nothing.
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

#: A sender is answered within this.
WITHIN_S = 4.5
#: How soon it is looked again where it could not be seen who waits.
_AGAIN_S = 0.25
_TOO_LATE = f"the database did not take it within {WITHIN_S:g} s"


class NotStored(Exception):
    """The database did not take it: nothing of this delivery is kept, and its sender has to send it again."""


class IntakeResult(Struct, frozen=True, kw_only=True, gc=False):
    """What became of one delivery, after its commit."""

    accepted: int
    code: str  #: "accepted", "duplicate", "nothing_to_resolve" or "set_aside"
    incidents: tuple[int, ...] = ()


Done = Callable[[IntakeResult | Exception], None]


class PendingDelivery(Struct):
    """A delivery that waits for its answer."""

    delivered: AlertBatch
    done: Done | None  #: None once it is answered
    since: float  #: by the monotonic clock
    #: Set when it is to be kept as it came: (code, why).
    quarantine_as: tuple[str, str] | None = None
    #: Nobody sent it: it is asked whether one that was sent would be stored.
    is_probe: bool = False


class SenderAnswers:
    """Answers them, whichever thread is the first. `queue`: those that the committing thread has not begun with."""

    def __init__(
        self,
        queue: deque[PendingDelivery],
        *,
        observe: Callable[[Sequence[tuple[AlertBatch, IntakeResult | Exception]]], None],
        post_answer: Callable[[Callable[[], None]], object],
    ) -> None:
        self._queue = queue
        self._observe = observe
        self.post = post_answer
        #: What the committing thread has begun with, the oldest first.
        self.in_progress: Sequence[PendingDelivery] = ()
        #: Odd while the committing thread moves some from the queue to its hand: then they are seen in neither.
        self.moves = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="intake-clock", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()

    def oldest_wait_s(self) -> float:
        """How long the oldest of what the committing thread has begun with has been waiting."""
        held = self.in_progress
        return monotonic() - held[0].since if held else 0.0

    def answer(self, batch: Sequence[PendingDelivery], results: Sequence[IntakeResult | Exception]) -> None:
        """Those of them that are not answered yet."""
        with self._lock:
            answers = [(one, one.done, result) for one, result in zip(batch, results, strict=True) if one.done]
            for one, _, _ in answers:
                one.done = None

        def answer() -> None:
            for _, done, result in answers:
                try:
                    done(result)
                except Exception:
                    logger.exception("a sender could not be answered")  # the others have to be

        if answers:
            self.post(answer)
            self._observe([(one.delivered, result) for one, _, result in answers if not one.is_probe])

    def _watch(self) -> None:
        while not self._over.wait(self.idle_s()):
            try:
                self._answer_late()
            except Exception:
                # The edge of the path: without this thread a commit that hangs would leave all senders unanswered.
                logger.exception("senders that waited for too long could not be answered")

    def idle_s(self) -> float:
        """How long nobody can have waited for too long: until the oldest has, or whoever comes next could have."""
        moves = self.moves
        try:
            oldest = self._queue[0].since
        except IndexError:
            oldest = monotonic()
        oldest = min([oldest, *(one.since for one in self.in_progress if one.done)])
        if moves % 2 or moves != self.moves:
            return min(_AGAIN_S, WITHIN_S)
        return max(0.0, oldest + WITHIN_S - monotonic())

    def _answer_late(self) -> None:
        late = self._late()
        if late:
            logger.warning("alerts not stored", extra={"deliveries": len(late), "why": _TOO_LATE})
            self.answer(late, [NotStored(_TOO_LATE)] * len(late))

    def _late(self) -> list[PendingDelivery]:
        """Those that have waited for too long."""
        before = monotonic() - WITHIN_S
        return [one for one in self.in_progress if one.done and one.since <= before] + self.out_of_queue(before)

    def out_of_queue(self, before: float) -> list[PendingDelivery]:
        """Those that have queued since before then; they are stored no more."""
        taken: list[PendingDelivery] = []
        with suppress(IndexError):  # another thread takes from it as well, between any two of these
            while self._queue[0].since <= before:
                one = self._queue.popleft()
                if one.since > before:
                    self._queue.appendleft(one)
                    break
                taken.append(one)
        return taken
