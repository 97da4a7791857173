"""A live answer: the answer of a read-only command is updated while the state that it shows is changing.

The channel shows the first answer itself. Below it one message is edited in place, only when the text has changed,
until the state is stable or 15 minutes are over. Nothing of this is stored: after a restart the updates stop, and the
command has to be typed again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic

from bot.core.channel import Messenger
from bot.core.errors import Rejected, Undelivered
from bot.core.message import Card
from bot.core.plan import Outcome, Result
from bot.core.request import Reply, Request

logger = logging.getLogger(__name__)

#: A chat accepts about one message a second from the bot, for all its messages.
EVERY_S = 5.0
LASTS_S = 15 * 60.0
#: The most live answers at a time; any more are answered once and not updated.
MOST = 8

Inspect = Callable[[], Outcome]


@dataclass
class LiveAnswers:
    """`messengers`: the channels that can post a message on their own, by name; elsewhere an answer is not updated."""

    messengers: Mapping[str, Messenger]
    every_s: float = EVERY_S
    lasts_s: float = LASTS_S
    _stopped: threading.Event = field(default_factory=threading.Event)
    _updating: set[tuple[str, str, str]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reply(self, request: Request, outcome: Outcome, look: Inspect) -> Reply:
        """The reply for that outcome. If it is `live`, updates of it begin."""
        if outcome.live:
            self._begin(request, outcome.message, look)
        return reply_of(outcome)

    def stop(self) -> None:
        """Send no more updates."""
        self._stopped.set()

    def _begin(self, request: Request, shown: str, look: Inspect) -> None:
        channel, key = self.messengers.get(request.channel), (request.channel, request.thread, request.text)
        with self._lock:
            if channel is None or not request.thread or key in self._updating or len(self._updating) >= MOST:
                return
            self._updating.add(key)

        def update() -> None:
            try:
                self._update(channel, request, shown, look)
            except (Rejected, Undelivered) as trouble:
                logger.info(
                    "a live answer is no longer updated", extra={"place": request.channel, "why": trouble.message}
                )
            except Exception:
                # The edge of a thread of its own: nobody waits for it.
                logger.exception("a live answer cannot be updated", extra={"place": request.channel})
            finally:
                with self._lock:
                    self._updating.discard(key)

        threading.Thread(target=update, name=f"live-answer-{request.channel}", daemon=True).start()

    def _update(self, channel: Messenger, request: Request, shown: str, look: Inspect) -> None:
        until, ref, live = monotonic() + self.lasts_s, "", True
        while live and monotonic() < until and not self._stopped.wait(self.every_s):
            found = look()
            live = found.live
            if found.message != shown:
                shown = found.message
                ref = channel.post(f"{request.text}: {shown}", request.thread, instead_of=ref)


def reply_of(outcome: Outcome) -> Reply:
    """The outcome as text, and as a card if it has buttons."""
    title, *lines = outcome.message.splitlines() or [""]
    card = Card(title=title, lines=tuple(lines), buttons=outcome.buttons) if outcome.buttons else None
    return Reply(text=outcome.message, ok=outcome.result is Result.DONE, card=card)
