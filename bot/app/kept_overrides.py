"""The overrides that people made, kept in memory for every question about who is on call, and read anew by a tick.

The promise: what a person said in a chat counts within seconds, in every replica, and over whatever the settings say;
a reload or a restart drops none. While the database does not answer, what was read last counts.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from bot.core.rota import MadeOverride, Override
from bot.store import rota_overrides
from bot.store.engine import Store, Unavailable

logger = logging.getLogger(__name__)

EVERY_S = 2  #: Seconds between two readings.


class KeptOverrides:
    """Called, it gives the overrides by rota, in the order in which they were made: `oncall.duties.Changes`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: Sequence[MadeOverride] | None = None  #: None: not read yet
        self._by_rota: Mapping[str, Sequence[Override]] = MappingProxyType({})

    def __call__(self) -> Mapping[str, Sequence[Override]]:
        if self._read is None:  # A command line has no ticks.
            self.refresh()
        return self._by_rota

    def refresh(self) -> None:
        try:
            with self._store.read() as reading:
                found = rota_overrides.listed(reading.sql, self._store.now())
        except Unavailable as trouble:
            logger.warning("overrides of rotas are not read", extra={"why": str(trouble)})
            return
        if found == self._read:
            return  # The same object again, so that answers that were kept still hold.
        by_rota: dict[str, list[Override]] = defaultdict(list)
        for one in found:
            by_rota[one.rota].append(one.override)
        self._read, self._by_rota = found, MappingProxyType(dict(by_rota))
