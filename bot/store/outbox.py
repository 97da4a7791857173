"""The transactional outbox: messages are enqueued with the change they report, claimed with a lease, and closed once.

A claim takes the head of a channel's queue: the lowest rank first, and of the messages of one lane (a group's pages, an
incident's lines) only the oldest that is unsent, so that they stay in order whatever fails. Each claim raises the row's
fencing token. When a lease has run out the row is claimed again; results of its earlier holder change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from msgspec.structs import replace

from bot.core.alert import AlertView
from bot.core.channel import RateLimit
from bot.core.errors import Refusal
from bot.core.incident import Event, EventType, Incident
from bot.core.message import MOST_ALERTS, MessageKind, OutboxMessage
from bot.core.run_state import RunStatus
from bot.store import run_states
from bot.store.sql import Fixed, Row
from bot.store.times import micros, moment, moment_or_none
from bot.store.transaction import Tx
from bot.store.views import alerts_of, event_of

OutboxRow = tuple[int, int | None, OutboxMessage]  #: (incident id, event id or None for a card, message)

_DELIVERY = (
    "id", "incident_id", "channel", "kind", "lane", "event_id", "rank", "state", "owed_at", "not_before",
)  # fmt: skip
_FRESH: Fixed = (
    ("version", "1"), ("sent_version", "0"), ("attempts", "0"), ("faults", "0"), ("token", "0"), ("lease_until", "0"),
    ("said", "''"), ("refused", "''"),
)  # fmt: skip

#: A card is always one row, and only its latest state is sent. A card that is being sent keeps its lease and is owed
#: again when that delivery is closed; a card that failed before keeps the time of its retry.
_CARD_AGAIN = """ON CONFLICT (incident_id, channel) WHERE kind = 'card' DO UPDATE SET
  version = delivery.version + 1,
  owed_at = CASE WHEN delivery.state = 'owed' THEN delivery.owed_at ELSE excluded.owed_at END,
  rank = CASE WHEN delivery.state IN ('owed', 'leased') AND delivery.rank < excluded.rank THEN delivery.rank
              ELSE excluded.rank END,
  attempts = CASE WHEN delivery.state IN ('owed', 'leased') THEN delivery.attempts ELSE 0 END,
  faults = CASE WHEN delivery.state IN ('owed', 'leased') THEN delivery.faults ELSE 0 END,
  not_before = CASE WHEN delivery.state = 'owed' THEN delivery.not_before ELSE excluded.not_before END,
  state = CASE WHEN delivery.state = 'leased' THEN 'leased' ELSE 'owed' END"""

_UNSENT = "state IN ('owed', 'leased')"

#: The line's card has been posted, so the line can go to the card's thread.
POSTED = """EXISTS (SELECT 1 FROM delivery AS c WHERE c.incident_id = delivery.incident_id
  AND c.channel = delivery.channel AND c.kind = 'card' AND c.ref IS NOT NULL)"""

#: The head of a channel's queue: of each lane only the oldest that is unsent.
_HEAD = """SELECT d.id FROM delivery AS d
 WHERE d.channel = ? AND d.state = 'owed' AND d.not_before <= ? AND d.rank <= ?
   AND (d.lane = '' OR NOT EXISTS (
     SELECT 1 FROM delivery AS e WHERE e.channel = d.channel AND e.lane = d.lane AND e.lane <> '' AND e.id < d.id
        AND e.state IN ('owed', 'leased')))
 ORDER BY d.rank, d.id LIMIT 1"""

#: Of each quota this many places are reserved for critical messages: one in twenty, and of a small quota up to five,
#: but never more than a quarter.
_KEPT_OF, _KEPT_AT_LEAST, _KEPT_AT_MOST_OF = 20, 5, 4
#: The last rank of news. What comes after it, as a card of which only counts or texts change, leaves as many places
#: again to them: alerts whose texts contain a value change them with every repeat.
_NEWS_RANK = 4
#: A request that took longer counts in its quota from its end, because the provider may have received it as late as
#: that. The trap: this must be less than the margin that each channel's limits leave beyond its provider's window, or
#: the next request might arrive too soon.
SLOW = timedelta(milliseconds=15)
#: A card shows the state of at most so many runs, the newest.
_RUNS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """One delivery that is ours until `lease_until`, or until another claim has raised its token."""

    id: int
    token: int
    kind: MessageKind
    channel: str
    incident: Incident
    event: Event | None
    ref: str | None  #: the provider's reference to the incident's card in this channel
    alerts: tuple[AlertView, ...]  #: of a card or a page: the incident's, firing ones first, of these its lead
    runs: tuple[RunStatus, ...]  #: of a card: the runs that were requested for its incident, newest first
    version: int  #: the version of the card that is being sent
    attempts: int  #: including this one
    faults: int  #: how many of them failed by a fault of our own
    owed_at: datetime
    lease_until: datetime
    claimed_at: datetime
    older_pages: tuple[int, ...] = ()  #: of a page: the numbers of older ones that may be open in that channel


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait:
    """Nothing may be sent now: try again at `until` (None: the queue is empty)."""

    until: datetime | None
    reason: str = ""


def enqueue(tx: Tx, owed: Sequence[OutboxRow], page_keys: Mapping[int, str]) -> None:
    """Store these messages; there is at most one card per channel and incident.

    `page_keys`: of these incidents, by id; pages of one key keep their order across incidents.
    """
    kept = [(one, _lane(one, page_keys)) for one in owed]
    kept = [(one, lane) for one, lane in kept if not one[2].only_behind_unsent or is_unsent(tx, one[2].channel, lane)]
    for (_, _, what), lane in kept:
        if what.expedites_earlier:
            _hurry(tx, what, lane)
    first = tx.reserve("delivery", len(kept))
    rows: dict[MessageKind, list[Row]] = {MessageKind.CARD: [], MessageKind.LINE: [], MessageKind.PAGE: []}
    for place, (one, lane) in enumerate(kept):
        rows[one[2].kind].append(_row(first + place, one, lane, micros(tx.now)))
    tx.sql.insert("delivery", _DELIVERY, rows[MessageKind.PAGE], fixed=_FRESH)
    tx.sql.insert("delivery", _DELIVERY, rows[MessageKind.CARD], _CARD_AGAIN, _FRESH)
    tx.sql.insert("delivery", _DELIVERY, rows[MessageKind.LINE], fixed=_FRESH)
    if rows[MessageKind.LINE]:
        tx.sql.run(f"UPDATE delivery SET state = 'owed' WHERE id >= ? AND state = 'waits' AND {POSTED}", first)


def _lane(one: OutboxRow, page_keys: Mapping[int, str]) -> str:
    incident_id, _, what = one
    if what.kind is MessageKind.PAGE:
        return page_keys[incident_id]
    return str(incident_id) if what.kind is MessageKind.LINE else ""


def is_unsent(tx: Tx, channel: str, lane: str) -> bool:
    """Whether that lane has an unsent message."""
    return (
        tx.sql.scalar(
            "SELECT 1 FROM delivery WHERE channel = ? AND lane = ? AND lane <> '' AND state IN ('owed', 'leased')"
            " LIMIT 1",
            channel,
            lane,
        )
        is not None
    )


def _hurry(tx: Tx, what: OutboxMessage, lane: str) -> None:
    """Earlier unsent messages of its lane become as urgent as it is."""
    tx.sql.run(
        "UPDATE delivery SET rank = ? WHERE channel = ? AND lane = ? AND lane <> '' AND state IN ('owed', 'leased')"
        " AND rank > ?",
        what.rank,
        what.channel,
        lane,
        what.rank,
    )


def _row(row_id: int, one: OutboxRow, lane: str, at: int) -> Row:
    incident_id, event_id, what = one
    state = "waits" if what.kind is MessageKind.LINE else "owed"
    return (row_id, incident_id, what.channel, str(what.kind), lane, event_id, what.rank, state, at, at)


def claim(tx: Tx, channel: str, *, limits: Sequence[RateLimit], lease: timedelta) -> Claim | Wait:
    """Take the head of the channel's queue and one place of its quota, in the caller's transaction."""
    room = _room(tx, channel, limits)
    if isinstance(room, Wait):
        return room
    now = micros(tx.now)
    skip = " FOR UPDATE SKIP LOCKED" if tx.sql.postgres else ""
    row = tx.sql.row(
        f"UPDATE delivery SET state = 'leased', token = token + 1, attempts = attempts + 1, lease_until = ?"
        f" WHERE id = ({_HEAD}{skip})"
        f" RETURNING id, token, kind, channel, incident_id, event_id, version, attempts, faults, owed_at, lease_until",
        micros(tx.now + lease),
        channel,
        now,
        room.rank,
    )
    if row is None:
        return Wait(until=room.more_at)
    if limits:
        tx.sql.insert("pace", ("channel", "at"), [(channel, now)])
    return _claimed(tx, row)


def _claimed(tx: Tx, row: Row) -> Claim:
    row_id, token, kind, channel, incident_id, event_id, version, attempts, faults, owed_at, lease_until = row
    incident = tx.incident(incident_id)
    assert incident is not None, "a delivery's incident is a foreign key"
    event_row = None
    if event_id is not None:
        event_row = tx.sql.row('SELECT id, incident_id, at, what, "by", said, via FROM event WHERE id = ?', event_id)
    found = tx.sql.row(
        "SELECT d.ref, EXISTS (SELECT 1 FROM plan AS p WHERE p.incident_id = d.incident_id) FROM delivery AS d"
        " WHERE d.incident_id = ? AND d.channel = ? AND d.kind = 'card'",
        incident_id,
        channel,
    )
    ref, acted = found or (None, False)
    older_pages: tuple[int, ...] = ()
    if kind == MessageKind.PAGE and incident.pages > 1:
        incident, older_pages = _as_of_page(tx, incident, channel, event_id)
    return Claim(
        id=row_id,
        token=token,
        kind=MessageKind(kind),
        channel=channel,
        incident=incident,
        event=None if event_row is None else event_of(event_row),
        ref=ref,
        alerts=() if kind == MessageKind.LINE else _alerts_of(tx, incident),
        runs=tuple(run_states.about(tx.sql, incident_id, _RUNS)) if acted and kind == MessageKind.CARD else (),
        version=version,
        attempts=attempts,
        faults=faults,
        owed_at=moment(owed_at),
        lease_until=moment(lease_until),
        claimed_at=tx.now,
        older_pages=older_pages,
    )


def _as_of_page(tx: Tx, incident: Incident, channel: str, event_id: int) -> tuple[Incident, tuple[int, ...]]:
    """The incident with as many pages as it had at that event, and the numbers of older pages that may be open.

    A page that is sent late belongs to the page of then: each further page came with one event of its own. It closes
    the one before it, unless it has not arrived.
    """
    further = tx.sql.rows(
        "SELECT d.event_id, d.state FROM delivery AS d JOIN event AS e ON e.id = d.event_id"
        " WHERE d.incident_id = ? AND d.channel = ? AND d.kind = 'page' AND e.what = ? ORDER BY d.event_id",
        incident.id,
        channel,
        str(EventType.PAGED_AGAIN),
    )
    pages = incident.pages - sum(at > event_id for at, _ in further)
    oldest = pages - sum(at == event_id for at, _ in further)
    for _ in takewhile(lambda row: row[1] != "sent", reversed([row for row in further if row[0] < event_id])):
        oldest -= 1
    of_then = replace(incident, course=replace(incident.course, pages=max(1, pages)))
    return of_then, tuple(range(max(1, oldest), pages))


def _alerts_of(tx: Tx, incident: Incident) -> tuple[AlertView, ...]:
    """The alert that names the incident is among them, however many fire."""
    return tuple(alerts_of(tx.sql, incident.id, MOST_ALERTS, incident.lead.rpartition("|")[2]))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Room:
    """What the quota allows: deliveries of at most this rank; from `more_at` on, of any rank."""

    rank: int = 2**31 - 1
    more_at: datetime | None = None


def _room(tx: Tx, channel: str, limits: Sequence[RateLimit]) -> _Room | Wait:
    """What may be sent now: nothing while the channel is paused or its quota is used up.

    The quota's last places are for critical messages alone, so that a storm of warnings does not keep them waiting.
    """
    now = micros(tx.now)
    pause = tx.sql.row("SELECT until, said FROM pause WHERE channel = ? AND until > ?", channel, now)
    if pause is not None:
        return Wait(until=moment(pause[0]), reason=pause[1])
    room = _Room()
    for limit in limits:
        full_until = _full_until(tx, channel, limit, limit.count)
        if full_until is not None:
            return Wait(until=full_until, reason="its quota is used up")
        kept = reserved(limit.count)
        for rank, places in ((0, kept), (_NEWS_RANK, 2 * kept)) if kept else ():
            kept_until = _full_until(tx, channel, limit, limit.count - places)
            if kept_until is not None and rank < room.rank:
                room = _Room(rank=rank, more_at=kept_until)
    return room


def reserved(count: int) -> int:
    """How many places of a quota of `count` requests are for critical messages alone (docs/decisions/0052)."""
    return max(count // _KEPT_OF, min(_KEPT_AT_LEAST, count // _KEPT_AT_MOST_OF))


def _full_until(tx: Tx, channel: str, limit: RateLimit, count: int) -> datetime | None:
    """Until when the window holds `count` requests; None when there is room for one more."""
    at = tx.sql.scalar(
        "SELECT at FROM pace WHERE channel = ? AND at > ? ORDER BY at DESC LIMIT 1 OFFSET ?",
        channel,
        micros(tx.now - limit.per),
        count - 1,
    )
    return None if at is None else moment(at) + limit.per


def mark_sent(tx: Tx, one: Claim, ref: str | None) -> bool:
    """Close it as sent. False: another sender has claimed it since; nothing was changed."""
    now = micros(tx.now)
    closed = tx.sql.run(
        "UPDATE delivery SET state = CASE WHEN version > ? THEN 'owed' ELSE 'sent' END, sent_version = ?, sent_at = ?,"
        " ref = COALESCE(?, ref), attempts = CASE WHEN version > ? THEN 0 ELSE attempts END, said = '', not_before = ?,"
        " faults = 0 WHERE id = ? AND token = ? AND state IN ('leased', 'owed')",
        one.version,
        one.version,
        now,
        ref if one.kind is MessageKind.CARD else None,
        one.version,
        now,
        one.id,
        one.token,
    )
    if closed and one.kind is MessageKind.CARD and one.ref is None and ref is not None:
        _lines(tx, one, "UPDATE delivery SET state = 'owed', not_before = ? WHERE state = 'waits'", now)
    if closed and one.kind is MessageKind.PAGE:
        tx.sql.run("DELETE FROM trouble WHERE incident_id = ? AND channel = ?", one.incident.id, one.channel)
    return closed == 1


def mark_failed(tx: Tx, one: Claim, message: str, *, again_at: datetime, fault: bool = False) -> bool:
    """It did not arrive, as far as is known; it is tried again from `again_at` on. False as in `mark_sent`.

    `fault`: the failure is a fault of our own; after several of them the message is given up.
    """
    closed = tx.sql.run(
        "UPDATE delivery SET state = 'owed', not_before = ?, said = ?, faults = faults + ?"
        " WHERE id = ? AND token = ? AND state = 'leased'",
        micros(again_at),
        message,
        int(fault),
        one.id,
        one.token,
    )
    return closed == 1


def mark_dead(tx: Tx, one: Claim, message: str, refused: Refusal | None = None) -> bool:
    """It is given up. A card that has a newer version by now is tried again with that version. False as in `mark_sent`.

    Lines that waited for the thread of a card that was never posted are dead as well. `refused`: the channel refuses
    every message; they are sent again once it works (`store/dead_messages.py`).
    """
    closed = tx.sql.run(
        "UPDATE delivery SET state = CASE WHEN version > ? THEN 'owed' ELSE 'dead' END, said = ?, refused = ?"
        " WHERE id = ? AND token = ? AND state = 'leased'",
        one.version,
        message,
        str(refused or ""),
        one.id,
        one.token,
    )
    if closed and one.kind is MessageKind.CARD and one.ref is None:
        _lines(
            tx,
            one,
            "UPDATE delivery SET state = 'dead', said = ?, refused = ? WHERE state = 'waits'",
            f"its card was not posted: {message}",
            str(refused or ""),
        )
    return closed == 1


def _lines(tx: Tx, card: Claim, statement: str, *values: object) -> None:
    """Run `statement` on the lines of the card's incident and channel."""
    tx.sql.run(
        f"{statement} AND incident_id = ? AND channel = ? AND kind = 'line'", *values, card.incident.id, card.channel
    )


