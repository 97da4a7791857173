"""Messages that were given up: found by channel or by incident, and owed again.

Cards and lines are owed again by one statement each. Which pages are is decided by `notifications/revival.py`: a
trigger that is sent after its resolve opens a new alert.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.core.incident import EventType
from bot.store.outbox import POSTED
from bot.store.times import micros
from bot.store.transaction import Tx

#: Lines that were missed give way to whatever is new.
_LINE_RANK = 5
_DEAD = {False: "state = 'dead'", True: "state = 'dead' AND refused <> ''"}  #: by whether only refused ones count
_AGAIN = (
    "not_before = ?, said = '', faults = 0,"
    " attempts = CASE WHEN refused <> '' THEN 0 ELSE attempts END"  # What was refused has never arrived.
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PageRecord:
    """One page of an incident, and what became of it."""

    id: int
    event_type: EventType
    state: str  #: as in `DeliveryRow`


def refused_incidents(tx: Tx, channel: str, limit: int) -> list[int]:
    """Incidents with messages that the channel refused, the most urgent first."""
    rows = tx.sql.rows(
        "SELECT incident_id FROM delivery WHERE channel = ? AND state = 'dead' AND refused <> ''"
        " GROUP BY incident_id ORDER BY min(rank), incident_id LIMIT ?",
        channel,
        limit,
    )
    return [row[0] for row in rows]


def has_refused_posts(tx: Tx, channel: str) -> bool:
    """Whether one of them is no edit. A chat that is closed may still take edits, which proves nothing for these."""
    found = tx.sql.scalar(
        "SELECT 1 FROM delivery WHERE channel = ? AND state = 'dead' AND refused <> ''"
        " AND (kind <> 'card' OR ref IS NULL) LIMIT 1",
        channel,
    )
    return found is not None


def forget_refusals(tx: Tx, incident_id: int, channel: str) -> None:
    """What is still dead of that incident in that channel stays dead."""
    tx.sql.run(
        "UPDATE delivery SET refused = '' WHERE channel = ? AND incident_id = ? AND state = 'dead' AND refused <> ''",
        channel,
        incident_id,
    )


def owe_card(tx: Tx, incident_id: int, channel: str, *, refused_only: bool, edits_only: bool) -> int:
    """Returns how many cards (none or one) are owed again. `edits_only`: not one that was never posted."""
    return tx.sql.run(
        f"UPDATE delivery SET state = 'owed', {_AGAIN} WHERE incident_id = ? AND channel = ? AND kind = 'card'"
        f" AND {_DEAD[refused_only]}{' AND ref IS NOT NULL' if edits_only else ''}",
        micros(tx.now),
        incident_id,
        channel,
    )


def owe_lines(tx: Tx, incident_id: int, channel: str, *, refused_only: bool) -> int:
    """Returns how many lines are owed again, or wait until their card is posted."""
    return tx.sql.run(
        f"UPDATE delivery SET state = CASE WHEN {POSTED} THEN 'owed' ELSE 'waits' END, rank = ?, {_AGAIN}"
        f" WHERE incident_id = ? AND channel = ? AND kind = 'line' AND {_DEAD[refused_only]}",
        _LINE_RANK,
        micros(tx.now),
        incident_id,
        channel,
    )


def pages(tx: Tx, incident_id: int, channel: str) -> list[PageRecord]:
    """All pages of the incident for that channel, oldest first."""
    rows = tx.sql.rows(
        "SELECT d.id, e.what, d.state FROM delivery AS d JOIN event AS e ON e.id = d.event_id"
        " WHERE d.incident_id = ? AND d.channel = ? AND d.kind = 'page' ORDER BY d.id",
        incident_id,
        channel,
    )
    return [PageRecord(id=row[0], event_type=EventType(str(row[1])), state=str(row[2])) for row in rows]


def owe_pages(tx: Tx, ids: Sequence[int]) -> None:
    """Owed again, late from now on. Pages of one group go out in the order of their ids."""
    for page_id in ids:
        tx.sql.run(
            f"UPDATE delivery SET state = 'owed', owed_at = ?, {_AGAIN} WHERE id = ? AND state IN ('dead', 'sent')",
            micros(tx.now),
            micros(tx.now),
            page_id,
        )


def dead_channels(tx: Tx, incident_id: int) -> list[str]:
    """The channels for which messages of that incident were given up."""
    rows = tx.sql.rows(
        "SELECT DISTINCT channel FROM delivery WHERE incident_id = ? AND state = 'dead' ORDER BY channel", incident_id
    )
    return [str(row[0]) for row in rows]


def is_newest(tx: Tx, incident_id: int, page_key: str) -> bool:
    """Whether no later incident is paged under that key."""
    newest: int | None = tx.sql.scalar("SELECT max(id) FROM incident WHERE page_key = ?", page_key)
    return newest == incident_id
