"""All that time does: leases that ran out, pages that are late, records that nobody needs any more.

APScheduler only ticks, and only here; every deadline is in a row, so a tick that two replicas make at once, or that a
restart skipped, does no harm.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from apscheduler.schedulers.background import BackgroundScheduler

from bot.delivery import tell
from bot.intake import Taken
from bot.model import Delivered
from bot.owing import Mouth
from bot.store import claims, links, notices
from bot.store.engine import Store, Unavailable
from bot.story import Told, Written

logger = logging.getLogger(__name__)

#: How long a page may be owed before people hear of it on the other channels.
LATE_PAGE = timedelta(seconds=45)
#: Slack repeats for minutes, Telegram keeps updates for a day, PagerDuty retries for two.
_SEEN_FOR = timedelta(hours=72)
_PACES_FOR = timedelta(minutes=10)
#: So long whoever asked for a linking code can still be told what became of it.
_CODES_FOR = timedelta(days=30)
_CLOCK_STEP_S = 5.0


class Watch:
    """Ticks until it is stopped. `told` hears of what a tick made owed."""

    def __init__(
        self,
        store: Store,
        *,
        mouths: Sequence[Mouth],
        told: Told,
        take: Callable[[Delivered, Callable[[Taken | Exception], None]], None],
        late_copy: timedelta,
        ticks: Sequence[tuple[Callable[[], None], int]] = (),
    ) -> None:
        """`ticks`: what others want to be called for, and every how many seconds."""
        self._store = store
        self._ticks = ticks
        self._take = take
        self._late_copy = late_copy
        self._ahead: float | None = None
        self._mouths = mouths
        self._told = told
        # A late or doubled tick is harmless; by default one that is a second late would be dropped for good.
        defaults = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        self._scheduler = BackgroundScheduler(job_defaults=defaults, timezone="UTC")

    def start(self) -> None:
        ticks = (
            (self.mind_the_clock, 1),
            (self.free_leases, 1),
            (self.tell_late_pages, 5),
            (self.believe_the_doubted, 15),
            (self.forget, 60),
            *self._ticks,
        )
        for tick, seconds in ticks:
            self._scheduler.add_job(_guarded(tick), "interval", seconds=seconds)
        self._scheduler.start()

    def stop(self) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def free_leases(self) -> None:
        """What a dead sender held is owed again."""
        with self._store.begin() as tx:
            owing = claims.free_expired(tx)
        self._told(Written(channels=frozenset(owing)))

    def tell_late_pages(self) -> None:
        """A pager that does not answer is told on every other channel."""
        written = Written()
        with self._store.begin() as tx:
            for incident_id, channel, why in claims.late_pages(tx, owed_before=tx.now - LATE_PAGE):
                said = f"THE PAGE for {channel} is late and is still tried: {why or 'it waits for its turn'}"
                written |= tell(tx, incident_id, channel, said, self._mouths)
        self._told(written)

    def believe_the_doubted(self) -> None:
        """An alert that was heard firing after its end, and of which no second end was heard since, does fire.

        A late copy's sender says the end as well, at its next group_interval; one that had lost sight of the alert
        does not, and would not repeat the firing for hours. So such a firing is taken as if it were heard now.
        """
        with self._store.begin() as tx:
            alerts = tx.doubted(tx.now - 2 * self._late_copy)
        for alert in alerts:
            delivered = Delivered(source=alert.source, group=alert.group, alerts=(alert,))
            self._take(delivered, lambda taken: logger.info("a doubted alert is believed", extra={"taken": str(taken)}))

    def mind_the_clock(self) -> None:
        """When the clock has been put back, nothing may wait for the hour that comes twice."""
        ahead = self._store.now().timestamp() - time.monotonic()
        back = self._ahead is not None and ahead < self._ahead - _CLOCK_STEP_S
        self._ahead = ahead
        if back:
            logger.warning("the clock went back; what was due is due now")
            with self._store.begin() as tx:
                claims.clocks_went_back(tx)

    def forget(self) -> None:
        with self._store.begin() as tx:
            claims.forget(tx, paces_before=tx.now - _PACES_FOR, seen_before=tx.now - _SEEN_FOR)
            links.forget(tx, codes_before=tx.now - _CODES_FOR)
            notices.forget(tx, before=tx.now - _CODES_FOR)


def _guarded(tick: Callable[[], None]) -> Callable[[], None]:
    """The edge of the path: a tick that fails is logged, and the next one comes."""

    def run() -> None:
        try:
            tick()
        except Unavailable as trouble:
            logger.warning("tick failed", extra={"tick": tick.__name__, "why": str(trouble)})
        except Exception:
            logger.exception("tick failed", extra={"tick": tick.__name__})

    return run
