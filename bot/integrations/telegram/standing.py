"""The bot's place in its chat, as Telegram tells it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ChatStanding:
    """`kind`: private, group, supergroup or channel. `status`: in Telegram's words, such as member or kicked."""

    kind: str = ""
    title: str = ""
    status: str = ""
    may_write: bool = True
    has_topics: bool = False
    migrated_to: int | None = None  #: the id of the supergroup that the group has become; the rest is not known then
