"""Engines with a bug: one that could not be made, and one that fails in a way that nobody expected."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import monotonic
from traceback import extract_tb
from typing import TypeVar

from bot.core.backup import BackupReader, Inventory
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.lib.redact import redact

logger = logging.getLogger(__name__)

T = TypeVar("T")


class BugLog:
    """Which bugs are to be written: each cause once an hour, as an engine is polled every second."""

    _AGAIN_S = 3600.0
    _MOST = 256  #: causes that are told apart; more of them are all written

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[tuple[type[Exception], str, int | None], tuple[float, int]] = {}  #: when written, times since

    def due(self, bug: Exception) -> int | None:
        """How often this cause came since it was written; None: it was, within the hour.

        A cause is the type, and the place that raised it. `bug`: as it was caught.
        """
        now, place = self._clock(), extract_tb(bug.__traceback__)[-1]
        cause = (type(bug), place.filename, place.lineno)
        with self._lock:
            written_at, since = self._seen.get(cause, (None, 0))
            if written_at is not None and now - written_at < self._AGAIN_S:
                self._seen[cause] = (written_at, since + 1)
                return None
            if cause in self._seen or len(self._seen) < self._MOST:
                self._seen[cause] = (now, 0)
        return since


_BUGS = BugLog()


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
        since = _BUGS.due(bug)
        if since is not None:
            logger.exception("an engine of backups failed", extra={"times_since_last_written": since})
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
