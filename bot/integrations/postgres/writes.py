"""How much is written to the live database, so that a plan can say how many rows a restore would lose.

PostgreSQL counts rows written since its statistics began and keeps no history, so each look at the store notes the
count; between two looks it is taken as even.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock

from bot.core.errors import Rejected
from bot.integrations.postgres.connection import PostgresServer
from bot.lib.text import spell_duration

_MOST_SAMPLES = 2000
_AT_LEAST = timedelta(minutes=1)
#: Rows that people and programs wrote; the bot's own are in a schema of its own.
ROWS_WRITTEN = (
    "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint FROM pg_stat_user_tables"
    " WHERE schemaname <> 'vakhta'"
)


class WriteRates:
    """Samples of one live database, in memory. Safe to share between threads."""

    def __init__(self, live: PostgresServer, now: Callable[[], datetime]) -> None:
        self._live = live
        self._now = now
        self._lock = Lock()
        self._samples: deque[tuple[datetime, int]] = deque(maxlen=_MOST_SAMPLES)

    def sample(self) -> None:
        """Note the count; nothing when the live one does not answer."""
        try:
            with self._live.connect(read_only=True, limit=timedelta(seconds=10)) as connection:
                count = int(connection.value(ROWS_WRITTEN))
        except Rejected:
            return
        now = self._now()
        with self._lock:
            if self._samples and count < self._samples[-1][1]:
                self._samples.clear()  # The statistics were reset.
            if not self._samples or now - self._samples[-1][0] >= _AT_LEAST:
                self._samples.append((now, count))

    def lost_since(self, moment: datetime) -> str:
        """A sentence about the rows that were written since then."""
        self.sample()
        with self._lock:
            samples = list(self._samples)
        before = [one for one in samples if one[0] <= moment]
        if samples and before:
            return f"rows written since the backup: about {samples[-1][1] - before[-1][1]:,}"
        if len(samples) > 1 and samples[-1][0] > samples[0][0]:
            (first, low), (last, high) = samples[0], samples[-1]
            rate = (high - low) / (last - first).total_seconds()
            lost = round(rate * max(0.0, (last - moment).total_seconds()))
            return (
                f"rows written since the backup: about {lost:,}, by the rate of the last {spell_duration(last - first)}"
            )
        return "how many rows were written since the backup is not known: the bot has counted for too short a time"
