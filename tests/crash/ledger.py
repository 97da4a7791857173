"""What stands in the bot's database, read from outside and beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import NullPool, create_engine, text

from tests.crash.senders import Episode

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ACTIONS = {
    "incident.opened": "trigger",
    "incident.reopened": "trigger",
    "incident.worsened": "trigger",
    "incident.acked": "acknowledge",
    "incident.resolved": "resolve",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One delivery as it is stored. `action` of a page: what it says to the pager; `said` of a line: its text."""

    id: int
    incident: int
    page_key: str
    channel: str
    kind: str
    state: str
    action: str
    said: str
    why: str
    ref: str


class Ledger:
    def __init__(self, url: str) -> None:
        self._engine = create_engine(url, poolclass=NullPool)

    def unsent(self) -> list[Row]:
        return [row for row in self.deliveries() if row.state != "sent"]

    def leased(self) -> set[int]:
        """Deliveries that somebody is sending, or has died of sending."""
        return {row.id for row in self.deliveries() if row.state == "leased"}

    def deliveries(self) -> list[Row]:
        """In the order in which they were owed."""
        rows = self._ask(
            "SELECT d.id, d.incident_id, i.page_key, d.channel, d.kind, d.state, e.what, e.said, d.said AS why, d.ref"
            " FROM delivery AS d JOIN incident AS i ON i.id = d.incident_id LEFT JOIN event AS e ON e.id = d.event_id"
            " ORDER BY d.id"
        )
        return [
            Row(
                id=row["id"],
                incident=row["incident_id"],
                page_key=row["page_key"],
                channel=row["channel"],
                kind=row["kind"],
                state=row["state"],
                action=_ACTIONS.get(row["what"] or "", ""),
                said=row["said"] or "",
                why=row["why"],
                ref=row["ref"] or "",
            )
            for row in rows
        ]

    def episodes(self) -> set[Episode]:
        """Every stored (fingerprint, startsAt)."""
        rows = self._ask("SELECT fingerprint, starts_at FROM alert")
        return {(row["fingerprint"], _EPOCH + timedelta(microseconds=row["starts_at"])) for row in rows}

    def incidents(self) -> dict[str, list[tuple[str, int]]]:
        """page_key -> (status, alerts firing) of each of its incidents."""
        found: dict[str, list[tuple[str, int]]] = {}
        for row in self._ask("SELECT page_key, status, firing FROM incident ORDER BY id"):
            found.setdefault(row["page_key"], []).append((row["status"], row["firing"]))
        return found

    def set_aside(self) -> int:
        return int(self._ask("SELECT count(*) AS count FROM quarantine")[0]["count"])

    def orphans(self) -> int:
        """Alerts, events and deliveries whose incident is not there: PostgreSQL holds no foreign key on them."""
        tables = ("alert", "event", "delivery")
        lone = "SELECT count(*) AS count FROM {0} AS o WHERE o.incident_id IS NOT NULL AND NOT EXISTS"
        asked = [f"{lone.format(one)} (SELECT 1 FROM incident AS i WHERE i.id = o.incident_id)" for one in tables]
        return sum(int(self._ask(one)[0]["count"]) for one in asked)

    def sound(self) -> bool:
        """SQLite's own check of its file; of PostgreSQL nothing is asked."""
        if self._engine.dialect.name != "sqlite":
            return True
        return [row["integrity_check"] for row in self._ask("PRAGMA integrity_check")] == ["ok"]

    def _ask(self, statement: str) -> list[dict[str, Any]]:
        with self._engine.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(text(statement))]
