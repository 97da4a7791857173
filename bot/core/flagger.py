"""Flagger's gates: the checks that Flagger makes of the bot, and how actions open and close them.

Flagger has no call for a promotion. While a canary waits at a gate, Flagger asks the gate's webhook at each interval
whether to go on, and takes 200 for yes. The bot serves that webhook, so promoting means opening the gate for a while.
Flagger's checksum identifies one revision with its configuration; a gate is open for that one alone.
https://docs.flagger.app/usage/webhooks; pkg/controller/webhook.go and scheduler_hooks.go of flagger 1.44
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol


class GateHook(StrEnum):
    """The gates that the bot serves, by Flagger's own names.

    Not confirm-rollout: Flagger checks that one with the checksum of the previous revision, so a yes would be valid for
    whichever revision comes next.
    """

    PROMOTION = "confirm-promotion"
    ROLLBACK = "rollback"  #: a yes to this one means: roll back now


@dataclass(frozen=True, kw_only=True, slots=True)
class Canary:
    """A Canary of Flagger, in one cluster of the settings."""

    cluster: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"Canary {self.namespace}/{self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class GateCheck:
    """Flagger's question whether a canary may go on. `revision`: the checksum."""

    canary: Canary
    hook: GateHook
    revision: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LastGateCheck:
    """The revision that Flagger asked about last, and when."""

    revision: str
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedGate:
    """A gate that a run has opened."""

    until: datetime
    passed: bool  #: Flagger was answered yes while it was open
    closed: bool


class Gates(Protocol):
    """The gates, by canary and hook. Every call raises when the store cannot be reached."""

    def last_check(self, canary: Canary, hook: GateHook) -> LastGateCheck | None:
        """None: Flagger never asked, as far as is stored."""
        ...

    def open(self, question: GateCheck, *, run: str, lasts: timedelta) -> bool:
        """Answer yes from now on. False: Flagger asks about another revision by now, and nothing was opened."""
        ...

    def opened(self, run: str) -> OpenedGate | None:
        """The gate that this run has opened."""
        ...

    def close(self, run: str) -> bool:
        """Answer no again. Returns whether Flagger had been answered yes before."""
        ...