def count_from_end(tx: Tx, one: Claim) -> None:
    """A request that took longer than `SLOW` counts in the quota from now on, and not from its beginning."""
    if tx.now - one.claimed_at > SLOW:
        tx.sql.run(
            "UPDATE pace SET at = ? WHERE channel = ? AND at = ?", micros(tx.now), one.channel, micros(one.claimed_at)
        )


def release_expired(tx: Tx, *, everything: bool = False) -> list[str]:
    """Make deliveries whose lease has run out owed again; `everything`: all leased ones, when no other process runs.

    Returns the channels that have something to send now.
    """
    before = 2**62 if everything else micros(tx.now)
    rows = tx.sql.rows(
        "UPDATE delivery SET state = 'owed', said = 'its sender stopped before it stored the result'"
        " WHERE state = 'leased' AND lease_until < ? RETURNING channel",
        before,
    )
    return sorted({row[0] for row in rows})


def report_failure_once(tx: Tx, incident_id: int, channel: str) -> bool:
    """Record that people are notified that this channel fails for this incident. False: they were notified before."""
    tail = "ON CONFLICT (incident_id, channel) DO NOTHING"
    head = "INSERT INTO trouble (incident_id, channel) VALUES (?, ?)"
    return tx.sql.run(f"{head} {tail}", incident_id, channel) == 1


