"""A channel's failure, told on its incident: people hear of it on the other channels, once an incident."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from bot import incidents, story
from bot.owing import Mouth
from bot.store import claims
from bot.store.tx import Tx
from bot.story import Written
from bot.wishes import Untold

logger = logging.getLogger(__name__)


def tell(tx: Tx, incident_id: int, channel: str, said: str, mouths: Sequence[Mouth]) -> Written:
    """In the transaction that found it out."""
    if not claims.tell_once(tx, incident_id, channel):
        return Written()
    incident = tx.incident(incident_id)
    assert incident is not None, "a delivery's incident is a foreign key"
    change = incidents.change(incident, Untold(channel=channel, said=said), now=tx.now)
    logger.warning("message undelivered", extra={"incident": incident_id, "channel": channel, "why": said})
    return story.write(tx, [change], mouths)
