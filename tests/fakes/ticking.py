"""A clock that goes on by itself, so that waits end without anybody waiting."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass
class Ticking:
    """Called, it is a step later. The fake cluster and the bot that acts on it share one."""

    at: datetime = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
    by: timedelta = timedelta(seconds=1)

    def __call__(self) -> datetime:
        self.at += self.by
        return self.at

    @property
    def stamp(self) -> str:
        """As Kubernetes writes a time: in whole seconds."""
        return stamped(self.at)


def stamped(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def read(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp)
