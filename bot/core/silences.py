"""What an alert source's silences can do, and the values they are spoken of with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Silences(Protocol):
    """The silences of an alert source. Each call is one request; `Rejected` is a refusal, `OutcomeUnknown` no
    answer.
    """

    def matching_alerts(self, matchers: Sequence[Matcher]) -> Sequence[MatchedAlert]:
        """The alerts that fire now, are not silenced, and that a silence of these would cover; of no matcher, all."""
        ...

    def silenced_alerts(self, silence_id: str) -> Sequence[MatchedAlert]:
        """The alerts that fire now and would be told of, if it were not for that one silence."""
        ...

    def active(self, comment: str, *, ended: bool = False) -> Sequence[ActiveSilence]:
        """The active and pending silences whose comment contains that text; with `ended` also those that are over."""
        ...

    def create(self, matchers: Sequence[Matcher], *, until: datetime, by: str, comment: str) -> str:
        """Returns the new silence's id."""
        ...

    def expire(self, silence_id: str) -> None: ...


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
    """A silence that stands."""

    id: str
    matchers: tuple[Matcher, ...]
    ends_at: datetime
    by: str
    comment: str
