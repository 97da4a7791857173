"""The Bot API as this channel uses it, through python-telegram-bot: the only file that knows the library.

Every failure is `Undelivered`, with the bot's token (a part of every URL) taken out of its text. The library's own
polling is not used: it loses an update that is being handled when the process dies.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Any, TypeVar

import httpx
import telegram
from telegram.constants import ParseMode
from telegram.error import BadRequest, ChatMigrated, Conflict, Forbidden, InvalidToken, RetryAfter, TelegramError
from telegram.request import HTTPXRequest

from bot.core.errors import Refusal, Undelivered
from bot.core.message import Card, MessageKind, Notification
from bot.integrations.foreign_answer import describe_foreign_answer
from bot.integrations.telegram.html import (
    TelegramText,
    render_alert,
    render_buttons,
    render_card,
    render_links,
    render_text,
)
from bot.integrations.telegram.incident_card import render_incident, render_line
from bot.integrations.telegram.settings import TelegramSettings
from bot.integrations.telegram.standing import ChatStanding
from bot.integrations.telegram.updates import TelegramReply, Update

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

_TIMEOUT_S = 20.0  #: for one delivery or call, whatever the sockets' own timeouts allow
_UPDATE_KINDS = ("message", "callback_query")  #: the kinds of update that are asked for

#: An OSError comes from this machine (no file descriptor left). The last four come from the library's parsing of an
#: answer that is not the Bot API's (a proxy's page with status 200).
_FAILURES = (TelegramError, OSError, KeyError, TypeError, ValueError, AttributeError)

#: The causes of a library error when there was no connection, so that nothing was sent.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

#: Parts of the Bot API's descriptions: nothing else distinguishes one 400 from another.
_UNCHANGED = ("message is not modified",)
_GONE = ("message to edit not found", "message can't be edited", "message_id_invalid")
_NO_MARKUP = ("can't parse entities",)
_NO_TOPIC = ("topic_closed", "topic_deleted", "topic_id_invalid", "message thread not found")
_NO_CHAT = (
    "chat not found",
    "not enough rights",
    "have no rights",
    "chat_write_forbidden",
    "chat_restricted",
    "peer_id_invalid",
    "group chat was deactivated",
    "need administrator rights",
    "chat_admin_required",
)

_NO_PREVIEW = telegram.LinkPreviewOptions(is_disabled=True)
_LOGS_WITH_URLS = ("httpx", "telegram.Bot")


class TelegramApi:
    """One bot, writing to one chat. All of it but the constructor runs on one event loop; refs are "chat:message"."""

    def __init__(self, section: TelegramSettings, chat_id: int | None = None) -> None:
        """`chat_id`: of the supergroup that the group of the settings has become."""
        self.chat_id = chat_id or section.chat_id
        self._left = {section.chat_id} - {self.chat_id}  #: ids that the chat had before
        self._section = section
        self._token = section.token.get_secret_value()
        for name in _LOGS_WITH_URLS:
            logging.getLogger(name).addFilter(self._is_safe_to_log)
        # Without it the library warns at every Retry-After that it converts to a number.
        os.environ.setdefault("PTB_TIMEDELTA", "1")
        self._api = telegram.Bot(
            self._token,
            base_url=section.api_url,
            request=_OwnAnswers(read_timeout=10, pool_timeout=5),
            get_updates_request=_RawUpdates(read_timeout=10, pool_timeout=5),
        )

    async def open(self, webhook: str | None) -> tuple[int, str]:
        """Have updates sent to that URL, or kept for `fetch`. Returns the bot's own id and username."""
        await self._call(self._api.initialize())
        if webhook is None:
            await self._call(self._api.delete_webhook())
        else:
            secret = self._section.secret_token.get_secret_value()
            await self._call(self._api.set_webhook(webhook, secret_token=secret, allowed_updates=_UPDATE_KINDS))
        return self._api.id, self._api.username

    async def introduce(self) -> str:
        """The bot's own username; unlike `open` it changes nothing there."""
        await self._call(self._api.initialize())
        return self._api.username

    async def standing(self) -> ChatStanding:
        """The chat, and the bot's place in it; only reads. After `introduce`."""
        return await self._call(self._standing())

    async def _standing(self) -> ChatStanding:
        try:
            chat = await self._api.get_chat(self.chat_id)
        except ChatMigrated as migrated:
            return ChatStanding(migrated_to=migrated.new_chat_id)
        allowed = chat.permissions.can_send_messages if chat.permissions else None
        if chat.type == telegram.constants.ChatType.PRIVATE:
            return ChatStanding(kind=chat.type, title=chat.full_name or "", status="member")
        me = await self._api.get_chat_member(self.chat_id, self._api.id)
        if isinstance(me, telegram.ChatMemberRestricted):
            allowed = me.can_send_messages
        elif isinstance(me, telegram.ChatMemberAdministrator):
            allowed = me.can_post_messages if chat.type == telegram.constants.ChatType.CHANNEL else True
        return ChatStanding(
            kind=chat.type,
            title=chat.title or "",
            status=me.status,
            may_write=allowed is not False,
            has_topics=bool(chat.is_forum),
        )

    async def fetch(self, offset: int | None, wait_s: int) -> Sequence[Update]:
        """The updates from `offset` on, as Telegram wrote them; waits up to `wait_s` for the first."""
        work = self._api.get_updates(
            offset=offset, timeout=wait_s, read_timeout=wait_s + 10, allowed_updates=_UPDATE_KINDS
        )
        return [update.api_kwargs["written"] for update in await self._call(work, within_s=wait_s + _TIMEOUT_S)]

    async def deliver(self, notification: Notification) -> str:
        return await self._call(self._also_after_migration(lambda: self._put(notification)))

    async def post(self, text: str, to: str | None, instead_of: str) -> str:
        """A message that is not about an incident; see `bot.core.channel.Messenger`."""

        async def send() -> str:
            return await self._post_text(render_text(text), to, instead_of)

        ours = self._chat_of(to, instead_of)[0] == str(self.chat_id)
        return await self._call(self._also_after_migration(send) if ours else send())

    def move_to(self, chat_id: int) -> None:
        """The chat has another id from here on."""
        logger.warning(
            "telegram group became a supergroup; its new id is kept, and belongs into the settings",
            extra={"setting": "channels.telegram.chat_id", "before": self.chat_id, "now": chat_id},
        )
        self._left.add(self.chat_id)
        self.chat_id = chat_id

    async def send_reply(self, answer: TelegramReply) -> None:
        """Best effort: the request is done or refused by now, whether its reply arrives or not."""
        steps = [self._answer_press] if answer.press_id else [self._reply]
        steps += [self._reply] if answer.press_id and answer.shared else []
        steps += [self._remove_buttons] if answer.press_id and answer.plan_closed else []
        steps += [self._confirm_button] if answer.press_id and answer.buttons else []
        for send in steps:
            try:
                await self._call(send(answer))
            except Undelivered as error:
                logger.warning("telegram reply not sent", extra={"why": error.message})

    async def set_menu(self, menu: Sequence[tuple[str, str]]) -> None:
        """Set the command menu (name, description) unless it is set already. Best effort: people can type commands."""
        try:
            offered = await self._call(self._api.get_my_commands())
            if [(one.command, one.description) for one in offered] != list(menu):
                await self._call(self._api.set_my_commands(menu))
        except Undelivered as error:
            logger.warning("telegram command menu not set", extra={"why": error.message})

    async def close(self) -> None:
        await self._api.shutdown()
        for name in _LOGS_WITH_URLS:
            logging.getLogger(name).removeFilter(self._is_safe_to_log)

    async def _post_text(self, text: TelegramText, to: str | None, instead_of: str) -> str:
        chat, message = self._chat_of(to, instead_of)

        async def edit(html_or_plain: str, mode: ParseMode | None) -> None:
            await self._api.edit_message_text(
                html_or_plain, chat, int(message), parse_mode=mode, link_preview_options=_NO_PREVIEW
            )

        async def send(html_or_plain: str, mode: ParseMode | None) -> telegram.Message:
            return await self._api.send_message(
                chat,
                html_or_plain,
                parse_mode=mode,
                message_thread_id=self._section.topic_id if chat == str(self.chat_id) else None,
                reply_parameters=_reply_to(int(message)) if message else None,
                link_preview_options=_NO_PREVIEW,
            )

        if instead_of:
            await _html_or_plain(edit, text)
            return instead_of
        posted = await _html_or_plain(send, text)
        return f"{posted.chat_id}:{posted.message_id}"

    def _chat_of(self, to: str | None, instead_of: str) -> tuple[str, str]:
        """The chat and the message in it. What was said before the chat moved is answered where it is now."""
        chat, _, message = (instead_of or to or str(self.chat_id)).partition(":")
        return (str(self.chat_id) if chat in map(str, self._left) else chat), message

    async def _also_after_migration(self, send: Callable[[], Awaitable[Result]]) -> Result:
        try:
            return await send()
        except ChatMigrated as migrated:
            self.move_to(migrated.new_chat_id)
            return await send()

    async def _put(self, notification: Notification) -> str:
        card_at = self._message_at(notification.ref)
        if notification.kind is MessageKind.LINE:
            message = notification.event.text if notification.event else ""
            return await self._post(render_line(notification.incident, message), reply_to=card_at)
        if card_at is not None and await self._edit(card_at, notification.card):
            return f"{self.chat_id}:{card_at}"
        text = _rendered(notification.card, mention=True)
        return await self._post(text, keyboard=_keyboard(notification.card))

    def _message_at(self, ref: str | None) -> int | None:
        """The message id in a ref, None where the ref is of a chat that the bot no longer writes to."""
        chat, _, message = (ref or "").rpartition(":")
        return int(message) if chat == str(self.chat_id) and message.isascii() and message.isdigit() else None

    async def _edit(self, message_id: int, card: Card) -> bool:
        """False where the message no longer exists or cannot be edited."""

        async def send(message: str, mode: ParseMode | None) -> None:
            await self._api.edit_message_text(
                message,
                chat_id=self.chat_id,
                message_id=message_id,
                parse_mode=mode,
                reply_markup=_keyboard(card),
                link_preview_options=_NO_PREVIEW,
            )

        try:
            await _html_or_plain(send, _rendered(card, mention=False))
        except BadRequest as error:
            if _says(error, _UNCHANGED):
                return True
            if _says(error, _GONE):
                return False
            raise
        return True

    async def _post(
        self, text: TelegramText, *, keyboard: telegram.InlineKeyboardMarkup | None = None, reply_to: int | None = None
    ) -> str:
        async def send(message: str, mode: ParseMode | None) -> telegram.Message:
            return await self._api.send_message(
                self.chat_id,
                message,
                parse_mode=mode,
                reply_markup=keyboard,
                message_thread_id=self._section.topic_id,
                reply_parameters=_reply_to(reply_to),
                link_preview_options=_NO_PREVIEW,
            )

        posted = await _html_or_plain(send, text)
        return f"{self.chat_id}:{posted.message_id}"

    async def _answer_press(self, answer: TelegramReply) -> None:
        await self._api.answer_callback_query(answer.press_id, render_alert(answer.text), show_alert=answer.alert)

    async def _reply(self, answer: TelegramReply) -> None:
        """The whole text, with a plan's buttons."""

        async def send(message: str, mode: ParseMode | None) -> telegram.Message:
            return await self._api.send_message(
                answer.chat_id,
                message,
                parse_mode=mode,
                message_thread_id=answer.topic_id,
                reply_parameters=_reply_to(answer.message_id),
                reply_markup=_keyboard(answer.card) if answer.card else None,
                link_preview_options=_NO_PREVIEW,
            )

        await _html_or_plain(send, render_text(answer.text))

    async def _remove_buttons(self, answer: TelegramReply) -> None:
        try:
            await self._api.edit_message_reply_markup(answer.chat_id, answer.message_id)
        except BadRequest as error:
            if not _says(error, _UNCHANGED + _GONE):
                raise

    async def _confirm_button(self, answer: TelegramReply) -> None:
        """The same buttons, but the one that was pressed now counts."""
        rows = [
            [
                telegram.InlineKeyboardButton(one.label, callback_data=one.data or None, url=one.url or None)
                for one in row
            ]
            for row in answer.buttons
        ]
        try:
            await self._api.edit_message_reply_markup(
                answer.chat_id, answer.message_id, reply_markup=telegram.InlineKeyboardMarkup(rows)
            )
        except BadRequest as error:
            if not _says(error, _UNCHANGED + _GONE):
                raise

    async def _call(self, work: Awaitable[Result], *, within_s: float = _TIMEOUT_S) -> Result:
        try:
            async with asyncio.timeout(within_s):  # `wait_for` of Python 3.11 can lose a cancellation.
                return await work
        except _FAILURES as error:
            message = str(error).replace(self._token, "[token]").rstrip(".")
            raise _undelivered(error, message) from None  # The cause may hold the URL.

    def _is_safe_to_log(self, record: logging.LogRecord) -> bool:
        return self._token not in record.getMessage()


