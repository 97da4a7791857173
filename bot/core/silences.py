"""An alert source's silences: matchers, and the calls that an action may make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Matcher:
    """`name op value`, with op one of = != =~ !~."""

    name: str
    op: str
    value: str

    def __str__(self) -> str:
        return f"{self.name}{self.op}{self.value}"


@dataclass(frozen=True, kw_only=True, slots=True)
class MatchedAlert:
    """An alert that a silence would cover."""

    title: str
    severity: str
    service: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ActiveSilence:
    """A silence that is active or pending."""

    id: str
    matchers: tuple[Matcher, ...]
    ends_at: datetime
    by: str
    comment: str


class Silences(Protocol):
    """The silences of an alert source. Each call is one request: `Rejected` means refused, `OutcomeUnknown` means that
    no answer came.
    """

    def matching_alerts(self, matchers: Sequence[Matcher]) -> Sequence[MatchedAlert]:
        """Alerts that fire now, are not silenced, and that a silence of these would cover. No matcher: all alerts."""
        ...

    def silenced_alerts(self, silence_id: str) -> Sequence[MatchedAlert]:
        """Alerts that fire now and that only this silence keeps from being notified."""
        ...

    def active(self, comment: str, *, ended: bool = False) -> Sequence[ActiveSilence]:
        """The active and pending silences whose comment contains that text; with `ended`, expired ones as well."""
        ...

    def create(self, matchers: Sequence[Matcher], *, until: datetime, by: str, comment: str) -> str:
        """Returns the new silence's id."""
        ...

    def expire(self, silence_id: str) -> None: ...
