"""Handles one update of the Telegram Bot API: parses it, passes it to the bot, and returns the reply.

Only a new message or a button press of a listed person counts. That person is always the `from` of the update: never
the sender of an edited, forwarded or inline message, and never a chat that acts for somebody. Every field may be
missing or of the wrong type, because an update that cannot be parsed must not stop the ones behind it.
"""

from __future__ import annotations

import hmac
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from bot.core.channel import Gateway
from bot.core.errors import Rejected
from bot.core.incident_marker import MARK_LENGTH
from bot.core.message import Card
from bot.core.request import UNKNOWN_PRINCIPAL, Reply, Request
from bot.integrations.telegram.html import CONFIRM, TEXT_UNITS, utf16_length
from bot.lib.text import normalized

logger = logging.getLogger(__name__)

Update = Mapping[str, object]

#: Accounts that stand for others: anonymous admins, posts of a channel, Telegram's own notices
#: (`telegram.constants.ChatID`). All anonymous admins share one account, so it can never be a person.
ANONYMOUS = frozenset({1087968824, 136817688, 777000})

UNKNOWN_BUTTON = "Unknown or expired button."

_ANONYMOUS_POST = "Anonymous and channel posts cannot run commands. Nothing was done. Write it under your own name."
_NOT_TYPED_NOW = "Edited, forwarded and automatic messages cannot run commands. Nothing was done. Type it anew."
_ELSEWHERE = "Commands are accepted only in the incident chat or in a private chat. Nothing was done."

_IN_PRIVATE = "The answer is for you alone, and others read here. Nothing was done. Send `/{verb}` to me in private."

_ASKED = "Its alerts still fire. Nothing was done yet. Press the button again to resolve the incident all the same."
_SURE = "Resolve all the same"

_GIVEN_UP = "The bot failed on this several times. It may have been done: look at the incident before you try again."

_SECRET_HEADER = "x-telegram-bot-api-secret-token"  # noqa: S105 - a header's name
_MOST_BYTES = 1 << 20

#: Fields of a message that its sender did not type now: forwarded (in the Bot API before and since 7.0), written by a
#: bot in their name, of a business account's chat, sent on a schedule or while they are away, or edited.
_NOT_TYPED = frozenset(
    {"forward_origin", "forward_from", "forward_from_chat", "forward_sender_name", "forward_date"}
    | {"is_automatic_forward", "via_bot", "guest_bot_caller_user", "guest_bot_caller_chat", "guest_query_id"}
    | {"sender_business_bot", "business_connection_id", "is_from_offline", "edit_date"}
)
#: Every command that a card's buttons have ever had: a verb with the incident's number, today with its marker too.
_CARD_COMMAND = re.compile(rf"\??(?:ack|resolve) ([1-9][0-9]{{0,17}})(?:-[0-9a-f]{{{MARK_LENGTH}}})?")
_PLAN_COMMAND = re.compile("(yes|no) [0-9a-f]{32}")
_MESSAGE_KINDS = ("message", "edited_message", "channel_post", "edited_channel_post")
#: Telegram's own commands have no hyphen: its menu has `/break_glass`, and people type both.
_COMMAND = re.compile(r"/([A-Za-z0-9_-]{1,32})(?:@(\w+))?(?:\s+(.*))?", re.DOTALL)


class KeyboardButton(NamedTuple):
    """A button below a message: it has either data or an address."""

    label: str
    data: str = ""
    url: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class TelegramReply:
    """A reply to the message, or, with `press_id`, a notice that only the presser sees."""

    text: str
    alert: bool = False  #: the notice must be closed by the presser
    press_id: str = ""
    chat_id: int = 0
    message_id: int = 0
    topic_id: int | None = None
    card: Card | None = None  #: the same as a card, for its buttons: a plan
    shared: bool = False  #: of a press: the text is posted in the chat as well
    plan_closed: bool = False  #: of a press: the message loses its buttons
    buttons: tuple[tuple[KeyboardButton, ...], ...] = ()  #: of a press: the new buttons of the message, in rows