class _OwnAnswers(HTTPXRequest):
    """Tells an answer of the Bot API from one of a proxy: the library takes any 403 for Telegram's refusal."""

    async def do_request(self, *args: Any, **named: Any) -> tuple[int, bytes]:
        status, body = await super().do_request(*args, **named)
        if status < HTTPStatus.INTERNAL_SERVER_ERROR and not _is_own(body):
            raise _ForeignAnswer(describe_foreign_answer("Telegram", status, body.decode(errors="replace")))
        return status, body


class _ForeignAnswer(telegram.error.NetworkError):
    """Something else than Telegram answered."""


class _RawUpdates(_OwnAnswers):
    """Passes updates on as Telegram wrote them: one that the library cannot parse would fail its batch for ever."""

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        answer = HTTPXRequest.parse_json_payload(payload)
        if isinstance(answer.get("result"), list):
            answer["result"] = [{"update_id": update["update_id"], "written": update} for update in answer["result"]]
        return answer


def _is_own(body: bytes) -> bool:
    """Each answer of the Bot API is an object that says whether it is ok."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(answer, dict) and isinstance(answer.get("ok"), bool)


async def _html_or_plain(send: Callable[[str, ParseMode | None], Awaitable[Result]], text: TelegramText) -> Result:
    """Plain text where Telegram cannot parse the HTML: an incident without mark-up is better than none."""
    try:
        return await send(text.html, ParseMode.HTML)
    except BadRequest as error:
        if not _says(error, _NO_MARKUP):
            raise
        logger.warning("telegram could not parse the HTML; sent as plain text", extra={"why": str(error)})
        return await send(text.plain, None)


def _undelivered(error: Exception, message: str) -> Undelivered:
    """The failure as a sentence for the operator, with what to do."""
    if isinstance(error, RetryAfter):
        after = error.retry_after
        return Undelivered(
            f"Telegram limits the rate: {message}.",
            retry_after=after if isinstance(after, timedelta) else timedelta(seconds=after),
        )
    if isinstance(error, BadRequest | Forbidden | InvalidToken):
        return Undelivered(
            f"Telegram refused it: {message}. {_remedy(error)}", permanent=True, refused=_what_is_refused(error)
        )
    if isinstance(error, Conflict):
        effect = "Commands typed in Telegram do not arrive here until it stops."
        return Undelivered(f"Another program polls with the same bot token: {message}. {effect}")
    return Undelivered(_no_answer(error, message))


def _no_answer(error: Exception, message: str) -> str:
    if isinstance(error, _ForeignAnswer):
        return f"{message}. It is tried again."
    if isinstance(error.__cause__, _NOT_SENT):
        return f"Telegram cannot be reached: {message}. Nothing was sent."
    if isinstance(error, TelegramError):
        return f"Telegram cannot be reached: {message}. What was sent may or may not be there."
    return f"Telegram gave no readable answer ({type(error).__name__}). What was sent may or may not be there."


def _what_is_refused(error: TelegramError) -> Refusal | None:
    """None: only this message."""
    if isinstance(error, InvalidToken):
        return Refusal.KEY
    return Refusal.PLACE if isinstance(error, Forbidden) or _says(error, _NO_TOPIC + _NO_CHAT) else None


def _remedy(error: TelegramError) -> str:
    if isinstance(error, InvalidToken):
        return "The bot's token is unknown. Set channels.telegram.token to the one that @BotFather shows."
    if _says(error, _NO_TOPIC):
        return "The topic is closed or deleted. Reopen it, or set another channels.telegram.topic_id."
    return "Check that the bot is in the chat and may write there, or set another channels.telegram.chat_id."


def _says(error: TelegramError, signs: tuple[str, ...]) -> bool:
    return any(sign in str(error).lower() for sign in signs)


def _rendered(card: Card, *, mention: bool) -> TelegramText:
    return render_incident(card, card.situation, mention=mention) if card.situation else render_card(card)


def _keyboard(card: Card) -> telegram.InlineKeyboardMarkup | None:
    commands = _rows(render_buttons(card), lambda label, data: telegram.InlineKeyboardButton(label, callback_data=data))
    links = _rows(render_links(card), lambda label, url: telegram.InlineKeyboardButton(label, url=url))
    return telegram.InlineKeyboardMarkup([*commands, *links]) if commands or links else None


def _rows(
    rows: list[list[tuple[str, str]]], button: Callable[[str, str], telegram.InlineKeyboardButton]
) -> list[list[telegram.InlineKeyboardButton]]:
    return [[button(label, given) for label, given in row] for row in rows]


def _reply_to(message_id: int | None) -> telegram.ReplyParameters | None:
    """A reply is sent even if the message that it answers was deleted."""
    return telegram.ReplyParameters(message_id, allow_sending_without_reply=True) if message_id else None
