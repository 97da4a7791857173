"""What an action may ask of Argo CD about its applications: the verbs, by Argo CD's own API.

An application is the JSON of the custom resource, whole and unread, whoever answers it. The trap: Argo CD starts an
operation and answers at once; what comes of it stands in the application's `status.operationState`.
"""

from __future__ import annotations

from typing import Protocol

from bot.core.kubernetes import KubernetesObject


class ArgoCd(Protocol):
    """Reads raise `Rejected`. Writes are sent once. `namespace`: the application's; "" for Argo CD's own."""

    def application(self, name: str, namespace: str = "") -> KubernetesObject | None:
        """As it stands; None where there is none, or the bot may not see it: Argo CD does not tell these apart."""
        ...

    def roll_back(self, application: KubernetesObject, number: int) -> None:
        """Start a rollback of that application to an entry of its history.

        Raises:
            Moved: another operation is in progress, or auto-sync is on by now.
            Rejected: refused; nothing was done.
            Unsure: nobody knows.
        """
        ...

    def patch(self, application: KubernetesObject, patch: object) -> None:
        """Change it by a JSON patch, with its own tests. Raises as `roll_back` does; `Moved` where a test fails."""
        ...

    def terminate(self, application: KubernetesObject) -> None:
        """End the operation that is in progress. Raises as `roll_back` does."""
        ...