def parse_update(headers: Mapping[str, str], body: bytes, secret: str) -> dict[str, object]:
    """The update in a webhook request. With an empty `secret` every request is rejected.

    Raises:
        Rejected: not from Telegram (with an empty text, which reveals nothing), too large, or not an update.
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
    """Handles updates for one bot in one chat."""

    gateway: Gateway
    channel: str
    chat_id: int
    bot_id: int
    username: str  #: without the @

    def handle(self, update: Update) -> TelegramReply | None:
        """Handle it; None: no reply. Errors of the gateway are not caught."""
        number = _number(update, "update_id")
        if number is None:
            logger.warning("telegram update without an id ignored")
            return None
        key = f"update:{number}"
        press = _part(update, "callback_query")
        if press:
            return self._handle_press(press, key)
        kind = next((kind for kind in _MESSAGE_KINDS if _part(update, kind)), None)
        return self._handle_message(_part(update, kind), kind, key) if kind else None

    def _handle_message(self, message: Mapping[str, object], kind: str, idempotency_key: str) -> TelegramReply | None:
        command = self._command(message)
        if not command:
            return None
        chat, sender = _part(message, "chat"), _part(message, "from")
        here, account = self._is_here(chat), _number(sender, "id")
        request = self._unnamed_request(message, account, command, idempotency_key)
        reason = _refusal(message, kind)
        if reason:
            return self._refuse(message, request, reason) if here else None
        if account is None or sender.get("is_bot") is True:
            return None
        by = self.gateway.person(self.channel, request.account)
        if not here:
            return self._refuse(message, request, _ELSEWHERE) if by else None
        incident_id = self._incident_at(chat, _part(message, "reply_to_message"))
        reply = self.gateway.handle(replace(request, by=by or UNKNOWN_PRINCIPAL, incident_id=incident_id))
        return None if reply.repeated else _reply_to(message, request, reply)

    def _unnamed_request(
        self, message: Mapping[str, object], account: int | None, command: str, idempotency_key: str
    ) -> Request:
        """The request, its sender not looked up yet."""
        sender = "" if account is None else str(account)
        chat = _part(message, "chat")
        private = _text(chat, "type") == "private"
        thread = f"{_number(chat, 'id')}:{_number(message, 'message_id')}"
        return Request(
            by=UNKNOWN_PRINCIPAL,
            text=command,
            channel=self.channel,
            account=sender,
            private=private,
            idempotency_key=idempotency_key,
            thread=thread,
        )

    def _handle_press(self, press: Mapping[str, object], idempotency_key: str) -> TelegramReply:
        press_id = _text(press, "id")
        message = _part(press, "message")
        chat = _part(message, "chat")
        command = _text(press, "data").strip()
        incident_id = self._incident_at(chat, message)
        if not self._is_here(chat) or not _is_genuine(message, command, incident_id):
            return TelegramReply(text=UNKNOWN_BUTTON, alert=True, press_id=press_id)
        presser = _part(press, "from")
        account = _number(presser, "id")
        request = replace(self._unnamed_request(message, account, command, idempotency_key), from_button=True)
        if account is None or account in ANONYMOUS or presser.get("is_bot") is True:
            self.gateway.record_refusal(request, _ANONYMOUS_POST)
            return TelegramReply(text=_ANONYMOUS_POST, alert=True, press_id=press_id)
        if command.startswith(CONFIRM):
            return _ask(message, command, press_id)
        by = self.gateway.person(self.channel, request.account) or UNKNOWN_PRINCIPAL
        reply = self.gateway.handle(replace(request, by=by, incident_id=incident_id))
        return replace(
            _answer(message, reply.text),
            alert=not reply.ok,
            press_id=press_id,
            card=_card(reply),
            shared=reply.visible_to_all and not reply.repeated,
            plan_closed=reply.plan_closed and _is_about_one_thing(message),
        )

    def _command(self, message: Mapping[str, object]) -> str:
        """The command to this bot, as it would be typed at a console; "" where the message is not for the bot.

        A text of the full length is a part of a longer one that Telegram's client has split: half a command.
        """
        text = _text(message, "text")
        if utf16_length(text) >= TEXT_UNITS:
            return ""
        text = normalized(text)
        slash = _COMMAND.fullmatch(text)
        if slash is None:
            return text.lstrip("/ ") if self._is_answered(message) else ""
        verb, other, rest = (
            slash.group(1).lower().replace("_", "-"),
            slash.group(2) or self.username,
            slash.group(3) or "",
        )
        if other.lower() != self.username.lower():
            return ""
        if verb == "start":
            return "help"
        return (rest.strip().lstrip("/ ") or "help") if verb == "vakhta" else f"{verb} {rest}".strip()

    def _is_answered(self, message: Mapping[str, object]) -> bool:
        """Whether it is a reply to the bot. In a topic every message "replies" to the topic's first message."""
        to = _part(message, "reply_to_message")
        return _number(_part(to, "from"), "id") == self.bot_id and "forum_topic_created" not in to

    def _is_here(self, chat: Mapping[str, object]) -> bool:
        return _number(chat, "id") == self.chat_id or _text(chat, "type") == "private"

    def _incident_at(self, chat: Mapping[str, object], message: Mapping[str, object]) -> int | None:
        chat_id, message_id = _number(chat, "id"), _number(message, "message_id")
        if chat_id is None or message_id is None:
            return None
        return self.gateway.incident_at(self.channel, f"{chat_id}:{message_id}")

    def _refuse(self, message: Mapping[str, object], request: Request, reason: str) -> TelegramReply | None:
        """Reply once, however often Telegram sends the update: the recorded refusal has its idempotency key."""
        logger.warning("telegram command refused", extra={"account": request.account, "why": reason})
        return None if self.gateway.record_refusal(request, reason) else _answer(message, reason)


