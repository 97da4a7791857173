"""Telegram: cards and lines out, commands and button presses in.

python-telegram-bot is asynchronous and the bot is not, so one event loop on one thread of its own runs every call, and
the channel's methods wait for it. Updates are polled for, or sent to the webhook; either way an update is confirmed
only after it was handled. Only one process may poll with a token.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import CancelledError, Future, wait
from dataclasses import dataclass, replace
from datetime import timedelta

from bot.core.channel import Gateway, KeptFacts, RateLimit, WebhookResponse
from bot.core.errors import Rejected, Undelivered
from bot.core.incident import EventType, Incident
from bot.core.message import MessageKind, Notification
from bot.integrations.telegram.api import TelegramApi
from bot.integrations.telegram.event_loop import EventLoopThread
from bot.integrations.telegram.incident_card import card_as_text
from bot.integrations.telegram.menu import menu
from bot.integrations.telegram.polling import LongPolling, retry_until_delivered
from bot.integrations.telegram.settings import TelegramSettings
from bot.integrations.telegram.updates import TelegramReply, Update, UpdateHandler, migration, parse_update

logger = logging.getLogger(__name__)

_MENU_S = 1.0  #: how long `stop` waits for the command menu, which takes two requests at the start


@dataclass(frozen=True, kw_only=True)
class _Live:
    """The parts that exist between start and stop."""

    bot: TelegramApi
    loop: EventLoopThread
    polling: LongPolling


class Telegram:
    """One bot in one group, topic or private chat."""

    name = "telegram"
    title = "Telegram"
    kinds = frozenset({MessageKind.CARD, MessageKind.LINE})
    event_types = frozenset(EventType)
    threads = 1
    accounts = True
    pages = False
    local = False
    ignores_above: int | None = None

    def __init__(self, section: TelegramSettings) -> None:
        self.limits = _limits(section.chat_id)
        self._section = section
        self._webhook = section.webhook_url if section.mode == "webhook" else None
        self._problem: str | None = None
        self._handler: UpdateHandler | None = None
        self._live: _Live | None = None
        self._menu_task: Future[None] | None = None
        self._facts: KeptFacts | None = None
        self._kept_chat = section.chat_id  #: the chat's id, as the next start will know it

    def learn_into(self, facts: KeptFacts) -> None:
        """A group that becomes a supergroup gets another id; only the facts know it after a restart."""
        self._facts = facts
        moved: set[int] = set()
        while self._kept_chat not in moved:
            moved.add(self._kept_chat)
            found = facts.recall(_moved_fact(self._kept_chat)) or ""
            self._kept_chat = int(found) if found.removeprefix("-").isdecimal() else self._kept_chat

    def deliver(self, notification: Notification) -> str | None:
        """Returns the ref, "chat:message"."""
        return self._send(lambda bot: bot.deliver(notification))

    def preview(self, notification: Notification) -> str:
        return card_as_text(notification.card)

    def post(self, text: str, to: str | None, *, instead_of: str = "") -> str:
        return self._send(lambda bot: bot.post(text, to, instead_of))

    def receive(self, headers: Mapping[str, str], body: bytes) -> WebhookResponse:
        """Handle one update from the webhook; the reply to the chat is sent without delaying the HTTP answer."""
        update = parse_update(headers, body, self._section.secret_token.get_secret_value())
        live = self._live
        if live is None or self._handler is None:
            raise Rejected("The bot is still starting. Nothing was done. Send it again.", code="starting", status=503)
        answer = self._handle(update)
        if answer is not None:
            live.loop.begin(live.bot.send_reply(answer))
        return WebhookResponse()

    def start(self, gateway: Gateway) -> None:
        bot, loop = TelegramApi(self._section, self._kept_chat), EventLoopThread(self.name)
        polling = LongPolling(
            fetch=bot.fetch, handle=self._handle, reply=lambda reply: loop.begin(bot.send_reply(reply))
        )
        self._live = live = _Live(bot=bot, loop=loop, polling=polling)
        loop.begin(retry_until_delivered(lambda: self._listen(live, gateway), self._note_problem)).add_done_callback(
            self._note_end
        )

    def stop(self) -> None:
        live = self._live
        if live is None:
            return
        if self._menu_task is not None:  # cut off while it connects, it would leave its socket open
            wait([self._menu_task], _MENU_S)
        live.loop.end(live.bot.close())
        live.polling.close()
        self._live = self._handler = None

    def accepts(self, incident: Incident) -> bool:  # noqa: ARG002 - every incident is posted in the chat
        return True

    def health_problem(self) -> str | None:
        """What keeps updates from arriving, or None."""
        return self._problem

    async def _listen(self, live: _Live, gateway: Gateway) -> None:
        """Returns once the webhook is set; or runs until polling fails, and is then called again."""
        bot_id, username = await live.bot.open(self._webhook)
        self._menu_task = live.loop.begin(self._set_menu(live, gateway))
        self._menu_task.add_done_callback(_log_menu_failure)
        self._handler = UpdateHandler(
            gateway=gateway, channel=self.name, chat_id=live.bot.chat_id, bot_id=bot_id, username=username
        )
        if self._webhook is None:
            await live.polling.run(self._clear_problem)
        self._clear_problem()

    async def _set_menu(self, live: _Live, gateway: Gateway) -> None:
        await live.bot.set_menu(menu(gateway.menu()))

    def _send(self, send: Callable[[TelegramApi], Coroutine[object, object, str]]) -> str:
        live = self._live
        if live is None:
            raise Undelivered("The Telegram channel is not started. Nothing was sent.")
        try:
            return live.loop.run(send(live.bot))
        except CancelledError:
            raise Undelivered(
                "The Telegram channel stopped meanwhile. The message may or may not have arrived."
            ) from None
        finally:
            self._keep_chat(live.bot)

    def _handle(self, update: Update) -> TelegramReply | None:
        assert self._handler is not None, "an update before the bot knows its own name"
        assert self._live is not None
        bot, moved = self._live.bot, migration(update)
        if moved is not None and moved[0] == bot.chat_id:
            bot.move_to(moved[1])
            self._keep_chat(bot)
            return None
        return replace(self._handler, chat_id=bot.chat_id).handle(update)

    def _keep_chat(self, bot: TelegramApi) -> None:
        """Keep the chat's new id, from a thread that may wait for the database."""
        moved_to = bot.chat_id
        if moved_to == self._kept_chat or self._facts is None:
            return
        if self._facts.remember(_moved_fact(self._kept_chat), str(moved_to)):
            self._kept_chat = moved_to

    def _note_problem(self, message: str) -> None:
        if message != self._problem:
            logger.warning("telegram updates do not arrive", extra={"why": message})
        self._problem = message

    def _clear_problem(self) -> None:
        self._problem = None

    def _note_end(self, listening: Future[None]) -> None:
        """Listening ends by itself only with a bug; the health check then reports that no updates arrive."""
        if not listening.cancelled() and listening.exception() is not None:
            logger.error("telegram listening failed", exc_info=listening.exception())
            self._problem = "Listening to Telegram failed: commands do not arrive. See the log, and restart the bot."


def _moved_fact(chat_id: int) -> str:
    return f"supergroup of {chat_id}"


def _log_menu_failure(setting: Future[None]) -> None:
    """A command menu that cannot be set does not stop the channel."""
    if not setting.cancelled() and setting.exception() is not None:
        logger.error("telegram command menu failed", exc_info=setting.exception())


def _limits(chat_id: int) -> tuple[RateLimit, ...]:
    """Telegram's: 1 a second in a chat and 20 a minute in a group, edits counted (core.telegram.org/bots/faq)."""
    each = RateLimit(count=1, per=timedelta(seconds=1.02))
    return (each, RateLimit(count=20, per=timedelta(seconds=60.5))) if chat_id < 0 else (each,)
