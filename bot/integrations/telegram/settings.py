"""The settings' section about Telegram."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from bot.lib.settings_fields import Address, ChannelSection, Mistake, Secret, host_of, text_of

_TOKEN = re.compile(r"([0-9]{1,20}):[A-Za-z0-9_-]+")
_OWN_HOST, _OWN_LENGTH = "api.telegram.org", range(30, 65)
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
#: Ports to which Telegram sends: https://core.telegram.org/bots/api#setwebhook
_PORTS = (443, 80, 88, 8443)
#: Ids of people are far below; what is above begins with the 100 of a supergroup.
_LARGEST_PERSON = 10**12
_GENERAL = 1


class TelegramSettings(ChannelSection):
    """One Telegram bot and the group, or topic of a group, where incidents are posted."""

    called: ClassVar[str] = "Telegram"
    mode_needs: ClassVar[Mapping[str, str]] = {"webhook": "secret_token"}

    token: Secret = Field(description="From @BotFather, 123456:AAA...")
    chat_id: int = Field(description="-100... for a group.")
    topic_id: int | None = Field(None, description="message_thread_id of a forum topic.")
    api_url: Address = "https://api.telegram.org/bot"
    mode: Literal["polling", "webhook"] = "polling"
    secret_token: SecretStr = Field(
        SecretStr(""), description="Checks the requests from Telegram; needed in mode webhook."
    )
    webhook_url: Address | None = Field(
        None,
        description="The bot's address for Telegram in mode webhook; without it, server.public_url + /in/telegram.",
    )

    @property
    def summary(self) -> str:
        return f"{self.mode}, {self.chat_id}"

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        """The forms of Telegram itself; a server of one's own may have others."""
        token, api_url = text_of(given, "token"), text_of(given, "api_url")
        own = not api_url or host_of(api_url) == _OWN_HOST
        if token and own and (fault := _token_fault(token)):
            yield ("token",), fault
        if fault := chat_fault(given.get("chat_id"), token):
            yield ("chat_id",), fault
        topic = number_of(given.get("topic_id"))
        if topic is not None and topic < _GENERAL:
            yield ("topic_id",), "must be the number of a topic: the last number in the link of one of its messages"
        elif topic == _GENERAL:
            yield ("topic_id",), "is the topic General, in which Telegram takes no message by its number; leave it out"
        secret = text_of(given, "secret_token")
        if secret and own and not _SECRET.fullmatch(secret):
            yield ("secret_token",), "must be 1 to 256 letters, digits, _ and -, as Telegram requires"
        if api_url and own and urlsplit(api_url).path != "/bot":
            message = "must be https://api.telegram.org/bot, without the token; usually this key is left out"
            yield ("api_url",), message
        if own and given.get("mode") == "webhook" and (fault := webhook_fault(text_of(given, "webhook_url"))):
            yield ("webhook_url",), fault


def chat_fault(chat: object, token: str) -> str:
    """Why this cannot be the id of a chat where the bot with that token writes; "" if it can."""
    if isinstance(chat, str) and (chat.startswith("@") or "t.me/" in chat):
        return "is a name or a link; give the chat's numeric id, for a group -100..."
    number = number_of(chat)
    if number is None:
        return ""
    if number == 0:
        return "is no chat; give the group's id, -100..."
    if number >= _LARGEST_PERSON:
        return "is a group's id without its minus sign; write -100..."
    if number == bot_id(token):
        return "is the bot itself; give the id of the group, -100..., or of a person"
    return ""


def account_fault(account: object) -> str:
    """Why this cannot be a person's account in Telegram; "" if it can."""
    number = number_of(account)
    if number is None and isinstance(account, str):
        return "must be the numeric user id, not the @name or a phone number: the bot tells it to the person by /link"
    if number is not None and not 0 < number < _LARGEST_PERSON:
        return "is no person's id; a negative one is a group's"
    return ""


def webhook_fault(url: str) -> str:
    """Why Telegram would not send to that address; "" if it would, or if the address is not given."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return ""
    if url and (parts.scheme != "https" or port not in _PORTS):
        return "must begin with https:// and have port 443, 80, 88 or 8443; Telegram sends to no other address"
    return ""


def number_of(value: object) -> int | None:
    """The whole number, which a reference to a secret gives as text; None for anything else."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,20}", value.strip()):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def bot_id(token: str) -> int | None:
    """The id of the bot's own account, which its token begins with."""
    found = _TOKEN.fullmatch(token)
    return int(found[1]) if found else None


def _token_fault(token: str) -> str:
    where = "as @BotFather shows it, 123456:AAA..."
    if token.startswith("bot") and _TOKEN.fullmatch(token.removeprefix("bot")):
        return f"begins with the word bot, which is of the address; write the token {where}"
    if ":" not in token:
        return f"has no colon: it is only a part of the token; write all of it, {where}"
    if not _TOKEN.fullmatch(token):
        return f"must be a number, a colon, and letters, digits, _ and -, {where}"
    if len(token.partition(":")[2]) not in _OWN_LENGTH:
        return f"is too short or too long after the colon; write all of it, {where}"
    return ""
