"""PagerDuty's channel before its SDK is loaded, for a process that pages nobody itself, such as `vakhta ask`.

It has the channel's facts, by which messages are put into the outbox. A test compares it with the channel.
"""

from __future__ import annotations

from bot.core.incident import EventType, Incident
from bot.core.message import MessageKind
from bot.integrations.pagerduty.settings import PagerDutySettings


class UnloadedPagerDuty:
    """Facts of `PagerDuty`."""

    name = "pagerduty"
    kinds = frozenset({MessageKind.PAGE})
    event_types = frozenset(
        {
            EventType.OPENED,
            EventType.REOPENED,
            EventType.SEVERITY_RAISED,
            EventType.PAGED_AGAIN,
            EventType.ACKED,
            EventType.RESOLVED,
        }
    )
    accounts = True
    pages = True

    def __init__(self, section: PagerDutySettings) -> None:
        self._severities = frozenset(section.severities)

    def accepts(self, incident: Incident) -> bool:
        return incident.worst in self._severities
