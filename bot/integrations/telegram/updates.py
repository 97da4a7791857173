"""What one update of the Telegram Bot API means, asked at the door, and what to answer.

Only a fresh message or a button press of a listed person counts, and that person is always the `from` of it: never
the sender of an edited, forwarded or inline message, and never a chat that speaks for somebody. An update is read
with nothing taken for granted, because a field that is missing must not stop the ones behind it.
"""

from __future__ import annotations

import hmac
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bot.core.channel import Gateway
from bot.core.errors import Rejected
from bot.core.incident_marker import MARK_LENGTH
from bot.core.message import Card
from bot.core.request import UNKNOWN_PRINCIPAL, Reply, Request
from bot.integrations.telegram.html import TEXT_UNITS, utf16_length
from bot.lib.text import normalized

logger = logging.getLogger(__name__)

Update = Mapping[str, object]

#: Accounts that stand for somebody else: anonymous admins, posts of a channel, Telegram's own notices
#: (`telegram.constants.ChatID`). Every anonymous admin is the same account, so it can never be a person.
ANONYMOUS = frozenset({1087968824, 136817688, 777000})

UNKNOWN_BUTTON = "Unknown or expired button."

_FACELESS = "Anonymous and channel posts cannot run commands. Nothing was done. Write it under your own name."
_STALE = "Edited, forwarded and automatic messages cannot run commands. Nothing was done. Write it anew."
_ELSEWHERE = "Commands count only in the incident chat or in private. Nothing was done."

_IN_PRIVATE = "That is for you alone, and here everybody reads. Nothing was done. Send `/{verb}` to me in private."

_GIVEN_UP = "The bot failed on this several times. It is not known to be done: look at the incident, then try again."

_SECRET_HEADER = "x-telegram-bot-api-secret-token"  # noqa: S105 - a header's name
_MOST_BYTES = 1 << 20