def last_paged_at(tx: Tx, incident_id: int, channel: str) -> datetime | None:
    """When the channel accepted the last page of this incident; now while one is unsent; None when it got none."""
    found = tx.sql.scalar(
        f"SELECT max(CASE WHEN {_UNSENT} THEN ? ELSE sent_at END) FROM delivery"
        " WHERE incident_id = ? AND channel = ? AND kind = 'page'",
        micros(tx.now),
        incident_id,
        channel,
    )
    return moment_or_none(found)


def take_late_pages(tx: Tx, *, owed_before: datetime) -> list[tuple[int, str, str]]:
    """(incident, channel, reason) of pages that are late and of which nobody was notified; a few at a time."""
    rows = tx.sql.rows(
        "SELECT d.incident_id, d.channel, min(COALESCE(NULLIF(d.said, ''), p.said, '')) FROM delivery AS d"
        " LEFT JOIN pause AS p ON p.channel = d.channel WHERE d.kind = 'page'"
        " AND d.state IN ('owed', 'leased') AND d.owed_at < ? AND NOT EXISTS (SELECT 1 FROM trouble AS t"
        " WHERE t.incident_id = d.incident_id AND t.channel = d.channel)"
        " GROUP BY d.incident_id, d.channel ORDER BY d.incident_id LIMIT 50",
        micros(owed_before),
    )
    return [(row[0], row[1], row[2]) for row in rows]


def delete_old(tx: Tx, *, paces_before: datetime, seen_before: datetime) -> None:
    """Delete requests that no rate limit counts any more, and replies that are too old to be asked for again."""
    tx.sql.run("DELETE FROM pace WHERE at < ?", micros(paces_before))
    tx.sql.run("DELETE FROM seen WHERE at < ?", micros(seen_before))
