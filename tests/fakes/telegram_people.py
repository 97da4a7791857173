"""The people of the fake Telegram: each verb makes one update, as the Bot API writes it, and queues it for the bot."""

from __future__ import annotations

import itertools
import time
from typing import Any

from tests.fakes.telegram_values import Posted

ANONYMOUS_ADMIN = {"id": 1087968824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}
CHANNEL_BOT = {"id": 136817688, "is_bot": True, "first_name": "Channel", "username": "Channel_Bot"}

Update = dict[str, Any]


class People:
    """Whoever writes to the bot. Every verb returns its update, for the body of a webhook or to be queued again."""

    def __init__(self, *, chat_id: int, bot: dict[str, object]) -> None:
        self.chat_id = chat_id
        self.bot = bot
        self.pending: list[Update] = []
        self.spoken: set[int] = set()  #: ids of messages of people
        self.presses_open: set[str] = set()
        self._message_ids = itertools.count(501)
        self._update_ids = itertools.count(900_001)

    def queue(self, update: Update) -> None:
        """Let the bot have it (again)."""
        raise NotImplementedError

    def next_message_id(self) -> int:
        return next(self._message_ids)

    def says(
        self, text: str, *, user: int = 1001, chat: int | None = None, to: int | None = None, **more: Any
    ) -> Update:
        """A message; `to` is a message of the bot that it replies to, `more` goes into the message."""
        message_id = self.next_message_id()
        self.spoken.add(message_id)
        message = self.message_of(self.chat_id if chat is None else chat, message_id, text) | {"from": person(user)}
        if to is not None:
            message["reply_to_message"] = self.message_of(self.chat_id, to, "the bot's own") | {"from": self.bot}
        return self.updates(message=message | more)

    def shows(self, **media: Any) -> Update:
        """A message without text."""
        message = self.message_of(self.chat_id, self.next_message_id(), "") | {"from": person(1001)} | media
        del message["text"]
        return self.updates(message=message)

    def edits(self, text: str, *, user: int = 1001) -> Update:
        message = self.message_of(self.chat_id, self.next_message_id(), text) | {"from": person(user)}
        return self.updates(edited_message=message | {"edit_date": int(time.time())})

    def forwards(self, text: str, *, user: int = 1001) -> Update:
        origin = {"type": "user", "date": 1_700_000_000, "sender_user": person(4004)}
        return self.says(text, user=user, forward_origin=origin)

    def says_anonymously(self, text: str) -> Update:
        return self.says_as(ANONYMOUS_ADMIN, text, self.chat_id)

    def says_as_channel(self, text: str) -> Update:
        return self.says_as(CHANNEL_BOT, text, -100777)

    def says_as(self, account: dict[str, Any], text: str, sender_chat: int) -> Update:
        message = self.message_of(self.chat_id, self.next_message_id(), text) | {"from": account}
        return self.updates(message=message | {"sender_chat": chat_of(sender_chat)})

    def publishes(self, text: str) -> Update:
        """A post of a channel, which has no `from` at all."""
        message = self.message_of(self.chat_id, self.next_message_id(), text)
        return self.updates(channel_post=message | {"sender_chat": chat_of(self.chat_id)})

    def presses(
        self, message_id: int, data: str, *, user: int = 1001, chat: int | None = None, keyboard: tuple[str, ...] = ()
    ) -> Update:
        """A button press; `keyboard` is the callback_data that the message still holds, as Telegram reports it."""
        message = self.message_of(self.chat_id if chat is None else chat, message_id, "a card") | {"from": self.bot}
        if keyboard:
            rows = [[{"text": words, "callback_data": words} for words in keyboard]]
            message["reply_markup"] = {"inline_keyboard": rows}
        press_id = f"press-{next(self._message_ids)}"
        self.presses_open.add(press_id)
        press = {"id": press_id, "from": person(user), "message": message, "chat_instance": "1", "data": data}
        return self.updates(callback_query=press)

    def presses_on(self, posted: Posted, data: str) -> Update:
        """A press on a message of the bot, with all buttons that the message has."""
        update = self.presses(posted.message_id, data, chat=posted.chat_id)
        buttons = [{"text": label, "callback_data": words} for label, words in posted.buttons.items()]
        links = [{"text": label, "url": url} for label, url in posted.links.items()]
        rows = [row for row in (buttons, links) if row]
        update["callback_query"]["message"]["reply_markup"] = {"inline_keyboard": rows}
        return update

    def updates(self, **parts: Any) -> Update:
        """Any update."""
        update = {"update_id": next(self._update_ids), **parts}
        self.queue(update)
        return update

    def message_of(self, chat_id: int, message_id: int, text: str) -> dict[str, Any]:
        return {"message_id": message_id, "date": int(time.time()), "chat": chat_of(chat_id), "text": text}


def person(user: int) -> dict[str, Any]:
    return {"id": user, "is_bot": False, "first_name": f"User {user}"}


def chat_of(chat_id: int) -> dict[str, Any]:
    if chat_id > 0:
        return {"id": chat_id, "type": "private", "first_name": f"User {chat_id}"}
    return {"id": chat_id, "type": "supergroup", "title": "Incidents"}
