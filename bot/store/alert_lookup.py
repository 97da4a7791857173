"""Looks up what is stored for the alerts of a delivery: all statements at once, and their answers as values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from bot.core.alert import EpisodeState
from bot.core.incident import Incident, page_key_of
from bot.store.rows import SELECT_INCIDENT, SELECT_STANDING, episode_state_of, incident_of
from bot.store.sql import Query, Row, queries_for_keys

Fingerprint = tuple[str, str]  #: (source, fingerprint)
Group = tuple[str, str]  #: (source, group's key)

NUMBERED = ("incident", "alert", "event", "delivery")
LAST_IDS = "SELECT " + ", ".join(f"(SELECT max(id) FROM {name})" for name in NUMBERED)
_EPISODES = (
    f"SELECT {SELECT_STANDING} FROM (WITH k(f) AS ({{keys}}) SELECT DISTINCT f FROM k) AS k JOIN alert AS a ON a.id = ("
    "SELECT b.id FROM alert AS b WHERE b.fingerprint = k.f AND b.source = ?"
    " ORDER BY b.firing DESC, b.starts_at DESC LIMIT 1)"
)
_NEWEST = (
    f"SELECT {SELECT_INCIDENT} FROM (WITH k(p) AS ({{keys}}) SELECT DISTINCT p FROM k) AS k"
    " JOIN incident AS i ON i.id = ("
    "SELECT b.id FROM incident AS b WHERE b.page_key = k.p AND b.source = ? ORDER BY b.id DESC LIMIT 1)"
)


class StoredAlerts(NamedTuple):
    """The episodes and incidents that are stored."""

    states: dict[Fingerprint, EpisodeState]  #: of each, the episode that fires, else the one that began last
    newest: dict[Group, Incident]  #: the newest incident of each group


class AlertLookup(NamedTuple):
    """Statements that run in one round trip, because a commit waits for the answers; and how to read the answers."""

    queries: tuple[Query, ...]  #: the newest ids first, then the episodes, then the incidents
    sources: tuple[str, ...]  #: the source of each query for episodes


def lookup(fingerprints: Collection[Fingerprint], groups: Collection[Group], *, postgres: bool) -> AlertLookup:
    """The queries for these fingerprints and groups."""
    episodes = [
        (source, one)
        for source, its in _by_source(fingerprints).items()
        for one in queries_for_keys(_EPISODES, its, source, postgres=postgres)
    ]
    newest = [
        one
        for source, its in _by_source(groups).items()
        for one in queries_for_keys(_NEWEST, [page_key_of(key) for key in its], source, postgres=postgres)
    ]
    queries = (Query(LAST_IDS, ()), *(one for _, one in episodes), *newest)
    return AlertLookup(queries, tuple(source for source, _ in episodes))


def stored_alerts(lookup: AlertLookup, answers: Sequence[Sequence[Row]]) -> StoredAlerts:
    """`answers`: the rows of each of the lookup's queries, in their order."""
    found = StoredAlerts({}, {})
    first = 1 + len(lookup.sources)
    for source, rows in zip(lookup.sources, answers[1:first], strict=True):
        found.states.update({(source, row[0]): episode_state_of(row) for row in rows})
    for rows in answers[first:]:
        found.newest.update({(one.source, one.key): one for one in map(incident_of, rows)})
    return found


def _by_source(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for source, one in pairs:
        found.setdefault(source, []).append(one)
    return found
