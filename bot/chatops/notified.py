"""Who was notified of an incident, a line for each channel: when, or what keeps the message from arriving. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime

from bot.core.incident import EventType, Incident
from bot.core.message import MessageKind, Subscription
from bot.lib.text import spell_at, spell_list
from bot.store.views import DeliveryView

#: Pages about these events end a page; all others begin one.
_ENDS = frozenset({EventType.ACKED, EventType.RESOLVED})
_REASON = 200


def notified_lines(
    incident: Incident,
    deliveries: Sequence[DeliveryView],
    subscriptions: Sequence[Subscription],
    now: datetime,
    mentioned: Callable[[str], Sequence[str]] = lambda _: (),
) -> tuple[str, ...]:
    """Pagers first, because they wake people.

    `deliveries`: of the incident, oldest first; `mentioned`: names of the people whom its card mentions in a channel.
    A channel that the settings no longer have is listed by its name alone.
    """
    sent: dict[str, list[DeliveryView]] = defaultdict(list)
    for one in deliveries:
        sent[one.channel].append(one)
    pagers = [one for one in subscriptions if MessageKind.PAGE in one.kinds]
    chats = [one for one in subscriptions if MessageKind.PAGE not in one.kinds]
    lines = [f"{one.display_name}: {_paged(sent.pop(one.name, []), incident, one, now)}" for one in pagers]
    lines += [f"{one.display_name}: {_posted(sent.pop(one.name, []), now, mentioned(one.name))}" for one in chats]
    for name, rows in sent.items():
        pages = any(one.kind is MessageKind.PAGE for one in rows)
        lines.append(f"{name} (no longer set up): {_last_page(rows, now) if pages else _posted(rows, now)}")
    return tuple(lines)


def _paged(rows: Sequence[DeliveryView], incident: Incident, pager: Subscription, now: datetime) -> str:
    if not any(_begins(one) for one in rows):
        return "not paged" if pager.accepts(incident) else f"not paged: it takes no {incident.worst} incidents"
    return _last_page(rows, now)


def _last_page(rows: Sequence[DeliveryView], now: datetime) -> str:
    begun = [one for one in rows if _begins(one)]
    last = begun[-1] if begun else rows[-1]
    if last.state != "sent" or last.sent_at is None:
        return f"page {_unsent(last, now)}"
    times = f", {len(begun)} times in all" if len(begun) > 1 else ""
    unheard = next((one for one in reversed(rows) if one.id > last.id and _is_late(one)), None)
    end = f"; what came after was {_unsent(unheard, now)}" if unheard else ""
    return f"paged {spell_at(last.sent_at, now)}{times}{end}"


def _begins(one: DeliveryView) -> bool:
    return one.kind is MessageKind.PAGE and one.what not in _ENDS


def _posted(rows: Sequence[DeliveryView], now: datetime, mentioned: Sequence[str] = ()) -> str:
    card = next((one for one in rows if one.kind is MessageKind.CARD), None)
    if card is None:
        return "not posted"
    if card.ref is None:
        return f"card {_unsent(card, now)}"
    late = [one for one in rows if one.kind is MessageKind.LINE and _is_late(one)]
    lines = f"; a line was {_unsent(late[-1], now)}" if late else ""
    if _is_late(card):
        return f"posted, but its newest state was {_unsent(card, now)}{lines}"
    names = f", mentions {spell_list(mentioned, 'and')}" if mentioned else ""
    return f"posted, as of {spell_at(card.sent_at, now)}{names}{lines}" if card.sent_at else f"posted{names}{lines}"


def _is_late(one: DeliveryView) -> bool:
    """Whether it should have arrived, and something is wrong."""
    return one.state == "dead" or (one.state == "owed" and one.attempts > 0)


def _unsent(one: DeliveryView, now: datetime) -> str:
    """Why it has not arrived, and when it is tried again."""
    reason = " ".join(one.said.split())[:_REASON].rstrip(".")
    if one.next_try_at is not None and reason:
        return f"NOT DELIVERED yet, next try {spell_at(one.next_try_at, now)}: {reason}"
    if one.state == "dead":
        return f"NOT DELIVERED, and is not tried again: {reason}"
    if _is_late(one):
        return f"NOT DELIVERED yet, next try {spell_at(one.not_before, now)}: {reason}"
    return "is being sent" if one.state == "leased" else f"not sent yet, it waits since {spell_at(one.owed_at, now)}"
