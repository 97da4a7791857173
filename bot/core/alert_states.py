"""What a source says about alerts that it no longer sends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from bot.core.alert import Alert


class AlertStates(Protocol):
    """Asks an alert source by its API."""

    def states(self, alerts: Sequence[Alert]) -> Mapping[str, str]:
        """Fingerprint -> what the source says, as "is silenced in Alertmanager until 15:00 UTC"; of those it still has.

        Raises:
            Rejected: it refused, or did not answer.
        """
        ...
