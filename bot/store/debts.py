"""What is owed is written down: one row a delivery, in the commit of the change that owes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.core.message import MessageKind, OutboxMessage
from bot.store.sql import Fixed, Row
from bot.store.times import micros
from bot.store.transaction import Tx

OutboxRow = tuple[int, int | None, OutboxMessage]  #: (incident id, event id or None for a card, what)

_DELIVERY = (
    "id", "incident_id", "channel", "kind", "lane", "event_id", "rank", "state", "owed_at", "not_before",
)  # fmt: skip
_FRESH: Fixed = (
    ("version", "1"), ("sent_version", "0"), ("attempts", "0"), ("faults", "0"), ("token", "0"), ("lease_until", "0"),
    ("said", "''"),
)  # fmt: skip

#: A card is one row for ever: what is owed is its latest state. One that is being sent keeps its lease and is owed
#: again when it closes; one that failed before keeps its appointment.
_CARD_AGAIN = """ON CONFLICT (incident_id, channel) WHERE kind = 'card' DO UPDATE SET
  version = delivery.version + 1,
  owed_at = CASE WHEN delivery.state = 'owed' THEN delivery.owed_at ELSE excluded.owed_at END,
  rank = CASE WHEN delivery.state IN ('owed', 'leased') AND delivery.rank < excluded.rank THEN delivery.rank
              ELSE excluded.rank END,
  attempts = CASE WHEN delivery.state IN ('owed', 'leased') THEN delivery.attempts ELSE 0 END,
  faults = CASE WHEN delivery.state IN ('owed', 'leased') THEN delivery.faults ELSE 0 END,
  not_before = CASE WHEN delivery.state = 'owed' THEN delivery.not_before ELSE excluded.not_before END,
  state = CASE WHEN delivery.state = 'leased' THEN 'leased' ELSE 'owed' END"""


#: Its card has been posted, so a line can stand in the card's thread.
_POSTED = """EXISTS (SELECT 1 FROM delivery AS c WHERE c.incident_id = delivery.incident_id
  AND c.channel = delivery.channel AND c.kind = 'card' AND c.ref IS NOT NULL)"""


def enqueue(tx: Tx, owed: Sequence[OutboxRow], page_keys: Mapping[int, str]) -> None:
    """Write what is owed; at most one card a channel and incident.

    `page_keys`: of these incidents, by id; pages of one key keep their order across incidents.
    """
    kept = [(one, _lane(one, page_keys)) for one in owed]
    kept = [(one, lane) for one, lane in kept if not one[2].only_behind_unsent or _is_unsent(tx, one[2].channel, lane)]
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
        tx.sql.run(f"UPDATE delivery SET state = 'owed' WHERE id >= ? AND state = 'waits' AND {_POSTED}", first)


def _lane(one: OutboxRow, page_keys: Mapping[int, str]) -> str:
    incident_id, _, what = one
    if what.kind is MessageKind.PAGE:
        return page_keys[incident_id]
    return str(incident_id) if what.kind is MessageKind.LINE else ""


def _is_unsent(tx: Tx, channel: str, lane: str) -> bool:
    """Whether anything of that order is still to be sent."""
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
    """What stands before it in its order becomes as urgent."""
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
