"""`vakhta check --payload FILE`: the incident that a payload would open, and its messages as each channel shows them.

Nothing is stored or sent, and no provider is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from bot.alerts.classification import AlertRules
from bot.app.build import build_alert_rules, build_card_settings, build_channels
from bot.app.build_sources import build_sources
from bot.config.settings import Settings
from bot.core.alert import AlertBatch, view_of
from bot.core.channel import Previewer
from bot.core.errors import Rejected
from bot.core.incident import IncidentChange
from bot.core.message import MessageKind, Notification
from bot.incidents import lifecycle
from bot.incidents.transitions import AlertsChanged
from bot.notifications.card import CardSettings, incident_card, lead_first, page_summary


def preview(settings: Settings, source: str, body: bytes) -> str:
    """The text to print.

    Raises:
        Rejected: there is no such source, or it cannot read the body.
    """
    sources = build_sources(settings)
    if source not in sources:
        known = ", ".join(sorted(sources)) or "none"
        raise Rejected(f"The settings have no source {source}. Nothing was read. Enabled: {known}.")
    now = datetime.now(UTC)
    batch = sources[source].read({}, body)
    if not batch.alerts:
        raise Rejected("The payload has no alert. It would open nothing.")
    rules = build_alert_rules(settings)
    change = _opened(rules, batch, now)
    return "\n".join(_report(settings, rules, batch, change, now))


def _opened(rules: AlertRules, batch: AlertBatch, now: datetime) -> IncidentChange:
    """As the intake would open it, where the group has no incident yet."""
    firing = [one for one in batch.alerts if one.firing]
    alerts = AlertsChanged(
        source=batch.source,
        fired=len(firing),
        already_ended=len(batch.alerts) - len(firing),
        lead=rules.lead(firing or batch.alerts),
        truncated=batch.truncated,
    )
    return lifecycle.opened_by_alerts(1, batch.alerts[0].group, alerts, now=now)


def _report(
    settings: Settings, rules: AlertRules, batch: AlertBatch, change: IncidentChange, now: datetime
) -> Iterator[str]:
    incident = change.incident
    yield f"title     {incident.title}"
    yield f"severity  {incident.severity}"
    yield f"service   {incident.service or 'none of the settings matches'}"
    count = incident.count_words or incident.firing_words
    yield f"alerts    {count}, in one incident with the key {incident.key}"
    for path, reason in batch.rejected:
        yield f"not read  {path}: {reason}"
    cards = build_card_settings(settings)
    shown = {name: one for name, one in build_channels(settings).items() if isinstance(one, Previewer)}
    for name, channel in shown.items():
        yield from ("", f"== {name}", channel.preview(_notification(name, cards, batch, change, now)))
    for part, why in sorted(rules.templates.logged | cards.templates.logged):
        yield from ("", f"The template for {part} was not used: {why}. The usual text stands there.")
    if not shown:
        yield from ("", "No chat or pager is set up under `channels`: only the board would show it.")


def _notification(
    channel: str, cards: CardSettings, batch: AlertBatch, change: IncidentChange, now: datetime
) -> Notification:
    incident = change.incident
    alerts = lead_first([view_of(one) for one in batch.alerts], incident)
    return Notification(
        key="preview",
        kind=MessageKind.CARD,
        incident=incident,
        event=change.events[0],
        card=incident_card(incident, cards, channel=channel, alerts=alerts),
        ref=None,
        due_at=now,
        alerts=tuple(alerts),
        place_order=tuple(cards.place_order),
        summary=page_summary(incident, alerts, cards),
    )
