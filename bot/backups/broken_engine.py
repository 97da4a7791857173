"""Engines with a bug: one that could not be made, and one that fails in a way that nobody expected."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from bot.core.backup import BackupReader, Inventory
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.lib.redact import redact

logger = logging.getLogger(__name__)

T = TypeVar("T")


def ask(call: Callable[[], T]) -> T:
    """What an engine says. Its error is in the log alone: nobody knows what its text holds.

    Raises:
        Rejected, Conflict: as the engine did.
        OutcomeUnknown: as the engine did, or it has a bug. A call that changes something may have had its effect.
    """
    try:
        return call()
    except (Rejected, Conflict, OutcomeUnknown):
        raise
    except Exception as bug:
        # The edge of an engine: its bug must end neither the tick nor the drill that asked.
        logger.exception("an engine of backups failed")
        message = f"its engine failed in a way that nobody expected ({type(bug).__name__}); see the log"
        raise OutcomeUnknown(message) from None


def made_or_broken(title: str, make: Callable[[], BackupReader]) -> BackupReader:
    """The engine that `make` makes, or one that stands for it and says why it could not be made."""
    try:
        return make()
    except (Rejected, ImportError, OSError, ValueError, LookupError, AttributeError) as trouble:
        return BrokenEngine(title, redact(str(trouble)))
    except Exception as bug:
        # The edge of an engine: the errors of an SDK have no base that can be named here.
        logger.exception("an engine of backups could not be made", extra={"engine": title})
        return BrokenEngine(title, f"{type(bug).__name__}; see the log")


class BrokenEngine:
    """Stands for an engine that could not be made. Implements `core.backup.BackupReader`.

    `why`: what went wrong when it was made.
    """

    def __init__(self, title: str, why: str) -> None:
        self.title = title
        self._why = why.strip().rstrip(".")

    def inventory(self) -> Inventory:
        raise Rejected(
            f"The engine {self.title} could not be started: {self._why}. Nothing was read."
            " Check the store's section in the settings, and what the engine needs on this host.",
            code="engine_broken",
        )
