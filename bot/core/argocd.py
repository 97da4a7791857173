"""The calls that an action may make to Argo CD about its applications, through Argo CD's own API.

An application is the JSON of the custom resource, complete and unparsed. The trap: Argo CD starts an operation and
answers at once; the result appears later in the application's `status.operationState`.
"""

from __future__ import annotations

from typing import Protocol

from bot.core.kubernetes import KubernetesObject


class ArgoCd(Protocol):
    """Reads raise `Rejected`. Writes are sent once. `namespace`: the application's; "" for Argo CD's own."""

    def application(self, name: str, namespace: str = "") -> KubernetesObject | None:
        """The application as it is now; None when there is none or the bot may not see it. Argo CD does not tell
        these two apart.
        """
        ...

    def roll_back(self, application: KubernetesObject, number: int) -> None:
        """Start a rollback of that application to an entry of its history.

        Raises:
            Conflict: another operation is in progress, or auto-sync is on by now.
            Rejected: refused; nothing was done.
            OutcomeUnknown: nobody knows whether it started.
        """
        ...

    def patch(self, application: KubernetesObject, patch: object) -> None:
        """Change it with a JSON patch and its tests. Raises as `roll_back` does; `Conflict` when a test fails."""
        ...

    def terminate(self, application: KubernetesObject) -> None:
        """End the operation in progress. Raises as `roll_back` does."""
        ...
