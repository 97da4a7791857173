"""An answer that moves: what a question found is told again as the world goes on, until it rests or nobody can care.

The answer itself is the channel's to show; below it one message is edited in place, and only when there is something
new. Nothing of this is stored: it is lost at a restart, and whoever still wants to know asks again.
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

#: A chat takes one message a second from us for everything.
EVERY_S = 5.0
LASTS_S = 15 * 60.0
#: So many answers at a time; more are told once, as they are.
MOST = 8

Inspect = Callable[[], Outcome]


@dataclass
class LiveAnswers:
    """`messengers`: the channels that can say a line of their own, by name; elsewhere an answer is told once."""

    messengers: Mapping[str, Messenger]
    every_s: float = EVERY_S
    lasts_s: float = LASTS_S
    _over: threading.Event = field(default_factory=threading.Event)
    _places: set[tuple[str, str, str]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reply(self, request: Request, outcome: Outcome, look: Inspect) -> Reply:
        """What was found, as the reply; from here on it is followed where it moves."""
        if outcome.live:
            self._begin(request, outcome.message, look)
        return reply_of(outcome)

    def stop(self) -> None:
        """Tell nothing more."""
        self._over.set()

    def _begin(self, request: Request, shown: str, look: Inspect) -> None:
        channel, key = self.messengers.get(request.channel), (request.channel, request.thread, request.text)
        with self._lock:
            if channel is None or not request.thread or key in self._places or len(self._places) >= MOST:
                return
            self._places.add(key)

        def act() -> None:
            try:
                self._follow(channel, request, shown, look)
            except (Rejected, Undelivered) as trouble:
                logger.info("an answer is no longer followed", extra={"place": request.channel, "why": trouble.message})
            except Exception:
                # The edge of a path of its own: nobody waits for it.
                logger.exception("an answer cannot be followed", extra={"place": request.channel})
            finally:
                with self._lock:
                    self._places.discard(key)

        threading.Thread(target=act, name=f"following-{request.channel}", daemon=True).start()

    def _follow(self, channel: Messenger, request: Request, shown: str, look: Inspect) -> None:
        until, ref, moves = monotonic() + self.lasts_s, "", True
        while moves and monotonic() < until and not self._over.wait(self.every_s):
            found = look()
            moves = found.live
            if found.message != shown:
                shown = found.message
                ref = channel.post(f"{request.text}: {shown}", request.thread, instead_of=ref)


def reply_of(outcome: Outcome) -> Reply:
    """As text; as a card where there is something to press."""
    title, *lines = outcome.message.splitlines() or [""]
    card = Card(title=title, lines=tuple(lines), buttons=outcome.buttons) if outcome.buttons else None
    return Reply(text=outcome.message, ok=outcome.result is Result.DONE, card=card)
