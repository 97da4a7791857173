"""What an action may ask of Helm: to roll a release back, by Helm's own program; the rest is read in the cluster."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from bot.core.kubernetes import ClusterUser


class Helm(Protocol):
    """The program acts by the same identity as the bot's other writes."""

    def version(self) -> tuple[int, int]:
        """Its major and minor version. Raises `Rejected` where it cannot be started, or does not say."""
        ...

    def roll_back(self, release: str, namespace: str, version: int, *, patience: timedelta, force: bool = False) -> str:
        """Do it, and wait for it. Returns what Helm says went wrong, "" where all went well.

        `force`: fields that others hold are taken from them, by server-side apply alone; Helm 4 knows of it.

        Raises:
            Rejected: the program could not be started; nothing was done.
            Unsure: it did not come to its end.
        """
        ...

    def acting_as(self, person: ClusterUser) -> Helm:
        """The same, in that person's name."""
        ...
