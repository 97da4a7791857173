"""The call that an action may make to Helm: roll back a release with the `helm` program. Reads go to the cluster."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from bot.core.kubernetes import ClusterUser


class Helm(Protocol):
    """The program uses the same identity as the bot's other writes."""

    def version(self) -> tuple[int, int]:
        """Its major and minor version. Raises `Rejected` when it cannot be started or does not print one."""
        ...

    def roll_back(self, release: str, namespace: str, version: int, *, patience: timedelta, force: bool = False) -> str:
        """Roll back and wait for the end. Returns the error that Helm printed, "" when all went well.

        `force`: take over fields that others manage, by server-side apply; Helm 4 only.

        Raises:
            Rejected: the program could not be started; nothing was done.
            OutcomeUnknown: the program did not finish.
        """
        ...

    def acting_as(self, person: ClusterUser) -> Helm:
        """The same, impersonating that person."""
        ...
