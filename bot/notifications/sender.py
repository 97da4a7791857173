"""Empties the outbox: sends messages at least once, in order for each incident, on threads of each channel's own.

It claims a message in one transaction, sends it outside of any, and records the result in another. A channel that hangs
delays only itself; the claim of a process that died is free again when its lease ends. A message that cannot be
delivered is reported in the transaction that gives it up, so that every other channel can show that.
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
from bot.notifications import revival
from bot.notifications.card import CardSettings, incident_card, page_summary
from bot.notifications.channel_text import pause_text, refusal_text
from bot.store import channel_health, outbox
from bot.store.engine import Store, Unavailable
from bot.store.outbox import Claim
from bot.store.transaction import Tx

logger = logging.getLogger(__name__)

#: Longer than any provider's time-out, so that a slow send ends before its row can be claimed again.
LEASE = timedelta(seconds=30)
#: The part of the lease that may have passed when a send begins.
_SPENT = 1 / 3
#: The longest pause that a provider can ask for.
LONGEST_RETRY = timedelta(hours=24)
#: The longest pause before a page is tried again, whatever its provider asks for.
LONGEST_PAGE_RETRY = timedelta(minutes=1)
#: A pause of at least this long is told.
TOLD_PAUSE = timedelta(minutes=1)
_SOONEST = timedelta(milliseconds=100)
#: How often a bug may fail one message before it is given up.
POISON = 5
#: How long to wait before the result of a send is written again.
_AGAIN_S = 0.5
#: Poll the outbox this often even without a signal: another process may have written to it.
_POLL_S = 1.0
#: Added to each wait, so that a due message is due when it is looked up.
_AFTER_S = 0.001
#: How long a channel that works is not looked up again, where another process may have found it refusing.
_WELL_S = 30.0

#: Called with the incident, the channel and the reason, in the transaction that gives the message up.
ReportFailure = Callable[[Tx, int, str, str], Committed]


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """How long to wait before the next try."""

    initial: timedelta = timedelta(seconds=1)
    maximum: timedelta = timedelta(seconds=60)

    def delay(self, attempts: int) -> timedelta:
        """Full jitter: anything up to the doubled bound, so that many messages are not retried at the same time."""
        bound = min(self.maximum, self.initial * (1 << min(attempts - 1, 16)))
        jitter = random.uniform(0.0, 1.0)  # noqa: S311 - spreads tries, guards nothing
        return max(_SOONEST, bound * jitter)


@dataclass(frozen=True, slots=True)
class Idle:
    """How long a channel's thread has nothing to do. `waits_blindly`: a new message could not be sent meanwhile either,
    so a signal does not end the wait.
    """

    seconds: float
    waits_blindly: bool = False


@dataclass(frozen=True, slots=True)
class ClaimedMessage:
    """A message that this thread has claimed; `began`: when, in seconds of the monotonic clock."""

    claim: Claim
    began: float


#: Look again at once.
_AGAIN = Idle(0.0)


class SendResult:
    """The results of a try, as the metrics name them."""

    SENT = "sent"
    FAILED = "failed"
    DEAD = "dead"
    FENCED = "fenced"


class Sender:
    """Sends the messages of all channels. `observe(claim, result, now)` is called after every try.

    `report_failure` reports a message, `report_channel` a whole channel, which is done once for many messages.
    """

    def __init__(
        self,
        store: Store,
        channels: Sequence[Channel],
        *,
        cards: CardSettings,
        report_failure: ReportFailure,
        report_channel: ReportFailure,
        on_commit: OnCommit,
        patience: Backoff | None = None,
        observe: Callable[[Claim, str, datetime], None] = lambda _claim, _outcome, _now: None,
    ) -> None:
        self._store = store
        self._report_failure, self._report_channel = report_failure, report_channel
        self._well_until: dict[str, float] = {}  #: channels without pause and trouble; monotonic seconds
        self._cards = cards
        self._on_commit = on_commit
        self._patience = patience or Backoff()
        self._observe = observe
        self._stopping = threading.Event()
        self._here = threading.local()  #: .unsure: this thread's claim until its commit is confirmed
        self._titles = {one.name: one.title for one in channels}
        self._signals = {one.name: WakeSignal() for one in channels}
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
        """Claim nothing more and let running sends finish. False: one was still running after `within`."""
        self._stopping.set()
        for signal in self._signals.values():
            signal.notify_all()
        ends = time.monotonic() + within.total_seconds()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, ends - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def wake(self, channels: Iterable[str]) -> None:
        """There are new messages for these channels."""
        for name in channels:
            if name in self._signals:
                self._signals[name].notify()

    def _serve(self, channel: Channel) -> None:
        signal = self._signals[channel.name]
        while not self._stopping.is_set():
            count = signal.count
            try:
                rest = self.send_next(channel)
            except Unavailable as trouble:
                logger.warning("queue not reached", extra={"channel": channel.name, "why": str(trouble)})
                rest = Idle(_POLL_S, waits_blindly=True)
            except Exception:
                # The edge of the path: a bug in one row must not end the channel's thread.
                logger.exception("delivery failed", extra={"channel": channel.name})
                rest = Idle(_POLL_S, waits_blindly=True)
            if rest.waits_blindly:
                self._stopping.wait(rest.seconds)
            elif rest.seconds:
                signal.wait(rest.seconds, count)

    def send_next(self, channel: Channel) -> Idle:
        """Send what can be sent now; returns how long there is nothing to do."""
        self._give_back_unsure()
        # Not synced: a claim lost in a power failure is retried, like that of any sender that dies.
        with self._store.begin(channel.name, synced=False) as tx:
            after = self._next(tx, channel)
        self._here.unsure = None
        while isinstance(after, ClaimedMessage):
            after = self._send(channel, after)
        return after

    def _give_back_unsure(self) -> None:
        """Release a claim whose commit was not confirmed: it may exist, and block the message until its lease ends."""
        unsure: Claim | None = getattr(self._here, "unsure", None)
        if unsure is not None:
            self._give_back(unsure, Undelivered("the database did not confirm the claim, so it was not sent"))
            self._here.unsure = None

    def _next(self, tx: Tx, channel: Channel) -> ClaimedMessage | Idle:
        began = time.monotonic()
        found = outbox.claim(tx, channel.name, limits=channel.limits, lease=LEASE)
        if isinstance(found, Claim):
            failpoint("delivery.claiming")
            self._here.unsure = found
            return ClaimedMessage(found, began)
        if found.until is None:
            return Idle(_POLL_S)
        seconds = (found.until - tx.now).total_seconds() + _AFTER_S
        return Idle(min(_POLL_S, max(_AFTER_S, seconds)), waits_blindly=bool(found.reason))

    def _send(self, channel: Channel, mine: ClaimedMessage) -> ClaimedMessage | Idle:
        """Send it and record the result; returns what is next."""
        failpoint("delivery.claimed")
        # Another thread of the channel looks for more messages while this one sends.
        self._signals[channel.name].notify()
        if time.monotonic() - mine.began > LEASE.total_seconds() * _SPENT:
            # Delayed since the claim: a trigger sent now could arrive after a resolve that another process sent.
            return self._give_back(mine.claim, Undelivered("its sender was held up, so it was not sent"))
        close = self._tried(channel, mine.claim)
        failpoint("delivery.sent")
        after = self._until_stored(close)
        failpoint("delivery.closed")
        return after

    def _tried(self, channel: Channel, one: Claim) -> Callable[[], ClaimedMessage | Idle]:
        """Send it; returns the function that records the result."""
        try:
            return partial(self._close, channel, one, channel.deliver(self._notification(one)))
        except Undelivered as down:
            return partial(self._give_back, one, down)
        except Exception as bug:
            # The edge of the path: after a few tries a bug in a channel gives the message up and is reported. A lack of
            # file descriptors or memory is no bug, and passes.
            logger.exception("channel failed", extra={"channel": one.channel, "delivery": one.id})
            fault = not isinstance(bug, OSError | MemoryError)
            poison = fault and one.faults + 1 >= POISON
            trouble = Undelivered(f"fault in the bot: {type(bug).__name__}", permanent=poison)
            return partial(self._give_back, one, trouble, fault=fault)

    def _until_stored(self, close: Callable[[], ClaimedMessage | Idle]) -> ClaimedMessage | Idle:
        """Retry until the result is recorded: only this thread knows it, and without it the message is sent again."""
        while True:
            try:
                return close()
            except Unavailable as trouble:
                logger.warning("result of a send not stored yet", extra={"why": str(trouble)})
                if self._stopping.wait(_AGAIN_S):
                    raise

    def _close(self, channel: Channel, one: Claim, ref: str | None) -> ClaimedMessage | Idle:
        """It arrived. The next message is claimed in the same transaction, because in a storm each one has to wait."""
        self._give_back_unsure()
        after: ClaimedMessage | Idle = _AGAIN
        with self._store.begin(one.channel) as tx:
            outbox.count_from_end(tx, one)
            ours = outbox.mark_sent(tx, one, ref)
            ailed = ours and self._may_have_ailed(tx, one.channel)
            failpoint("delivery.closing")
            if not self._stopping.is_set():
                after = self._next(tx, channel)
        self._here.unsure = None
        if ailed:
            self._make_good(one)
            after = _AGAIN if isinstance(after, Idle) else after
        self._observe(one, SendResult.SENT if ours else SendResult.FENCED, tx.now)
        return after

    def _may_have_ailed(self, tx: Tx, channel: str) -> bool:
        """Whether the channel has a pause or a trouble that its success ends. Looked up every half minute at most."""
        now = time.monotonic()
        if self._well_until.get(channel, 0.0) > now:
            return False
        if channel_health.ails(tx, channel):
            return True
        self._well_until[channel] = now + _WELL_S
        return False

    def _make_good(self, arrived: Claim) -> None:
        """In a transaction of its own, which no change of an incident runs beside. A failure is made up for by the next
        success, or by the scheduler.
        """
        try:
            with self._store.begin() as tx:
                revival.after_success(tx, arrived)
        except Unavailable as trouble:
            logger.warning("what a channel missed is not sent yet", extra={"why": str(trouble)})

    def _give_back(self, one: Claim, trouble: Undelivered, *, fault: bool = False) -> Idle:
        """It did not arrive: retry it later or, if no try can help, give it up and report that to other channels."""
        message = text.storable(trouble.message)[:500]
        written = Committed()
        after = None if trouble.retry_after is None else min(trouble.retry_after, LONGEST_RETRY)
        with self._store.begin() as tx:
            outbox.count_from_end(tx, one)
            if after is not None:
                written |= self._pause(tx, one, after)
            if trouble.permanent:
                ours, outcome = outbox.mark_dead(tx, one, message, trouble.refused), SendResult.DEAD
                written |= self._report_death(tx, one, trouble, message) if ours else Committed()
            else:
                again = tx.now + (_longest_pause(one, after) if after else self._patience.delay(one.attempts))
                ours, outcome = outbox.mark_failed(tx, one, message, again_at=again, fault=fault), SendResult.FAILED
            failpoint("delivery.giving_back")
        self._well_until.pop(one.channel, None)
        self._observe(one, outcome if ours else SendResult.FENCED, tx.now)
        self._on_commit(written)
        return _AGAIN

    def _pause(self, tx: Tx, one: Claim, after: timedelta) -> Committed:
        """The provider asked us to wait. A page is tried again within a minute all the same."""
        asked_until = tx.now + after
        said = pause_text(self._titles[one.channel], asked_until, now=tx.now, pages=one.kind is MessageKind.PAGE)
        channel_health.pause(tx, one.channel, said, until=tx.now + _longest_pause(one, after), asked_until=asked_until)
        if after < TOLD_PAUSE or not channel_health.tell_pause_once(tx, one.channel):
            return Committed()
        if one.kind is MessageKind.PAGE:
            # Recorded, so that the page is not reported once more when it is late.
            outbox.report_failure_once(tx, one.incident.id, one.channel)
        return self._report_channel(tx, one.incident.id, one.channel, said)

    def _report_death(self, tx: Tx, one: Claim, trouble: Undelivered, message: str) -> Committed:
        """A page is reported for each incident; cards and lines that the whole channel refuses once for all of them."""
        page = one.kind is MessageKind.PAGE
        if trouble.refused is not None:
            try_at = tx.now + (revival.TRY_PAGE_AGAIN if page else revival.TRY_AGAIN)
            first = channel_health.note_refusal(tx, one.channel, trouble.refused, message, try_at=try_at)
            if not page:
                said = refusal_text(self._titles[one.channel], message)
                return self._report_channel(tx, one.incident.id, one.channel, said) if first else Committed()
        return self._report_failure(tx, one.incident.id, one.channel, _death_text(one, trouble, message))

    def _notification(self, one: Claim) -> Notification:
        return Notification(
            key=f"{one.id}-{one.version}",
            kind=one.kind,
            incident=one.incident,
            event=one.event,
            card=incident_card(one.incident, self._cards, channel=one.channel, alerts=one.alerts, runs=one.runs),
            alerts=one.alerts,
            place_order=tuple(self._cards.place_order),
            summary=page_summary(one.incident, one.alerts, self._cards) if one.kind is MessageKind.PAGE else "",
            ref=one.ref,
            due_at=one.owed_at,
            attempted=one.attempts > 1,
            older_pages=one.older_pages,
        )


def _longest_pause(one: Claim, asked: timedelta) -> timedelta:
    return min(asked, LONGEST_PAGE_RETRY) if one.kind is MessageKind.PAGE else asked


def _death_text(one: Claim, trouble: Undelivered, message: str) -> str:
    """What cannot be delivered, why, and what comes next."""
    again = f"`resend {one.incident.id}` sends it again." if trouble.refused is None else "It is tried every minute."
    return f"{_name(one)} cannot be delivered: {message.rstrip('.')}. {again}"


def _name(one: Claim) -> str:
    names = {MessageKind.CARD: "The card", MessageKind.LINE: "A line of the timeline", MessageKind.PAGE: "THE PAGE"}
    return f"{names[one.kind]} for {one.channel}"
