"""One write transaction: the reads and writes of alerts, incidents, events and replies inside it.

`Store.begin` admits one writer at a time (in the process, and by an advisory lock across replicas), so ids increase in
the order of commits, and a reader can continue safely after the newest event that it has seen.
Nothing here waits for the network.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

import msgspec
from msgspec.structs import replace

from bot.core.alert import Alert, EpisodeState
from bot.core.incident import Event, EventType, Incident
from bot.lib.redact import redact
from bot.store.alert_lookup import (
    LAST_IDS,
    NUMBERED,
    AlertLookup,
    Fingerprint,
    Group,
    StoredAlerts,
    lookup,
    stored_alerts,
)
from bot.store.rows import (
    ALERT,
    EVENT,
    INCIDENT,
    SELECT_ALERT,
    SELECT_INCIDENT,
    SELECT_STANDING,
    alert_of,
    alert_row,
    changing_columns,
    episode_state_of,
    event_row,
    incident_of,
    incident_row,
    notes_of,
)
from bot.store.sql import Row, Sql, queries_for_keys
from bot.store.times import micros, moment_or_none

Episode = tuple[str, str, datetime]  #: (source, fingerprint, startsAt)

_INCIDENT_SET = ", ".join(f"{name} = excluded.{name}" for name in INCIDENT[4:])
_INCIDENTS = f"SELECT {SELECT_INCIDENT} FROM incident AS i WHERE i.id IN (WITH k(i) AS ({{keys}}) SELECT i FROM k)"


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredReply:
    """The reply to a request, and who got it: a person's id ("" for an unknown person) and the account."""

    text: str
    ok: bool
    person: str
    account: str


def has_unresolved_incident(sql: Sql, service: str) -> bool:
    """Whether an unresolved incident is on that service."""
    found = sql.scalar(
        "SELECT 1 FROM incident WHERE service = ? AND service IS NOT NULL AND status <> 'resolved' LIMIT 1", service
    )
    return found is not None


