"""What an action may ask of Helm: to roll a release back, by Helm's own program; the rest is read in the cluster."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from bot.clusters import Mapped


class Helm(Protocol):
    """The program acts by the same identity as the bot's other writes."""

    def roll_back(self, release: str, namespace: str, version: int, *, patience: timedelta) -> str:
        """Do it, and wait for it. Returns what Helm says went wrong, "" where all went well.

        Raises:
            Rejected: the program could not be started; nothing was done.
            Unsure: it did not come to its end.
        """
        ...

    def acting_as(self, person: Mapped) -> Helm:
        """The same, in that person's name."""
        ...