#: Marks of words that are not the sender's own, now: forwarded (as the Bot API told it before and since 7.0), written
#: by a bot in somebody's name, of a business account's own chat, sent by the clock or while they are away, or edited.
_BORROWED = frozenset(
    {"forward_origin", "forward_from", "forward_from_chat", "forward_sender_name", "forward_date"}
    | {"is_automatic_forward", "via_bot", "guest_bot_caller_user", "guest_bot_caller_chat", "guest_query_id"}
    | {"sender_business_bot", "business_connection_id", "is_from_offline", "edit_date"}
)
#: What a card's buttons have ever said: a verb with its incident's number; those of today say its mark as well.
_OF_A_CARD = re.compile(rf"(?:ack|resolve) ([1-9][0-9]{{0,17}})(?:-[0-9a-f]{{{MARK_LENGTH}}})?")
_OF_A_PLAN = re.compile("(yes|no) [0-9a-f]{32}")
_SPOKEN = ("message", "edited_message", "channel_post", "edited_channel_post")
#: A hyphen is no letter of Telegram's own commands: it offers `/break_glass`, and people type both.
_COMMAND = re.compile(r"/([A-Za-z0-9_-]{1,32})(?:@(\w+))?(?:\s+(.*))?", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class TelegramReply:
    """What goes back: a reply to the message, or, with `press_id`, a note that only the presser sees."""

    text: str
    alert: bool = False  #: the note must be read and closed
    press_id: str = ""
    chat_id: int = 0
    message_id: int = 0
    topic_id: int | None = None
    card: Card | None = None  #: a plan with its buttons, in the place of `text`
    shared: bool = False  #: of a press: the chat is told as well
    plan_closed: bool = False  #: of a press: the message loses its buttons


def parse_update(headers: Mapping[str, str], body: bytes, secret: str) -> dict[str, object]:
    """The update in a webhook request. An empty `secret` takes none.

    Raises:
        Rejected: not from Telegram (with nothing said, to give nothing away), too large, or not an update.
    """
    given = {key.lower(): value for key, value in headers.items()}.get(_SECRET_HEADER, "")
    if not secret or not hmac.compare_digest(given.encode(errors="replace"), secret.encode()):
        raise Rejected("", code="bad_secret_token", status=401)
    if len(body) > _MOST_BYTES:
        raise Rejected("The body is over 1 MiB. Nothing was done.", code="too_large", status=413)
    try:
        update = json.loads(body)
    except (ValueError, RecursionError):
        raise Rejected("The body is not JSON. Nothing was done.", code="bad_json") from None
    if not isinstance(update, dict):
        raise Rejected("The body is not an update. Nothing was done.", code="not_an_object")
    return update


@dataclass(frozen=True, kw_only=True)
class UpdateHandler:
    """Hears for one bot in one chat."""

    gateway: Gateway
    channel: str
    chat_id: int
    bot_id: int
    username: str  #: without the @

    def handle(self, update: Update) -> TelegramReply | None:
        """Do what it asks for; None where there is nothing to say. Whatever the door raises goes through."""
        number = _number(update, "update_id")
        if number is None:
            logger.warning("telegram update without an id ignored")
            return None
        once = f"update:{number}"
        press = _part(update, "callback_query")
        if press:
            return self._hear_press(press, once)
        kind = next((kind for kind in _SPOKEN if _part(update, kind)), None)
        return self._hear_message(_part(update, kind), kind, once) if kind else None

    def _hear_message(self, message: Mapping[str, object], kind: str, idempotency_key: str) -> TelegramReply | None:
        words = self._words(message)
        if not words:
            return None
        chat, sender = _part(message, "chat"), _part(message, "from")
        here, account = self._is_here(chat), _number(sender, "id")
        said = self._said(message, account, words, idempotency_key)
        faceless = _unfit(message, kind)
        if faceless:
            return self._turn_away(message, said, faceless) if here else None
        if account is None or sender.get("is_bot") is True:
            return None
        by = self.gateway.person(self.channel, said.account)
        if not here:
            return self._turn_away(message, said, _ELSEWHERE) if by else None
        standing = self._standing(chat, _part(message, "reply_to_message"))
        reply = self.gateway.handle(replace(said, by=by or UNKNOWN_PRINCIPAL, incident_id=standing))
        return None if reply.repeated else _shown(message, said, reply)

    def _said(self, message: Mapping[str, object], account: int | None, words: str, idempotency_key: str) -> Request:
        """By nobody, as yet."""
        sender = "" if account is None else str(account)
        chat = _part(message, "chat")
        private = _text(chat, "type") == "private"
        spot = f"{_number(chat, 'id')}:{_number(message, 'message_id')}"
        return Request(
            by=UNKNOWN_PRINCIPAL,
            text=words,
            channel=self.channel,
            account=sender,
            private=private,
            idempotency_key=idempotency_key,
            thread=spot,
        )

    def _hear_press(self, press: Mapping[str, object], idempotency_key: str) -> TelegramReply:
        press_id = _text(press, "id")
        message = _part(press, "message")
        chat = _part(message, "chat")
        words = _text(press, "data").strip()
        incident_id = self._standing(chat, message)
        if not self._is_here(chat) or not _is_genuine(message, words, incident_id):
            return TelegramReply(text=UNKNOWN_BUTTON, alert=True, press_id=press_id)
        presser = _part(press, "from")
        account = _number(presser, "id")
        said = replace(self._said(message, account, words, idempotency_key), from_button=True)
        if account is None or account in ANONYMOUS or presser.get("is_bot") is True:
            self.gateway.record_refusal(said, _FACELESS)
            return TelegramReply(text=_FACELESS, alert=True, press_id=press_id)
        by = self.gateway.person(self.channel, said.account) or UNKNOWN_PRINCIPAL
        reply = self.gateway.handle(replace(said, by=by, incident_id=incident_id))
        return replace(
            _answer(message, reply.text),
            alert=not reply.ok,
            press_id=press_id,
            card=_card(reply),
            shared=reply.visible_to_all and not reply.repeated,
            plan_closed=reply.plan_closed and _is_of_one(message),
        )

    def _words(self, message: Mapping[str, object]) -> str:
        """What is asked of this bot, as if typed at a console; "" where it is not spoken to.

        A text of the full length is what Telegram's clients make when they split a longer one: half a command.
        """
        text = _text(message, "text")
        if utf16_length(text) >= TEXT_UNITS:
            return ""
        text = normalized(text)
        command = _COMMAND.fullmatch(text)
        if command is None:
            return text.lstrip("/ ") if self._is_answered(message) else ""
        verb, other, rest = (
            command.group(1).lower().replace("_", "-"),
            command.group(2) or self.username,
            command.group(3) or "",
        )
        if other.lower() != self.username.lower():
            return ""
        if verb == "start":
            return "help"
        return (rest.strip().lstrip("/ ") or "help") if verb == "vakhta" else f"{verb} {rest}".strip()

    def _is_answered(self, message: Mapping[str, object]) -> bool:
        """Whether it is a reply to the bot. In a topic every message "replies" to the topic's own first message."""
        to = _part(message, "reply_to_message")
        return _number(_part(to, "from"), "id") == self.bot_id and "forum_topic_created" not in to

    def _is_here(self, chat: Mapping[str, object]) -> bool:
        return _number(chat, "id") == self.chat_id or _text(chat, "type") == "private"

    def _standing(self, chat: Mapping[str, object], message: Mapping[str, object]) -> int | None:
        chat_id, message_id = _number(chat, "id"), _number(message, "message_id")
        if chat_id is None or message_id is None:
            return None
        return self.gateway.incident_at(self.channel, f"{chat_id}:{message_id}")

    def _turn_away(self, message: Mapping[str, object], said: Request, reason: str) -> TelegramReply | None:
        """Say it once, however often Telegram offers the update. (An ask notes its own id, with its effect.)"""
        logger.warning("telegram command refused", extra={"account": said.account, "why": reason})
        return None if self.gateway.record_refusal(said, reason) else _answer(message, reason)


def give_up(update: Update) -> TelegramReply:
    """What to say to somebody whose update the door failed on again and again."""
    press = _part(update, "callback_query")
    if press:
        return TelegramReply(text=_GIVEN_UP, alert=True, press_id=_text(press, "id"))
    return _answer(_part(update, "message"), _GIVEN_UP)


def _unfit(message: Mapping[str, object], kind: str) -> str | None:
    """Why nobody can be held to these words, or None. Telegram re-sends an edited message, and a forwarded one is
    a second person's words under the first one's name."""
    sender = _number(_part(message, "from"), "id")
    if "sender_chat" in message or sender in ANONYMOUS or kind in {"channel_post", "edited_channel_post"}:
        return _FACELESS
    changed = kind == "edited_message" or not _BORROWED.isdisjoint(message)
    return _STALE if changed else None


def _is_genuine(message: Mapping[str, object], words: str, incident_id: int | None) -> bool:
    """Whether the bot offered these words on this message.

    A client can send any callback_data. They count when the message, as Telegram itself reports it, still holds the
    button; or when it is an incident's card, edited since or too old to be reported, and they are words that its
    buttons have had. A plan's lose theirs once it is used, and a second click shall hear so: whoever says its whole
    handle, 128 random bits, has seen it. They are no authority: the presser could have typed them.
    """
    if not words or words.startswith("/"):
        return False
    card = _OF_A_CARD.fullmatch(words)
    on_its_card = card is not None and int(card[1]) == incident_id
    return words in _buttons(message) or on_its_card or _OF_A_PLAN.fullmatch(words) is not None


def _shown(message: Mapping[str, object], said: Request, reply: Reply) -> TelegramReply:
    """In a group there is no answer that one person alone is shown."""
    if reply.requester_only and not said.private:
        return _answer(message, _IN_PRIVATE.format(verb=said.text.split()[0]))
    return replace(_answer(message, reply.text), card=_card(reply))


def _is_of_one(message: Mapping[str, object]) -> bool:
    """Whether all of its buttons are about one thing, so that they end together."""
    return len({words.partition(" ")[2] for words in _buttons(message)}) <= 1


def _card(reply: Reply) -> Card | None:
    return None if reply.secret else reply.card


def _buttons(message: Mapping[str, object]) -> set[str]:
    rows = _part(message, "reply_markup").get("inline_keyboard")
    buttons = [button for row in rows if isinstance(row, list) for button in row] if isinstance(rows, list) else []
    return {str(button.get("callback_data")) for button in buttons if isinstance(button, dict)}


def _answer(message: Mapping[str, object], text: str) -> TelegramReply:
    in_topic = message.get("is_topic_message") is True
    return TelegramReply(
        text=text,
        chat_id=_number(_part(message, "chat"), "id") or 0,
        message_id=_number(message, "message_id") or 0,
        topic_id=_number(message, "message_thread_id") if in_topic else None,
    )


def _part(whole: Mapping[str, object], key: str) -> Mapping[str, object]:
    """The object under that key, empty where there is none."""
    part = whole.get(key)
    return part if isinstance(part, dict) else {}


def _text(whole: Mapping[str, object], key: str) -> str:
    text = whole.get(key)
    return text if isinstance(text, str) else ""


def _number(whole: Mapping[str, object], key: str) -> int | None:
    number = whole.get(key)
    return number if isinstance(number, int) and not isinstance(number, bool) else None
