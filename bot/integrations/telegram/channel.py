"""Telegram: cards and lines out, commands and button presses in.

python-telegram-bot is asynchronous and the house is not, so one loop on one thread of its own runs every call, and
the verbs of the channel wait for it. Updates are polled for, or sent to the webhook; either way one is behind us only
when the door has done with it. Only one process may poll with a token.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import CancelledError, Future, wait
from dataclasses import dataclass, replace
from datetime import timedelta

from bot.core.channel import Gateway, RateLimit, WebhookResponse
from bot.core.errors import Rejected, Undelivered
from bot.core.incident import EventType, Incident
from bot.core.message import MessageKind, Notification
from bot.integrations.telegram.api import TelegramApi
from bot.integrations.telegram.event_loop import EventLoopThread
from bot.integrations.telegram.menu import menu
from bot.integrations.telegram.polling import LongPolling, retry_until_delivered
from bot.integrations.telegram.settings import TelegramSettings
from bot.integrations.telegram.updates import TelegramReply, Update, UpdateHandler, parse_update

logger = logging.getLogger(__name__)

_OFFERED_S = 1.0  #: so long the end waits for the command menu, which takes two requests at the very start


@dataclass(frozen=True, kw_only=True)
class _Live:
    """What there is between start and stop."""

    bot: TelegramApi
    loop: EventLoopThread
    polling: LongPolling


class Telegram:
    """One bot in one group, topic or private chat."""

    name = "telegram"
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
        self._trouble: str | None = None
        self._ear: UpdateHandler | None = None
        self._live: _Live | None = None
        self._offering: Future[None] | None = None

    def deliver(self, notification: Notification) -> str | None:
        """The ref is "chat:message"."""
        return self._send(lambda bot: bot.deliver(notification))

    def post(self, text: str, to: str | None, *, instead_of: str = "") -> str:
        return self._send(lambda bot: bot.post(text, to, instead_of))

    def receive(self, headers: Mapping[str, str], body: bytes) -> WebhookResponse:
        """Do what one webhook update asks for; what is sent back to the chat does not hold up the answer."""
        update = parse_update(headers, body, self._section.secret_token.get_secret_value())
        live = self._live
        if live is None or self._ear is None:
            raise Rejected("The bot is still starting. Nothing was done; send it again.", code="starting", status=503)
        answer = self._hear(update)
        if answer is not None:
            live.loop.begin(live.bot.send_reply(answer))
        return WebhookResponse()

    def start(self, gateway: Gateway) -> None:
        bot, loop = TelegramApi(self._section), EventLoopThread(self.name)
        polling = LongPolling(
            fetch=bot.fetch, take=self._hear, answer=lambda answer: loop.begin(bot.send_reply(answer))
        )
        self._live = live = _Live(bot=bot, loop=loop, polling=polling)
        loop.begin(retry_until_delivered(lambda: self._listen(live, gateway), self._ail)).add_done_callback(
            self._note_the_end
        )

    def stop(self) -> None:
        live = self._live
        if live is None:
            return
        if self._offering is not None:  # cut off while it connects, it would leave its socket open
            wait([self._offering], _OFFERED_S)
        live.loop.end(live.bot.close())
        live.polling.close()
        self._live = self._ear = None

    def accepts(self, incident: Incident) -> bool:  # noqa: ARG002 - every incident is told in the chat
        return True

    def health_problem(self) -> str | None:
        """What keeps it from hearing, or None."""
        return self._trouble

    async def _listen(self, live: _Live, gateway: Gateway) -> None:
        """Until the webhook is set; or until polling fails, which is then done again."""
        bot_id, username = await live.bot.open(self._webhook)
        self._offering = live.loop.begin(self._offer(live, gateway))
        self._offering.add_done_callback(_note_a_bug)
        self._ear = UpdateHandler(
            gateway=gateway, channel=self.name, chat_id=live.bot.chat_id, bot_id=bot_id, username=username
        )
        if self._webhook is None:
            await live.polling.run(self._be_well)
        self._be_well()

    async def _offer(self, live: _Live, gateway: Gateway) -> None:
        await live.bot.set_menu(menu(gateway.menu()))

    def _send(self, send: Callable[[TelegramApi], Coroutine[object, object, str]]) -> str:
        live = self._live
        if live is None:
            raise Undelivered("The Telegram channel is not started. Nothing was sent.")
        try:
            return live.loop.run(send(live.bot))
        except CancelledError:
            raise Undelivered("The Telegram channel stopped meanwhile; the message may or may not be there.") from None

    def _hear(self, update: Update) -> TelegramReply | None:
        assert self._ear is not None, "nothing is heard before the bot knows its own name"
        assert self._live is not None
        return replace(self._ear, chat_id=self._live.bot.chat_id).handle(update)

    def _ail(self, message: str) -> None:
        if message != self._trouble:
            logger.warning("telegram does not hear", extra={"why": message})
        self._trouble = message

    def _be_well(self) -> None:
        self._trouble = None

    def _note_the_end(self, listening: Future[None]) -> None:
        """Listening ends by itself only with a bug; then somebody must learn that nobody listens."""
        if not listening.cancelled() and listening.exception() is not None:
            logger.error("telegram listening broke", exc_info=listening.exception())
            self._trouble = "Listening to Telegram ended with a bug; the log has it. Restart the bot."


def _note_a_bug(offering: Future[None]) -> None:
    """A menu that cannot be offered is no reason not to hear."""
    if not offering.cancelled() and offering.exception() is not None:
        logger.error("telegram command menu broke", exc_info=offering.exception())


def _limits(chat_id: int) -> tuple[RateLimit, ...]:
    """Telegram's: 1 a second in a chat and 20 a minute in a group, edits counted (core.telegram.org/bots/faq)."""
    each = RateLimit(count=1, per=timedelta(seconds=1.02))
    return (each, RateLimit(count=20, per=timedelta(seconds=60.5))) if chat_id < 0 else (each,)
