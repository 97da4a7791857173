"""Sends again what a channel refused, once it takes messages again, or what a person asks for.

The trap is a pager: a trigger that arrives after its resolve opens a new alert and wakes somebody, and an
acknowledgement that arrives before its trigger is lost. So only pages are sent again that the incident's present status
still wants (`pages_to_send_again`); a page of a resolved incident is never sent (docs/decisions/0052).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

from bot.core.errors import Refusal
from bot.core.incident import EventType, Incident, Status
from bot.core.message import MessageKind, SentAgain
from bot.store import channel_health, dead_messages
from bot.store.dead_messages import PageRecord
from bot.store.outbox import Claim
from bot.store.transaction import Tx

logger = logging.getLogger(__name__)

#: How often a channel that refuses everything is tried with a message, by whether that is a page.
TRY_AGAIN, TRY_PAGE_AGAIN = timedelta(minutes=10), timedelta(minutes=1)
#: So many incidents are made good in one transaction, so that alerts do not wait for it.
_AT_ONCE = 50
_BEGINNINGS = frozenset({EventType.OPENED, EventType.REOPENED})
_NO_TRIGGERS = frozenset({EventType.ACKED, EventType.RESOLVED})


def pages_to_send_again(pages: Sequence[PageRecord], status: Status, *, newest: bool) -> list[int]:
    """The ids of the pages that are still wanted, oldest first. Pure.

    While the incident is open, its dead triggers are wanted, unless a later one has arrived; of an acknowledged one
    also the acknowledgement, where it died or was lost because no trigger had arrived before it. Only the pages since
    it was last opened or reopened count; before a trigger that reopens it, the resolve that the pager never got is
    wanted too, or the trigger would fold into the old alert. Of a resolved incident no trigger is wanted; only its
    resolve, where a trigger has arrived and the group has no later incident (`newest`), whose alert it would close.
    """
    beginning = max((place for place, page in enumerate(pages) if page.event_type in _BEGINNINGS), default=0)
    earlier, current = pages[:beginning], pages[beginning:]
    if status is Status.RESOLVED:
        return _dead_resolve(pages) if newest else []
    triggers = [page for page in current if page.event_type not in _NO_TRIGGERS]
    arrived = [page.id for page in triggers if page.state == "sent"]
    again = [page.id for page in triggers if page.state == "dead" and page.id > max(arrived, default=0)]
    if again and not arrived:
        again += _dead_resolve(earlier)
    acks = [page for page in current if page.event_type is EventType.ACKED] if status is Status.ACKED else []
    for ack in acks[-1:]:
        before_any = not arrived or ack.id < min(arrived)
        before_one = any(page_id < ack.id for page_id in again)
        again += [ack.id] if ack.state == "dead" or before_any or before_one else []
    return sorted(again)


def _dead_resolve(pages: Sequence[PageRecord]) -> list[int]:
    """The resolve that these pages end with, where it is dead and would close an alert."""
    arrived = any(page.state == "sent" and page.event_type not in _NO_TRIGGERS for page in pages)
    ends = [page.id for page in pages[-1:] if page.event_type is EventType.RESOLVED and page.state == "dead"]
    return ends if arrived else []


def send_again(tx: Tx, incident: Incident, channel: str, *, refused_only: bool) -> SentAgain:
    """Owe the incident's dead messages to that channel again. `refused_only`: those that the channel refused."""
    resolved = incident.status is Status.RESOLVED
    found = dead_messages.pages(tx, incident.id, channel)
    newest = not resolved or not found or dead_messages.is_newest(tx, incident.id, incident.page_key)
    again = pages_to_send_again(found, incident.status, newest=newest)
    dead_messages.owe_pages(tx, again)
    only_edits = refused_only and resolved
    cards = dead_messages.owe_card(tx, incident.id, channel, refused_only=refused_only, edits_only=only_edits)
    lines = 0 if only_edits else dead_messages.owe_lines(tx, incident.id, channel, refused_only=refused_only)
    dead = {page.id for page in found if page.state == "dead"}
    return SentAgain(
        channel=channel, cards=cards, lines=lines, pages=len(again), withheld_pages=len(dead.difference(again))
    )


def after_success(tx: Tx, arrived: Claim) -> None:
    """A message has arrived: its channel's pause is over, and what the channel refused is owed again.

    The channel's trouble ends when nothing of it is left, which may take several messages.
    """
    channel_health.end_pause(tx, arrived.channel)
    refused = channel_health.trouble_of(tx, arrived.channel)
    if refused is None:
        return
    edited = arrived.kind is MessageKind.CARD and arrived.ref is not None
    if refused is Refusal.PLACE and edited and dead_messages.has_refused_posts(tx, arrived.channel):
        return
    waiting = dead_messages.refused_incidents(tx, arrived.channel, _AT_ONCE)
    again = [_make_good(tx, incident_id, arrived.channel) for incident_id in waiting]
    about = {"channel": arrived.channel, "incidents": sum(map(bool, again))}
    logger.warning("channel takes messages again; what it refused is sent", extra=about)
    if len(waiting) < _AT_ONCE:
        channel_health.end_trouble(tx, arrived.channel)


def try_refusing_channels(tx: Tx, pagers: Sequence[str]) -> list[str]:
    """Owe the most urgent refused messages to each channel whose time has come; returns the channels to wake.

    If they arrive, all others follow (`after_success`); if not, they are dead again, and nobody is told twice.
    """
    tried = []
    for channel in channel_health.due_for_a_try(tx):
        channel_health.put_off(tx, channel, tx.now + (TRY_PAGE_AGAIN if channel in pagers else TRY_AGAIN))
        for incident_id in dead_messages.refused_incidents(tx, channel, _AT_ONCE):
            if _make_good(tx, incident_id, channel):
                tried.append(channel)
                break
    return tried


def _make_good(tx: Tx, incident_id: int, channel: str) -> SentAgain:
    incident = tx.incident(incident_id)
    assert incident is not None, "a delivery's incident is a foreign key"
    again = send_again(tx, incident, channel, refused_only=True)
    dead_messages.forget_refusals(tx, incident_id, channel)
    return again
