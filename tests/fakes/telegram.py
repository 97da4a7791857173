"""Telegram's Bot API over real HTTP on loopback: one bot, its chats, and people who write and press buttons.

Strict: a method, a field, a length or a token that the real server would refuse is refused in its words and is a
fault. What a test wants refused on purpose it announces with `refuse_next`, or causes (`blocked`, `migrate`, topics).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from urllib.parse import urlsplit

from tests.fakes.calls import Answer, Call
from tests.fakes.server import StrictServer, Window
from tests.fakes.telegram_html import Unparsable, literal_code, read_html
from tests.fakes.telegram_menu import Menu
from tests.fakes.telegram_people import People
from tests.fakes.telegram_values import Flash, Posted, Refused, as_int, from_form

TOKEN = "7000001:AAFakeTokenOfATestBot_0123456789abc"
BOT_ID = 7000001
USERNAME = "vakhta_test_bot"

_NO_GIFTS = dict.fromkeys(
    ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels"), False
)
_TEXT_FIELDS = {"chat_id", "text", "parse_mode", "reply_markup", "link_preview_options"}
_TEXTS = {"text", "parse_mode", "url", "secret_token", "callback_query_id"}
_FIELDS = {
    "getMe": set[str](),
    "getChat": {"chat_id"},
    "getChatMember": {"chat_id", "user_id"},
    "getUpdates": {"offset", "limit", "timeout", "allowed_updates"},
    "setWebhook": {"url", "secret_token", "allowed_updates", "max_connections"},
    "deleteWebhook": set[str](),
    "getMyCommands": {"scope", "language_code"},
    "setMyCommands": {"commands", "scope", "language_code"},
    "sendMessage": _TEXT_FIELDS | {"message_thread_id", "reply_parameters"},
    "editMessageText": _TEXT_FIELDS | {"message_id"},
    "editMessageReplyMarkup": {"chat_id", "message_id", "reply_markup"},
    "answerCallbackQuery": {"callback_query_id", "text", "show_alert"},
}


class FakeTelegram(People, StrictServer):
    """`with FakeTelegram() as fake`; the bot's settings are `fake.api_url` and TOKEN."""

    def __init__(self, *, chat_id: int = -1001, topics: frozenset[int] = frozenset()) -> None:
        StrictServer.__init__(self)
        People.__init__(
            self, chat_id=chat_id, bot={"id": BOT_ID, "is_bot": True, "first_name": "V", "username": USERNAME}
        )
        self.token = TOKEN
        self.chats = {chat_id}  #: where the bot may write; private chats it may always
        self.chat: dict[str, object] = {"type": "supergroup", "title": "Incidents"}  #: what getChat tells besides
        self.standing: dict[str, object] = {"status": "member"}  #: of the bot in its chat
        self.topics = dict.fromkeys(topics, True)  #: topic id -> whether it is open
        self.blocked = False
        self.limited = False  #: whether 1 a second a chat and 20 a minute a group are kept
        self.each, self.group = Window(1, 1.0), Window(20, 60.0)
        self.posts: dict[tuple[int, int], Posted] = {}
        self.flashes: list[Flash] = []
        self.webhook: dict[str, object] | None = None
        self.menu = Menu(self.fault)
        self.polls = 0  #: how many getUpdates were begun
        self._moved: dict[int, int] = {}
        self._refusals: deque[tuple[str, Refused]] = deque()
        self._poller = 0
        self._news = threading.Condition(self._lock)
        self._verbs: dict[str, Callable[[dict[str, object]], object]] = {
            "getMe": self._get_me,
            "getChat": self._get_chat,
            "getChatMember": self._get_chat_member,
            "getUpdates": self._get_updates,
            "setWebhook": self._set_webhook,
            "deleteWebhook": self._delete_webhook,
            "getMyCommands": self.menu.tell,
            "setMyCommands": self.menu.take,
            "sendMessage": self._send,
            "editMessageText": self._edit,
            "editMessageReplyMarkup": self._edit_buttons,
            "answerCallbackQuery": self._flash,
        }

    @property
    def api_url(self) -> str:
        return f"{self.url}/bot"

    @property
    def refused(self) -> int:
        """How many 429 the rate limits gave."""
        return self.each.refused + self.group.refused

    @property
    def card(self) -> Posted:
        """The only message there is."""
        (only,) = self.posts.values()
        return only

    def refuse_next(self, method: str, status: int, said: str, **parameters: int) -> None:
        with self._lock:
            self._refusals.append((method, Refused(status, said, **parameters)))

    def migrate(self, old: int, new: int) -> None:
        """The group becomes a supergroup: it has another id and none of the messages."""
        with self._lock:
            self.chats = (self.chats - {old}) | {new}
            self._moved[old] = new
            self.chat_id = new

    def delete(self, message_id: int) -> None:
        with self._lock:
            del self.posts[self.chat_id, message_id]

    def calls(self, method: str) -> list[Call]:
        return [call for call in self.received if call.path.endswith(f"/{method}")]

    def queue(self, update: dict[str, object]) -> None:
        with self._news:
            self.pending.append(update)
            self._news.notify_all()

    def close(self) -> None:
        with self._news:
            self._news.notify_all()

    def answer(self, call: Call) -> Answer:
        try:
            return Answer.json({"ok": True, "result": self._do(call)})
        except Refused as no:
            told: dict[str, object] = {"ok": False, "error_code": no.status, "description": no.said}
            return Answer.json(told | ({"parameters": no.parameters} if no.parameters else {}), status=no.status)

    def _do(self, call: Call) -> object:
        prefix, _, method = call.path.removeprefix("/").partition("/")
        if prefix != f"bot{self.token}":
            raise self._wrong(HTTPStatus.UNAUTHORIZED, "Unauthorized")
        if method not in _FIELDS:
            raise self._wrong(HTTPStatus.NOT_FOUND, f"Not Found: method {method}")
        fields = {name: value if name in _TEXTS else from_form(value) for name, value in call.fields.items()}
        for name in fields.keys() - _FIELDS[method]:
            self.fault(f"{method} was given {name!r}")
        with self._lock:
            announced = next((one for one in self._refusals if one[0] == method), None)
            if announced is not None:
                self._refusals.remove(announced)
                raise announced[1]
        return self._verbs[method](fields)

    def _wrong(self, status: int, said: str) -> Refused:
        """A refusal that a right client never gets."""
        self.fault(said)
        return Refused(status, said)

    def _get_me(self, fields: dict[str, object]) -> object:
        return self.bot

    def _get_chat(self, fields: dict[str, object]) -> object:
        chat_id = self._writable(fields)
        always = {"accent_color_id": 0, "max_reaction_count": 11, "accepted_gift_types": _NO_GIFTS}
        forum = {"is_forum": True} if self.topics else {}
        return {"id": chat_id, **always, "permissions": {"can_send_messages": True}, **forum, **self.chat}

    def _get_chat_member(self, fields: dict[str, object]) -> object:
        if as_int(fields.get("user_id")) != BOT_ID:
            raise self._wrong(400, "Bad Request: invalid user_id specified")
        return {"user": self.bot, **self.standing}

    def _set_webhook(self, fields: dict[str, object]) -> object:
        self.webhook = fields
        return True

    def _delete_webhook(self, fields: dict[str, object]) -> object:
        self.webhook = None
        return True

    def _get_updates(self, fields: dict[str, object]) -> object:
        if self.webhook is not None:
            raise Refused(409, "Conflict: can't use getUpdates method while webhook is active")
        offset, ends = as_int(fields.get("offset", 0)), time.monotonic() + as_int(fields.get("timeout", 0))
        kinds = fields.get("allowed_updates")
        with self._news:
            self.polls += 1
            self._poller = mine = self._poller + 1
            self._news.notify_all()  # Another poll that waits is ended by this one.
            self.pending = [update for update in self.pending if as_int(update["update_id"]) >= offset]
            while True:
                if self._poller != mine:
                    raise Refused(409, "Conflict: terminated by other getUpdates request; make sure that only one bot")
                found = [update for update in self.pending if isinstance(kinds, list) and update.keys() & set(kinds)]
                left = ends - time.monotonic()
                if found or left <= 0 or self.ended.is_set():
                    return found[:100]
                self._news.wait(left)

    def _send(self, fields: dict[str, object]) -> object:
        with self._lock:
            chat_id = self._writable(fields)
            topic_id = self._open_topic(fields.get("message_thread_id"))
            text, html, (buttons, links) = self._content(fields)
            posted = Posted(
                chat_id=chat_id,
                message_id=self.next_message_id(),
                topic_id=topic_id,
                reply_to=self._replied(chat_id, fields.get("reply_parameters")),
                text=text,
                html=html,
                buttons=buttons,
                links=links,
            )
            self.posts[chat_id, posted.message_id] = posted
            return self._told(posted)

    def _edit(self, fields: dict[str, object]) -> object:
        with self._lock:
            chat_id = self._writable(fields)
            standing = self.posts.get((chat_id, as_int(fields.get("message_id"))))
            if standing is None:
                raise Refused(400, "Bad Request: message to edit not found")
            text, html, (buttons, links) = self._content(fields)
            edited = replace(standing, text=text, html=html, buttons=buttons, links=links)
            if edited == standing:
                raise Refused(400, "Bad Request: message is not modified: specified new message content is the same")
            self.posts[chat_id, standing.message_id] = replace(edited, edits=standing.edits + 1)
            return self._told(edited)

    def _edit_buttons(self, fields: dict[str, object]) -> object:
        with self._lock:
            standing = self.posts.get((self._writable(fields), as_int(fields.get("message_id"))))
            if standing is None:
                raise Refused(400, "Bad Request: message to edit not found")
            buttons, links = self._buttons(fields.get("reply_markup"))
            edited = replace(standing, buttons=buttons, links=links)
            if edited == standing:
                raise Refused(400, "Bad Request: message is not modified: specified new message content is the same")
            self.posts[standing.chat_id, standing.message_id] = replace(edited, edits=standing.edits + 1)
            return self._told(edited)

    def _flash(self, fields: dict[str, object]) -> object:
        with self._lock:
            press_id, text = str(fields.get("callback_query_id")), str(fields.get("text", ""))
            if press_id not in self.presses_open:
                raise Refused(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
            if len(text.encode("utf-16-le")) > 400:
                raise self._wrong(400, "Bad Request: MESSAGE_TOO_LONG")
            for literal in literal_code(text):
                self.fault(f"literal backticks: {literal}")
            self.flashes.append(Flash(press_id=press_id, text=text, alert=fields.get("show_alert") is True))
            return True

    def _writable(self, fields: dict[str, object]) -> int:
        chat_id = as_int(fields.get("chat_id"))
        if chat_id in self._moved:
            said = "Bad Request: group chat was upgraded to a supergroup chat"
            raise Refused(400, said, migrate_to_chat_id=self._moved[chat_id])
        if self.blocked:
            raise Refused(403, "Forbidden: bot was kicked from the supergroup chat")
        if chat_id < 0 and chat_id not in self.chats:
            raise Refused(400, "Bad Request: chat not found")
        over = self.limited and (self.each.take(str(chat_id)) or (chat_id < 0 and self.group.take(str(chat_id))))
        if over:
            raise Refused(429, "Too Many Requests: retry later", retry_after=max(1, round(over)))
        return chat_id

    def _open_topic(self, given: object) -> int | None:
        if given is None:
            return None
        if as_int(given) not in self.topics:
            raise Refused(400, "Bad Request: message thread not found")
        if not self.topics[as_int(given)]:
            raise Refused(400, "Bad Request: TOPIC_CLOSED")
        return as_int(given)

    def _replied(self, chat_id: int, given: object) -> int | None:
        if not isinstance(given, dict):
            return None
        message_id = as_int(given["message_id"])
        if (chat_id, message_id) in self.posts or message_id in self.spoken:
            return message_id
        if given.get("allow_sending_without_reply") is True:
            return None
        raise self._wrong(400, "Bad Request: message to be replied not found")

    def _content(self, fields: dict[str, object]) -> tuple[str, str, tuple[dict[str, str], dict[str, str]]]:
        raw, mode = str(fields.get("text", "")), fields.get("parse_mode")
        if mode not in {None, "HTML"}:
            raise self._wrong(400, f"Bad Request: unsupported parse_mode {mode}")
        if fields.get("link_preview_options") != {"is_disabled": True}:
            self.fault(f"link previews are on: {raw[:40]!r}")
        try:
            text = read_html(raw).text if mode else raw
        except Unparsable as why:
            raise self._wrong(400, f"Bad Request: {why}") from None
        for literal in literal_code(text):
            self.fault(f"literal backticks: {literal}")
        if not text.strip():
            raise self._wrong(400, "Bad Request: message text is empty")
        if len(text.encode("utf-16-le")) > 8192:
            raise self._wrong(400, "Bad Request: message is too long")
        return text.strip(), raw if mode else "", self._buttons(fields.get("reply_markup"))

    def _buttons(self, markup: object) -> tuple[dict[str, str], dict[str, str]]:
        """The buttons that say something to the bot, and those that open a page."""
        if not isinstance(markup, dict):
            return {}, {}
        rows: list[list[dict[str, str]]] = markup["inline_keyboard"]
        if sum(len(row) for row in rows) > 100 or any(len(row) > 8 for row in rows):
            raise self._wrong(400, "Bad Request: reply markup is too long")
        buttons = [button for row in rows for button in row]
        for button in buttons:
            if button.keys() - {"text"} not in ({"callback_data"}, {"url"}) or not button["text"].strip():
                raise self._wrong(400, "Bad Request: can't parse inline keyboard button")
            if "url" in button and not _openable(button["url"]):
                raise self._wrong(400, f"Bad Request: inline keyboard button URL '{button['url']}' is invalid")
            if "url" not in button and not 1 <= len(button["callback_data"].encode()) <= 64:
                raise self._wrong(400, "Bad Request: BUTTON_DATA_INVALID")
        return (
            {one["text"]: one["callback_data"] for one in buttons if "url" not in one},
            {one["text"]: one["url"] for one in buttons if "url" in one},
        )

    def _told(self, posted: Posted) -> object:
        return self.message_of(posted.chat_id, posted.message_id, posted.text)


def _openable(url: str) -> bool:
    """Whether Telegram takes it for a button: a host that could be on the internet."""
    host = urlsplit(url).hostname or ""
    return url.startswith(("http://", "https://", "tg://")) and "." in host and host != "127.0.0.1"
