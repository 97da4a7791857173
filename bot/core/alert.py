"""Alerts as their sources delivered them, and what is stored of an episode.

They are made by the thousand in a storm, so they are Structs (docs/decisions/0029). Times are aware UTC datetimes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

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


_WORST = {str(rank): severity for severity, rank in _RANK.items()}


class Alert(Struct, frozen=True, kw_only=True, gc=False):
    """One alert as its source told it, already made safe to store (see `sources/`)."""

    source: str  #: the source's name in the settings, "alertmanager"
    group: str  #: the key of the group it came in; incidents are one a group
    fingerprint: str  #: what stays the same over firings; text of at most 64 characters
    firing: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str]  #: annotations
    starts_at: datetime  #: which firing of this fingerprint: a later one is another episode
    ends_at: datetime | None = None  #: None while it fires, or where the source did not say
    link: str = ""  #: where the source shows it; shown, never fetched
    sent_once: bool = False  #: its source tells a change once, with the change's time: an old one is never news again

    @property
    def title(self) -> str:
        return self.labels.get("alertname") or "(no alertname)"


class AlertBatch(Struct, frozen=True, kw_only=True, gc=False):
    """One delivery from an alert source: all of it is taken in one commit, or none of it."""

    source: str
    group: str  #: the group's key, "" where the alerts carry different ones
    alerts: tuple[Alert, ...]
    body: bytes = b""  #: as received, for what has to be kept
    truncated: int = 0  #: alerts that the sender left out; their silence is not an end
    rejected: tuple[tuple[str, str], ...] = ()  #: (path, why) of single alerts that could not be read
    repairs: tuple[str, ...] = ()  #: what was mended on the way in, for the answer and the log
    keep_reason: tuple[str, str] | None = (
        None  #: (code, why) the body is kept as it came, where the alerts say so already
    )


class EpisodeState(Struct, frozen=True, kw_only=True, gc=False):
    """What is stored of the newest episode of one (source, fingerprint)."""

    row_id: int
    incident_id: int | None  #: None when it was only ever heard of as ended
    starts_at: datetime
    firing: bool
    ended_at: datetime | None = None  #: when the end was recorded here, None while it fires
    source_ended_at: datetime | None = (
        None  #: the end as its source told it; None while it fires, or where nothing was told
    )
    doubted_at: datetime | None = None  #: when a firing of it was first heard after its end, and not believed

    @property
    def covers_until(self) -> datetime:
        """A firing that began no later is a part of this episode."""
        return max(self.source_ended_at or self.starts_at, self.starts_at)
