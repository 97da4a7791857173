"""Alerts as their sources deliver them, and the stored state of an episode (one firing of one alert).

They are made by the thousand in a storm, so they are Structs (docs/decisions/0029). Times are aware UTC datetimes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from itertools import chain
from zlib import crc32

from msgspec import Struct


class Severity(StrEnum):
    """How bad it is. `rank` orders them, worst first, for queues and for "the worst of"."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for critical, 3 for info."""
        return _RANK[self]


_RANK = {Severity.CRITICAL: 0, Severity.ERROR: 1, Severity.WARNING: 2, Severity.INFO: 3}


#: The other way round, by the rank as text.
SEVERITY_BY_RANK = {str(rank): severity for severity, rank in _RANK.items()}


class Alert(Struct, frozen=True, kw_only=True, gc=False):
    """One alert from a source, already safe to store (each source does that in its `read`)."""

    source: str  #: the source's name in the settings, "alertmanager"
    group: str  #: the key of its group; each group has one incident
    fingerprint: str  #: the same for every firing of the alert; at most 64 characters
    firing: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime  #: identifies the firing: another start is another episode
    ends_at: datetime | None = None  #: None while it fires, or when the source did not say
    link: str = ""  #: its page in the source; shown, never fetched
    sent_once: bool = (
        False  #: its source sends each change once, with the time of the change: an old one is never news again
    )
    undated: bool = (
        False  #: the source gave no start that can be right: `starts_at` is its receipt and identifies nothing
    )

    @property
    def text_digest(self) -> int:
        """Changes when its texts or its link do; they may, while its labels identify it."""
        return crc32(
            "\0".join([self.link, *chain.from_iterable(sorted(self.annotations.items()))]).encode("utf-8", "replace")
        )


class AlertBatch(Struct, frozen=True, kw_only=True, gc=False):
    """One delivery from an alert source: stored completely in one commit, or not at all."""

    source: str
    group: str  #: the group's key; "" when its alerts have different groups
    alerts: tuple[Alert, ...]
    body: bytes = b""  #: as received, in case it has to be quarantined
    truncated: int = 0  #: how many alerts the sender left out; being left out does not end an alert
    group_ended: bool = False  #: the sender says that the group is over, and names each alert that it tells of
    because: str = ""  #: why the bot itself ends these alerts; "" for what a source delivered
    rejected: tuple[tuple[str, str], ...] = ()  #: (path, reason) of single alerts that could not be read
    repairs: tuple[str, ...] = ()  #: what was repaired in the payload, for the answer and the log
    #: (code, reason) to quarantine the body although its alerts could be read.
    keep_reason: tuple[str, str] | None = None


class EpisodeState(Struct, frozen=True, kw_only=True, gc=False):
    """The stored state of one episode (one firing of one alert)."""

    row_id: int
    incident_id: int | None  #: None while only its end is known
    starts_at: datetime
    firing: bool
    ended_at: datetime | None = None  #: when the end was recorded here, None while it fires
    source_ended_at: datetime | None = None  #: the end by the source's clock; None while it fires, or when not sent
    doubted_at: datetime | None = None  #: when a firing that looked like a late copy first came after its end
    text_digest: int | None = None  #: `Alert.text_digest`, as stored; None for one of an earlier version

    @property
    def covers_until(self) -> datetime:
        """A firing that began no later belongs to this episode."""
        return max(self.source_ended_at or self.starts_at, self.starts_at)


class AlertView(Struct, frozen=True, kw_only=True, gc=False):
    """One stored episode and its current state, for people."""

    source: str
    fingerprint: str
    firing: bool
    labels: Mapping[str, str]
    notes: Mapping[str, str]
    starts_at: datetime
    ended_at: datetime | None
    link: str


def view_of(alert: Alert) -> AlertView:
    """The alert as it would be shown if it were stored."""
    return AlertView(
        source=alert.source,
        fingerprint=alert.fingerprint,
        firing=alert.firing,
        labels=alert.labels,
        notes=alert.annotations,
        starts_at=alert.starts_at,
        ended_at=alert.ends_at,
        link=alert.link,
    )
