"""Which channels pause or refuse messages: stored, so that a restart and other replicas know it.

A pause is what a provider asked for; a trouble is a channel that refuses every message until somebody repairs it. Both
are told once, however many messages they hold up, and end with a message that arrives.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.core.errors import Refusal
from bot.store.sql import Sql
from bot.store.times import micros, moment
from bot.store.transaction import Tx


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelTrouble:
    """A channel that refuses every message."""

    channel: str
    refused: Refusal
    message: str
    since: datetime
    try_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelPause:
    """A channel whose provider asked us to wait."""

    channel: str
    until: datetime  #: nothing is sent there before
    asked_until: datetime
    message: str


def ails(tx: Tx, channel: str) -> bool:
    """Whether the channel is recorded as pausing or refusing."""
    found = tx.sql.scalar(
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM pause WHERE channel = ?)"
        " OR EXISTS (SELECT 1 FROM channel_trouble WHERE channel = ?)",
        channel,
        channel,
    )
    return found is not None


def pause(tx: Tx, channel: str, message: str, *, until: datetime, asked_until: datetime) -> None:
    """The provider asked us to wait: nothing is sent to this channel before `until`. A pause is never shortened."""
    tx.sql.insert(
        "pause",
        ("channel", "until", "said", "asked_until"),
        [(channel, micros(until), message, micros(asked_until))],
        "ON CONFLICT (channel) DO UPDATE SET until = excluded.until, said = excluded.said,"
        " asked_until = excluded.asked_until WHERE excluded.until > pause.until",
        fixed=(("told", "0"),),
    )


def tell_pause_once(tx: Tx, channel: str) -> bool:
    """Record that people are notified of the pause. False: they were notified before."""
    return tx.sql.run("UPDATE pause SET told = 1 WHERE channel = ? AND told = 0", channel) == 1


def end_pause(tx: Tx, channel: str) -> None:
    """A message arrived after the pause; one that has begun since goes on."""
    tx.sql.run("DELETE FROM pause WHERE channel = ? AND until <= ?", channel, micros(tx.now))


def note_refusal(tx: Tx, channel: str, refused: Refusal, message: str, *, try_at: datetime) -> bool:
    """The channel refuses every message; it is tried again at `try_at`. True: that is new, and people are told."""
    row = (channel, str(refused), message, micros(tx.now), micros(try_at))
    first = tx.sql.run(
        "INSERT INTO channel_trouble (channel, refused, said, at, try_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (channel) DO NOTHING",
        *row,
    )
    if not first:
        tx.sql.run(
            "UPDATE channel_trouble SET refused = ?, said = ?, try_at = ? WHERE channel = ?",
            str(refused),
            message,
            micros(try_at),
            channel,
        )
    return first == 1


def trouble_of(tx: Tx, channel: str) -> Refusal | None:
    found = tx.sql.scalar("SELECT refused FROM channel_trouble WHERE channel = ?", channel)
    return None if found is None else Refusal(found)


def end_trouble(tx: Tx, channel: str) -> None:
    tx.sql.run("DELETE FROM channel_trouble WHERE channel = ?", channel)


def due_for_a_try(tx: Tx) -> list[str]:
    """The channels in trouble that are to be tried again now."""
    rows = tx.sql.rows("SELECT channel FROM channel_trouble WHERE try_at <= ? ORDER BY channel", micros(tx.now))
    return [str(row[0]) for row in rows]


def put_off(tx: Tx, channel: str, until: datetime) -> None:
    """The channel is being tried; the next time is `until`, should nothing come of it."""
    tx.sql.run("UPDATE channel_trouble SET try_at = ? WHERE channel = ?", micros(until), channel)


def try_now(tx: Tx) -> None:
    """Try all channels in trouble again: the process has started, perhaps with another key."""
    tx.sql.run("UPDATE channel_trouble SET try_at = ?", micros(tx.now))


def troubles(sql: Sql, channel: str = "") -> list[ChannelTrouble]:
    """Of all channels, or of that one."""
    rows = sql.rows("SELECT channel, refused, said, at, try_at FROM channel_trouble ORDER BY channel")
    return [
        ChannelTrouble(
            channel=row[0], refused=Refusal(row[1]), message=row[2], since=moment(row[3]), try_at=moment(row[4])
        )
        for row in rows
        if channel in ("", row[0])
    ]


def pauses(sql: Sql, now: datetime, channel: str = "") -> list[ChannelPause]:
    """Those that last, of all channels, or of that one. A pager's pause lasts as long as its provider asked for."""
    rows = sql.rows(
        "SELECT channel, until, asked_until, said FROM pause WHERE until > ? OR asked_until > ? ORDER BY channel",
        micros(now),
        micros(now),
    )
    return [
        ChannelPause(channel=row[0], until=moment(row[1]), asked_until=moment(max(row[1], row[2])), message=row[3])
        for row in rows
        if channel in ("", row[0])
    ]
