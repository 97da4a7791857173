"""Senders whose token is wrong: an incident of the bot's own names them, because their alerts are missing here.

Nobody is paged for it. The trap: anybody can send such requests, from any number of addresses. So a refusal costs one
step in memory, what is kept is bounded, and addresses beyond that are counted together. The incident is raised by a
tick, never by the thread that answers.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv6Address, ip_address
from time import monotonic

from bot.alerts import internal
from bot.alerts.answer_deadline import Done, IntakeResult
from bot.core.alert import Alert, AlertBatch

EVERY_S = 5  #: Seconds between two calls of `report`.
_ENOUGH = 5  #: refusals within a minute
_WITHIN_S = 60.0
_AGAIN_S = 3600.0  #: seconds until the same address is reported again, and without a refusal until it is over
_MOST = 1024  #: addresses that are counted
_MOST_REPORTED = 50  #: addresses that are reported each by itself
_MANY = 100  #: addresses within a minute that found no room: they are reported together
_BEFORE = "auth_invalid"  #: why they were refused, as far as a later process knows
MANY_ADDRESSES = "many addresses"

Sender = tuple[str, str]  #: (source, address)


@dataclass(slots=True)
class _Refusals:
    """Of one sender, since `since`."""

    since: float
    count: int = 0
    code: str = ""


@dataclass(slots=True)
class _Report:
    """One sender that is reported."""

    code: str
    began: datetime
    seen_at: float
    due_at: float  #: when it is reported, for the first time or again


class RefusedSenders:
    """Used from many threads. `take`: `Intake.take`; `clock`: monotonic seconds. Call `report` periodically."""

    def __init__(
        self,
        now: Callable[[], datetime],
        take: Callable[[AlertBatch, Done], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._now = now
        self._take = take
        self._clock = clock
        self._lock = threading.Lock()
        self._counted: OrderedDict[Sender, _Refusals] = OrderedDict()  #: the one that was refused last is the last
        self._reported: dict[Sender, _Report] = {}
        self._pushed_out: Counter[str] = Counter()  #: by source, the addresses that found no room
        self._pushed_since = 0.0

    def take_over(self, reported: Iterable[Alert]) -> None:
        """Go on with what an earlier process reported: it is over if nothing is refused for an hour from now."""
        at = self._clock()
        with self._lock:
            for one in reported:
                sender = (one.labels.get("source", ""), one.labels.get("address", ""))
                begun = _Report(code=_BEFORE, began=one.starts_at, seen_at=at, due_at=at + _AGAIN_S)
                self._reported.setdefault(sender, begun)

    def count(self, source: str, address: str, code: str) -> None:
        """One refused request. `code`: why, a word of the bot's own."""
        sender, at = (source, _network_of(address)), self._clock()
        with self._lock:
            report = self._reported.get(sender)
            if report is not None:
                report.seen_at, report.code = at, code
                return
            found = self._counted.get(sender)
            if found is None or at - found.since > _WITHIN_S:
                found = self._counted[sender] = _Refusals(since=at)
            self._counted.move_to_end(sender)
            found.count, found.code = found.count + 1, code
            if found.count >= _ENOUGH:
                del self._counted[sender]
                self._begin(sender, code, at)
            elif len(self._counted) > _MOST:
                self._push_out(at)

    def report(self) -> None:
        """Raise what is due, and end what has not been refused for an hour."""
        at, now = self._clock(), self._now()
        with self._lock:
            over = [sender for sender, one in self._reported.items() if at - one.seen_at > _AGAIN_S]
            ended = [(sender, self._reported.pop(sender)) for sender in over]
            due = [(sender, one) for sender, one in self._reported.items() if one.due_at <= at]
            for _, one in due:
                one.due_at = at + _AGAIN_S
        for (source, address), one in due:
            batch = internal.sender_refused(source, address, one.code, one.began)
            self._take(batch, self._done((source, address), at))
        for (source, address), one in ended:
            # Lost with a full disk: then a person resolves it.
            self._take(internal.sender_refused(source, address, one.code, one.began, ended_at=now), _ignore)

    def _begin(self, sender: Sender, code: str, at: float) -> None:
        """Report it with the next tick; where too many are reported already, together with others."""
        if len(self._reported) >= _MOST_REPORTED:
            sender = (sender[0], MANY_ADDRESSES)
        began = self._reported.setdefault(sender, _Report(code=code, began=self._now(), seen_at=at, due_at=at))
        began.seen_at = at

    def _push_out(self, at: float) -> None:
        """Forget the address that was refused longest ago."""
        (source, _), oldest = self._counted.popitem(last=False)
        if at - oldest.since > _WITHIN_S:
            return
        if at - self._pushed_since > _WITHIN_S:
            self._pushed_out, self._pushed_since = Counter(), at
        self._pushed_out[source] += 1
        if self._pushed_out[source] >= _MANY:
            self._begin((source, MANY_ADDRESSES), oldest.code, at)

    def _done(self, sender: Sender, at: float) -> Done:
        def stored(taken: IntakeResult | Exception) -> None:
            if isinstance(taken, IntakeResult):
                return
            with self._lock:
                if sender in self._reported:
                    self._reported[sender].due_at = at

        return stored


def _network_of(address: str) -> str:
    """An IPv6 address as its /64, which one machine has whole."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64] or "unknown"
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        return f"{IPv6Address(int(found) >> 64 << 64)}/64"
    return str(getattr(found, "ipv4_mapped", None) or found)


def _ignore(taken: IntakeResult | Exception) -> None:
    """Nothing follows."""
