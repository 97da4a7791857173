"""What people are told of a channel that pauses or refuses. Pure. `title`: the platform's name (`Channel.title`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from bot.lib.text import spell_moment
from bot.store.channel_health import ChannelPause, ChannelTrouble


def pause_text(title: str, asked_until: datetime, *, now: datetime, pages: bool) -> str:
    """One sentence: until when, and what is late."""
    asked = f"{title} asked us to wait until {_time(asked_until, now)}"
    return (
        f"{asked}; pages there are late and are tried every minute." if pages else f"{asked}; messages there are late."
    )


def refusal_text(title: str, message: str) -> str:
    """What cards and lines of that channel are up to; told once, however many there are."""
    return (
        f"{title} takes no messages: {message.rstrip('.')}. Messages are kept, tried again every ten"
        " minutes, and sent when it takes them."
    )


def problem_text(
    title: str, pauses: Sequence[ChannelPause], troubles: Sequence[ChannelTrouble], now: datetime
) -> str | None:
    """For the health check of one channel; None when it neither pauses nor refuses."""
    for trouble in troubles:
        return (
            f"{title} takes no messages since {_time(trouble.since, now)}:"
            f" {trouble.message.rstrip('.')}. Tried again at {_time(trouble.try_at, now)}."
        )
    return pauses[0].message if pauses else None


def _time(moment: datetime, now: datetime) -> str:
    """The time of day; on another day with its date."""
    here = moment.astimezone(UTC)
    return f"{here:%H:%M} UTC" if here.date() == now.astimezone(UTC).date() else spell_moment(moment)