class Tx:
    """One write transaction. `now` does not change within it."""

    def __init__(
        self,
        sql: Sql,
        now: datetime,
        scrub: Callable[[str], str] = redact,
        first: Sequence[Sequence[Row]] = (),
    ) -> None:
        """`scrub` removes secrets from audit entries; `first`: the rows of the queries that `Store.begin` ran first."""
        self.sql = sql
        self.now = now
        self.scrub = scrub
        self.first = first
        self._next: dict[str, int] = {}

    def reserve(self, table: str, count: int = 1) -> int:
        """The first of `count` successive ids of `table`, which nobody else will get."""
        if not self._next:
            self._count_from(self.sql.rows(LAST_IDS))
        first = self._next[table]
        self._next[table] = first + count
        return first

    def find_alerts(self, fingerprints: Collection[Fingerprint], groups: Collection[Group]) -> StoredAlerts:
        """The stored episodes and incidents of these."""
        made = lookup(fingerprints, groups, postgres=self.sql.postgres)
        return self.read_answers(made, self.sql.run_queries(made.queries))

    def read_answers(self, lookup: AlertLookup, answers: Sequence[Sequence[Row]]) -> StoredAlerts:
        """The same from the rows of the lookup's queries, which were run already."""
        if not self._next:
            self._count_from(answers[0])
        return stored_alerts(lookup, answers)

    def _count_from(self, last_ids: Sequence[Row]) -> None:
        (newest,) = last_ids
        self._next = {name: (last or 0) + 1 for name, last in zip(NUMBERED, newest, strict=True)}

    def episode(self, of: Episode) -> EpisodeState | None:
        """One episode, whether or not it is the newest of its fingerprint."""
        source, fingerprint, starts_at = of
        row = self.sql.row(
            f"SELECT {SELECT_STANDING} FROM alert AS a WHERE a.fingerprint = ? AND a.source = ? AND a.starts_at = ?",
            fingerprint,
            source,
            micros(starts_at),
        )
        return None if row is None else episode_state_of(row)

    def alerts_of(self, incident_id: int, *, ended: bool) -> list[Alert]:
        """The episodes of the incident that fire, as the alerts that were heard; with `ended`, all of them."""
        only = "" if ended else " AND a.firing = 1"
        rows = self.sql.rows(f"SELECT {SELECT_ALERT} WHERE a.incident_id = ?{only}", incident_id)
        return [alert_of(row) for row in rows]

    def incidents(self, ids: Sequence[int]) -> dict[int, Incident]:
        if not ids:
            return {}
        found = map(
            incident_of,
            chain.from_iterable(self.sql.run_queries(queries_for_keys(_INCIDENTS, ids, postgres=self.sql.postgres))),
        )
        return {one.id: one for one in found}

    def incident(self, incident_id: int) -> Incident | None:
        return self.incidents([incident_id]).get(incident_id)

    def opened_at(self, incident_id: int) -> datetime | None:
        """When it was last opened or reopened."""
        return moment_or_none(
            self.sql.scalar(
                "SELECT max(at) FROM event WHERE incident_id = ? AND what IN (?, ?, ?)",
                incident_id,
                str(EventType.OPENED),
                str(EventType.REOPENED),
                str(EventType.REFIRED),
            )
        )

    def acknowledged_at(self, incident_id: int) -> datetime | None:
        """When somebody last took it."""
        return moment_or_none(
            self.sql.scalar(
                "SELECT max(at) FROM event WHERE incident_id = ? AND what = ?", incident_id, str(EventType.ACKED)
            )
        )

    def unresolved(self, limit: int) -> list[Incident]:
        """Open and acknowledged ones, newest first."""
        rows = self.sql.rows(
            f"SELECT {SELECT_INCIDENT} FROM incident AS i WHERE i.status <> 'resolved' ORDER BY i.id DESC LIMIT ?",
            limit,
        )
        return [incident_of(row) for row in rows]

    def due_incidents(self, limit: int = 200) -> list[Incident]:
        """Those whose `look_at` has come, the oldest first."""
        rows = self.sql.rows(
            f"SELECT {SELECT_INCIDENT} FROM incident AS i WHERE i.look_at IS NOT NULL AND i.look_at <= ?"
            " ORDER BY i.look_at, i.id LIMIT ?",
            micros(self.now),
            limit,
        )
        return [incident_of(row) for row in rows]

    def firing_labels(self, incident_id: int, limit: int = 2000) -> list[dict[str, str]]:
        """The labels of its firing alerts."""
        rows = self.sql.rows(
            "SELECT labels FROM alert WHERE incident_id = ? AND firing = 1 LIMIT ?", incident_id, limit
        )
        return [msgspec.json.decode(row[0], type=dict[str, str]) for row in rows]

    def put_incidents(self, incidents: Sequence[Incident]) -> None:
        rows = [incident_row(one) for one in incidents]
        self.sql.insert("incident", INCIDENT, rows, f"ON CONFLICT (id) DO UPDATE SET {_INCIDENT_SET}")

    def put_alerts(self, alerts: Sequence[tuple[Alert, EpisodeState]]) -> None:
        """Store these episodes for the first time."""
        heard = micros(self.now)
        self.sql.insert("alert", ALERT, [alert_row(alert, standing, heard) for alert, standing in alerts])

    def update_alerts(self, states: Iterable[EpisodeState]) -> None:
        """Store the current state of these episodes: their incident, whether they fire, when they ended."""
        columns = ("id", "incident_id", "firing", "ended_at", "until", "doubted_at")
        self.sql.update("alert", columns, [(one.row_id, *changing_columns(one)) for one in states])

    def update_texts(self, retold: Iterable[tuple[Alert, EpisodeState]]) -> None:
        """Store the present texts and links of these episodes."""
        for alert, state in retold:
            self.sql.run(
                "UPDATE alert SET notes = ?, link = ?, text_digest = ? WHERE id = ?",
                notes_of(alert),
                alert.link,
                state.text_digest,
                state.row_id,
            )

    def put_events(self, first: int, events: Sequence[Event]) -> None:
        """`first`: the reserved id of the first event; the others get the ids after it."""
        self.sql.insert("event", EVENT, [event_row(first + place, one) for place, one in enumerate(events)])

    def quarantine(self, source: str, body: bytes, sha256: str, *, code: str, reason: str) -> None:
        """Keep a body that could not be read, whole."""
        self.sql.insert(
            "quarantine",
            ("source", "at", "code", "why", "sha256", "body"),
            [(source, micros(self.now), code, reason, sha256, body)],
        )

    def is_quarantined(self, sha256: str, since: datetime) -> bool:
        """Whether this body was quarantined since then. Rows with a time in the future do not count."""
        found = self.sql.scalar(
            "SELECT 1 FROM quarantine WHERE sha256 = ? AND at BETWEEN ? AND ? LIMIT 1",
            sha256,
            micros(since),
            micros(self.now),
        )
        return found is not None

    def doubted_alerts(self, before: datetime, limit: int = 5000) -> list[Alert]:
        """Ended episodes that were received as firing again before then, as the alerts to ingest if they do fire."""
        rows = self.sql.rows(
            f"SELECT {SELECT_ALERT} WHERE a.doubted_at IS NOT NULL AND a.doubted_at < ? LIMIT ?",
            micros(before),
            limit,
        )
        return [replace(alert_of(row), firing=True, ends_at=None) for row in rows]

    def find_reply(self, channel: str, idempotency_key: str) -> StoredReply | None:
        """The reply to the request with this key, or None when the request is new."""
        row = self.sql.row(
            "SELECT said, ok, person, account FROM seen WHERE place = ? AND once = ?", channel, idempotency_key
        )
        return None if row is None else StoredReply(text=row[0], ok=bool(row[1]), person=row[2], account=row[3])

    def save_reply(
        self, channel: str, idempotency_key: str, text: str, *, ok: bool, person: str = "", account: str = ""
    ) -> None:
        """`person` and `account`: as in `StoredReply`."""
        row = (channel, idempotency_key, micros(self.now), text, int(ok), person, account)
        self.sql.insert("seen", ("place", "once", "at", "said", "ok", "person", "account"), [row])

    def update_reply(self, channel: str, idempotency_key: str, text: str, *, ok: bool) -> None:
        """Replace a provisional reply with the final one."""
        self.sql.run(
            "UPDATE seen SET said = ?, ok = ? WHERE place = ? AND once = ?", text, int(ok), channel, idempotency_key
        )

    @contextmanager
    def rolled_back(self) -> Iterator[None]:
        """The writes of the block are rolled back at its end. An exception in it is not caught."""
        self.sql.run("SAVEPOINT taken_back")
        yield
        self.sql.run("ROLLBACK TO SAVEPOINT taken_back")
        self.sql.run("RELEASE SAVEPOINT taken_back")

    def write_probe_row(self, name: str) -> None:
        """Write one row, always the same: proof that the database accepts writes."""
        self.sql.run(
            "INSERT INTO seen (place, once, at, said, ok) VALUES ('vakhta', ?, ?, '', 1)"
            " ON CONFLICT (place, once) DO UPDATE SET at = excluded.at",
            name,
            micros(self.now),
        )

    def has_unresolved_incident(self, service: str) -> bool:
        """Whether an unresolved incident is on that service."""
        return has_unresolved_incident(self.sql, service)