def migration(update: Update) -> tuple[int, int] | None:
    """(old id, new id), where Telegram says that a group became a supergroup: in the old one, or in the new one."""
    message = _part(update, "message")
    here = _number(_part(message, "chat"), "id")
    to, since = _number(message, "migrate_to_chat_id"), _number(message, "migrate_from_chat_id")
    if here is None:
        return None
    return (here, to) if to is not None else (since, here) if since is not None else None


def give_up(update: Update) -> TelegramReply:
    """The reply to the sender of an update that failed again and again."""
    press = _part(update, "callback_query")
    if press:
        return TelegramReply(text=_GIVEN_UP, alert=True, press_id=_text(press, "id"))
    return _answer(_part(update, "message"), _GIVEN_UP)


def _refusal(message: Mapping[str, object], kind: str) -> str | None:
    """Why the message is not a command of its sender, or None.

    Telegram sends an edited message again, and a forwarded one is another person's text under the sender's name.
    """
    sender = _number(_part(message, "from"), "id")
    if "sender_chat" in message or sender in ANONYMOUS or kind in {"channel_post", "edited_channel_post"}:
        return _ANONYMOUS_POST
    changed = kind == "edited_message" or not _NOT_TYPED.isdisjoint(message)
    return _NOT_TYPED_NOW if changed else None


def _is_genuine(message: Mapping[str, object], command: str, incident_id: int | None) -> bool:
    """Whether the bot offered this command on this message.

    A client can send any callback_data. It counts when the message, as Telegram itself reports it, still has the
    button; or when the message is the card of an incident, edited since or too old to be reported, and the command is
    one that a card's buttons have had. A plan's message loses its buttons once the plan is used, but a second click is
    to be answered: anybody who sends its whole handle, 128 random bits, has seen it. None of this gives rights: the
    presser could have typed the command.
    """
    if not command or command.startswith("/"):
        return False
    of_card = _CARD_COMMAND.fullmatch(command)
    on_its_card = of_card is not None and int(of_card[1]) == incident_id
    return command in _buttons(message) or on_its_card or _PLAN_COMMAND.fullmatch(command) is not None


def _reply_to(message: Mapping[str, object], request: Request, reply: Reply) -> TelegramReply:
    """In a group no reply can be shown to one person alone."""
    if reply.requester_only and not request.private:
        return _answer(message, _IN_PRIVATE.format(verb=request.text.split()[0]))
    return replace(_answer(message, reply.text), card=_card(reply))


def _ask(message: Mapping[str, object], command: str, press_id: str) -> TelegramReply:
    """Nothing is done yet: the presser is asked, and the same button, pressed again, counts."""
    sure = command.removeprefix(CONFIRM)
    rows = [[_confirmed(button, command, sure) for button in row] for row in _keyboard(message)]
    kept = tuple(tuple(row) for row in rows) or ((KeyboardButton(_SURE, sure),),)
    return replace(_answer(message, _ASKED), alert=True, press_id=press_id, buttons=kept)


def _confirmed(button: Mapping[str, object], command: str, sure: str) -> KeyboardButton:
    data = _text(button, "callback_data")
    if data == command:
        return KeyboardButton(_SURE, sure)
    return KeyboardButton(_text(button, "text"), data, _text(button, "url"))


def _is_about_one_thing(message: Mapping[str, object]) -> bool:
    """Whether all of its buttons are about one thing, so that they are removed together."""
    return len({command.partition(" ")[2] for command in _buttons(message)}) <= 1


def _card(reply: Reply) -> Card | None:
    return None if reply.secret else reply.card


def _buttons(message: Mapping[str, object]) -> set[str]:
    return {_text(button, "callback_data") for row in _keyboard(message) for button in row} - {""}


def _keyboard(message: Mapping[str, object]) -> list[list[Mapping[str, object]]]:
    """The buttons of a message, in rows, as Telegram reports them; those that open a page have no callback_data."""
    rows = _part(message, "reply_markup").get("inline_keyboard")
    lists = [row for row in rows if isinstance(row, list)] if isinstance(rows, list) else []
    return [[button for button in row if isinstance(button, dict)] for row in lists]


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
