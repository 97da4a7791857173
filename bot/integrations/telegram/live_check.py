"""What `vakhta check --live` asks Telegram: the token, and the bot's place in the chat. Nothing is sent or set."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from bot.core.errors import Undelivered
from bot.core.live_check import LiveAnswer, LiveQuestion, failed, fault, not_asked, ok
from bot.integrations.telegram.api import TelegramApi
from bot.integrations.telegram.settings import TelegramSettings
from bot.integrations.telegram.standing import ChatStanding
from bot.lib.redact import shown

_MAX_SHOWN = 200
_OUTSIDE = ("left", "kicked")
_ASK_ADMIN = "have an administrator of the group"


class TelegramLiveCheck:
    """Telegram has no question for whether a topic exists: a deleted one is only refused when something is sent."""

    section = TelegramSettings

    def questions(self, section: TelegramSettings, place: str) -> Sequence[LiveQuestion]:  # noqa: ARG002 (one of them)
        asked = [
            LiveQuestion(key="token", ask=partial(_ask_token, section)),
            LiveQuestion(key="chat_id", ask=partial(_ask_chat, section)),
        ]
        if section.mode == "webhook":
            text = "Telegram sends this secret with its requests, and does not say whether it is the right one"
            asked.append(LiveQuestion(key="secret_token", ask=partial(not_asked, text)))
        return asked


def judged(standing: ChatStanding, topic_id: int | None) -> LiveAnswer:
    """What the bot's place in the chat means for its messages."""
    if standing.migrated_to is not None:
        return fault(f"The group has become a supergroup. Set channels.telegram.chat_id to {standing.migrated_to}.")
    kind = "private chat" if standing.kind == "private" else standing.kind
    chat = f"{kind} {shown(standing.title, _MAX_SHOWN)!r}"
    if standing.status in _OUTSIDE:
        return fault(f"The bot is not in the {chat}; {_ASK_ADMIN} add it.")
    if not standing.may_write:
        return fault(f"The bot is in the {chat} and may not write there; {_ASK_ADMIN} allow it to send messages.")
    if topic_id is not None and not standing.has_topics:
        return fault(f"The {chat} has no topics. Remove channels.telegram.topic_id, or switch topics on in the group.")
    topic = "" if topic_id is None else f". Whether topic {topic_id} exists is not known: Telegram cannot be asked"
    return ok(f"the bot is in the {chat} as {standing.status} and may write there{topic}")


def _ask_token(section: TelegramSettings) -> LiveAnswer:
    try:
        username, _ = asyncio.run(_look(section, chat_too=False))
    except Undelivered as error:
        return _failed(error)
    return ok(f"the bot is @{shown(username, _MAX_SHOWN)}")


def _ask_chat(section: TelegramSettings) -> LiveAnswer:
    try:
        _, standing = asyncio.run(_look(section, chat_too=True))
    except _TokenFailed:
        return not_asked("the token has to work first")
    except Undelivered as error:
        return _failed(error)
    return judged(standing, section.topic_id)


async def _look(section: TelegramSettings, *, chat_too: bool) -> tuple[str, ChatStanding]:
    api = TelegramApi(section)
    try:
        try:
            username = await api.introduce()
        except Undelivered as error:
            raise _TokenFailed(error.message, permanent=error.permanent) from None
        return username, await api.standing() if chat_too else ChatStanding()
    finally:
        await api.close()


def _failed(error: Undelivered) -> LiveAnswer:
    return failed("Telegram", error.message, refused=error.permanent)


class _TokenFailed(Undelivered):
    """The bot itself is not known; its chat cannot be asked for."""
