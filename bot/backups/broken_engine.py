"""Stands for an engine that could not be made: its store cannot be read, and says why."""

from __future__ import annotations

from bot.core.backup import Inventory
from bot.core.errors import Rejected


class BrokenEngine:
    """Implements `core.backup.BackupReader`. `why`: what went wrong when the engine was made."""

    def __init__(self, title: str, why: str) -> None:
        self.title = title
        self._why = why.strip().rstrip(".")

    def inventory(self) -> Inventory:
        raise Rejected(
            f"The engine {self.title} could not be started: {self._why}. Nothing was read."
            " Check the store's section in the settings, and what the engine needs on this host.",
            code="engine_broken",
        )
