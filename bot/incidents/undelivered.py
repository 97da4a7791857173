"""Reports a channel's delivery failure on an incident, so that people see it on the other channels."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from bot.core.incident import Committed
from bot.core.message import Subscription
from bot.incidents import lifecycle, timeline
from bot.incidents.transitions import DeliveryFailed
from bot.store import outbox
from bot.store.transaction import Tx

logger = logging.getLogger(__name__)


def report_undelivered(
    tx: Tx, incident_id: int, channel: str, message: str, subscriptions: Sequence[Subscription]
) -> Committed:
    """Add the failure to the timeline, in the transaction that gave the message up; without effect after the first."""
    if not outbox.report_failure_once(tx, incident_id, channel):
        return Committed()
    return report_channel(tx, incident_id, channel, message, subscriptions)


def report_channel(
    tx: Tx, incident_id: int, channel: str, message: str, subscriptions: Sequence[Subscription]
) -> Committed:
    """Add what is wrong with a whole channel to the timeline of one incident; the caller does that once."""
    incident = tx.incident(incident_id)
    assert incident is not None, "a delivery's incident is a foreign key"
    change = lifecycle.change(incident, DeliveryFailed(channel=channel, text=message), now=tx.now)
    logger.warning("message undelivered", extra={"incident": incident_id, "channel": channel, "why": message})
    return timeline.write(tx, [change], subscriptions)
