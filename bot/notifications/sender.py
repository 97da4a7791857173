"""PATH OUT: what is owed to channels, at least once, in order per incident, each channel on threads of its own.

Claim in one transaction, send outside any, close in another. A channel that hangs holds up only itself; a claim whose
holder died comes back when its lease runs out. What cannot be delivered is reported in the transaction that gives it
up, so that every other channel can show it.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from bot.core.channel import Channel
from bot.core.errors import Undelivered
from bot.core.incident import Committed, OnCommit
from bot.core.message import MessageKind, Notification
from bot.lib import text
from bot.lib.failpoints import failpoint
from bot.lib.wakeup import WakeSignal
from bot.notifications.card import incident_card
from bot.store import outbox
from bot.store.engine import Store, Unavailable
from bot.store.outbox import Claim
from bot.store.transaction import Tx

logger = logging.getLogger(__name__)

#: Longer than any provider's time-out, so that a slow send ends before its row can be claimed again.
LEASE = timedelta(seconds=30)
#: No provider is left alone for longer, whatever it asks for.
LONGEST_RETRY = timedelta(hours=24)
#: How much of it may have gone by when a send begins.
_SPENT = 1 / 3
_SOONEST = timedelta(milliseconds=100)
#: How often the same bug may fail one row before it is set aside.
POISON = 5
#: How long to wait before it is tried again to store how a send went.
_AGAIN_S = 0.5
#: Look at the queue this often though nobody rang: another process may have written to it.
_LOOK_EVERY_S = 1.0
#: A moment more than the clock says, so that what is due is due when it is looked for.
_AFTER_S = 0.001


#: Takes the incident, the channel and why it was given up, in the transaction that does so.
ReportFailure = Callable[[Tx, int, str, str], Committed]


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """How long to wait before the next try."""

    initial: timedelta = timedelta(seconds=1)
    maximum: timedelta = timedelta(seconds=60)

    def delay(self, attempts: int) -> timedelta:
        """Full jitter: anything up to the doubled bound, so that many rows do not return in step."""
        bound = min(self.maximum, self.initial * (1 << min(attempts - 1, 16)))
        jitter = random.uniform(0.0, 1.0)  # noqa: S311 - spreads tries, guards nothing
        return max(_SOONEST, bound * jitter)


@dataclass(frozen=True, slots=True)
class Idle:
    """How long a channel's thread has nothing to do; `waits_blindly`: whatever is owed meanwhile could not be sent
    either.
    """

    seconds: float
    waits_blindly: bool = False


@dataclass(frozen=True, slots=True)
class ClaimedMessage:
    """What this thread has claimed, and when by its own monotonic clock, in seconds."""

    claim: Claim
    began: float


#: Look again at once.
_AGAIN = Idle(0.0)


class SendResult:
    """Names of what became of a try, for the metrics."""

    SENT = "sent"
    FAILED = "failed"
    DEAD = "dead"
    FENCED = "fenced"


class Sender:
    """All channels' queues. `observe(claim, outcome)` hears of every try."""

    def __init__(
        self,
        store: Store,
        channels: Sequence[Channel],
        *,
        public_url: str,
        report_failure: ReportFailure,
        on_commit: OnCommit,
        patience: Backoff | None = None,
        observe: Callable[[Claim, str, datetime], None] = lambda _claim, _outcome, _now: None,
    ) -> None:
        self._store = store
        self._report_failure = report_failure
        self._public_url = public_url
        self._on_commit = on_commit
        self._patience = patience or Backoff()
        self._observe = observe
        self._stopping = threading.Event()
        self._here = threading.local()  #: .unsure: what this thread claimed, until the database has said so
        self._bells = {one.name: WakeSignal() for one in channels}
        self._threads = [
            threading.Thread(target=self._serve, args=(one,), name=f"delivery-{one.name}-{place}", daemon=True)
            for one in channels
            if one.kinds
            for place in range(one.threads)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, within: timedelta) -> bool:
        """Claim nothing more and let what is being sent finish. False: something was still being sent at the end."""
        self._stopping.set()
        for bell in self._bells.values():
            bell.notify_all()
        ends = time.monotonic() + within.total_seconds()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, ends - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def wake(self, channels: Iterable[str]) -> None:
        """Something new is owed to these."""
        for name in channels:
            if name in self._bells:
                self._bells[name].notify()

    def _serve(self, channel: Channel) -> None:
        bell = self._bells[channel.name]
        while not self._stopping.is_set():
            heard = bell.count
            try:
                rest = self.send_next(channel)
            except Unavailable as trouble:
                logger.warning("queue not reached", extra={"channel": channel.name, "why": str(trouble)})
                rest = Idle(_LOOK_EVERY_S, waits_blindly=True)
            except Exception:
                # The edge of the path: a bug in one row must not end the channel's thread.
                logger.exception("delivery failed", extra={"channel": channel.name})
                rest = Idle(_LOOK_EVERY_S, waits_blindly=True)
            if rest.waits_blindly:
                self._stopping.wait(rest.seconds)
            elif rest.seconds:
                bell.wait(rest.seconds, heard)

    def send_next(self, channel: Channel) -> Idle:
        """Send what may be sent now; returns how long there is nothing to do."""
        self._give_back_unsure()
        # A claim that a power failure undoes is a row that is owed: what comes of any sender that dies.
        with self._store.begin(channel.name, synced=False) as tx:
            after = self._next(tx, channel)
        self._here.unsure = None
        while isinstance(after, ClaimedMessage):
            after = self._send(channel, after)
        return after

    def _give_back_unsure(self) -> None:
        """A claim whose commit was not answered may be there, and nobody would send it until its lease is over."""
        unsure: Claim | None = getattr(self._here, "unsure", None)
        if unsure is not None:
            self._give_back(unsure, Undelivered("the database did not say that it was claimed, so it was not sent"))
            self._here.unsure = None

    def _next(self, tx: Tx, channel: Channel) -> ClaimedMessage | Idle:
        began = time.monotonic()
        found = outbox.claim(tx, channel.name, limits=channel.limits, lease=LEASE)
        if isinstance(found, Claim):
            failpoint("delivery.claiming")
            self._here.unsure = found
            return ClaimedMessage(found, began)
        if found.until is None:
            return Idle(_LOOK_EVERY_S)
        seconds = (found.until - tx.now).total_seconds() + _AFTER_S
        return Idle(min(_LOOK_EVERY_S, max(_AFTER_S, seconds)), waits_blindly=bool(found.reason))

    def _send(self, channel: Channel, mine: ClaimedMessage) -> ClaimedMessage | Idle:
        """Send it and store how that went; returns what is next."""
        failpoint("delivery.claimed")
        # There may be more: another of the channel's threads looks while this one sends.
        self._bells[channel.name].notify()
        if time.monotonic() - mine.began > LEASE.total_seconds() * _SPENT:
            # Held up since the claim: a trigger that goes out now might come after the resolve that another sent.
            return self._give_back(mine.claim, Undelivered("its sender was held up, so it was not sent"))
        close = self._tried(channel, mine.claim)
        failpoint("delivery.sent")
        after = self._until_stored(close)
        failpoint("delivery.closed")
        return after

    def _tried(self, channel: Channel, one: Claim) -> Callable[[], ClaimedMessage | Idle]:
        """Send it; returns what stores how that went."""
        try:
            return partial(self._close, channel, one, channel.deliver(self._notice(one)))
        except Undelivered as down:
            return partial(self._give_back, one, down)
        except Exception as bug:
            # The edge of the path: a fault in a channel sets its row aside, after a few tries, and is told. That the
            # machine has no descriptor or memory left is nobody's fault, and passes.
            logger.exception("channel failed", extra={"channel": one.channel, "delivery": one.id})
            fault = not isinstance(bug, OSError | MemoryError)
            poison = fault and one.faults + 1 >= POISON
            trouble = Undelivered(f"fault in the bot: {type(bug).__name__}", permanent=poison)
            return partial(self._give_back, one, trouble, fault=fault)

    def _until_stored(self, close: Callable[[], ClaimedMessage | Idle]) -> ClaimedMessage | Idle:
        """How it went is known only here: a database in trouble must not make it be sent again."""
        while True:
            try:
                return close()
            except Unavailable as trouble:
                logger.warning("how it went is not stored yet", extra={"why": str(trouble)})
                if self._stopping.wait(_AGAIN_S):
                    raise

    def _close(self, channel: Channel, one: Claim, ref: str | None) -> ClaimedMessage | Idle:
        """It arrived. The next one is claimed in the same turn: in a storm each turn is waited for."""
        self._give_back_unsure()
        after: ClaimedMessage | Idle = _AGAIN
        with self._store.begin(one.channel) as tx:
            outbox.count_from_end(tx, one)
            ours = outbox.mark_sent(tx, one, ref)
            failpoint("delivery.closing")
            if not self._stopping.is_set():
                after = self._next(tx, channel)
        self._here.unsure = None
        self._observe(one, SendResult.SENT if ours else SendResult.FENCED, tx.now)
        return after

    def _give_back(self, one: Claim, trouble: Undelivered, *, fault: bool = False) -> Idle:
        """It did not arrive: owed again, or, where no try can help, dead and told on the other channels."""
        message = text.storable(trouble.message)[:500]
        written = Committed()
        after = None if trouble.retry_after is None else min(trouble.retry_after, LONGEST_RETRY)
        with self._store.begin() as tx:
            outbox.count_from_end(tx, one)
            if after is not None:
                outbox.pause(tx, one.channel, tx.now + after, message)
            if trouble.permanent:
                ours, outcome = outbox.mark_dead(tx, one, message), SendResult.DEAD
                reason = f"{_name(one)} cannot be delivered: {message}"
                written = self._report_failure(tx, one.incident.id, one.channel, reason) if ours else written
            else:
                again = tx.now + (after or self._patience.delay(one.attempts))
                ours, outcome = outbox.mark_failed(tx, one, message, again_at=again, fault=fault), SendResult.FAILED
            failpoint("delivery.giving_back")
        self._observe(one, outcome if ours else SendResult.FENCED, tx.now)
        self._on_commit(written)
        return _AGAIN

    def _notice(self, one: Claim) -> Notification:
        return Notification(
            key=f"{one.id}-{one.version}",
            kind=one.kind,
            incident=one.incident,
            event=one.event,
            card=incident_card(one.incident, public_url=self._public_url, runs=one.runs),
            ref=one.ref,
            due_at=one.owed_at,
            attempted=one.attempts > 1,
        )


def _name(one: Claim) -> str:
    what = {MessageKind.CARD: "The card", MessageKind.LINE: "A line of the story", MessageKind.PAGE: "THE PAGE"}[
        one.kind
    ]
    return f"{what} for {one.channel}"
