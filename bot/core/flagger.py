"""What Flagger asks of the bot, and how it is answered: frozen values, and the verbs of who keeps its gates.

Flagger has no call for a promotion. While a canary waits at a gate it asks, each interval, whether it may go on, and
takes 200 for a yes; so the bot is whom it asks, and to promote is to open the gate for a while. What it sends as its
checksum stands for one revision with its configuration, and a gate is open for that one alone.
https://docs.flagger.app/usage/webhooks; pkg/controller/webhook.go and scheduler_hooks.go of flagger 1.44
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol


class GateHook(StrEnum):
    """The gates that the bot keeps, by Flagger's own names.

    Not confirm-rollout: Flagger asks that with the checksum of the revision before, so that a yes would be for
    whichever revision comes next.
    """

    PROMOTION = "confirm-promotion"
    ROLLBACK = "rollback"  #: of this one, a yes means: go back now


@dataclass(frozen=True, kw_only=True, slots=True)
class Canary:
    """A Canary of Flagger's, of one cluster of the settings."""

    cluster: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"Canary {self.namespace}/{self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class GateCheck:
    """May it go on? `revision`: the checksum."""

    canary: Canary
    hook: GateHook
    revision: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LastGateCheck:
    """Of which revision Flagger asked last, and when."""

    revision: str
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedGate:
    """A gate that a run has opened."""

    until: datetime
    passed: bool  #: Flagger was told yes by it
    closed: bool


class Gates(Protocol):
    """The gates, by canary and hook. Where what is stored cannot be reached, they raise."""

    def last_check(self, canary: Canary, hook: GateHook) -> LastGateCheck | None:
        """None: never, as far as is remembered."""
        ...

    def open(self, question: GateCheck, *, run: str, lasts: timedelta) -> bool:
        """From now on the answer is yes. False: Flagger asks of another revision by now, and nothing was opened."""
        ...

    def opened(self, run: str) -> OpenedGate | None:
        """What that run has opened."""
        ...

    def close(self, run: str) -> bool:
        """The answer is no again. Whether Flagger had been told yes before."""
        ...
