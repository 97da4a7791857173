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

from bot.acts import Ended, Outcome
from bot.model import Ask, Card, Reply
from bot.ports import Rejected, Speaks, Undelivered

logger = logging.getLogger(__name__)

#: A chat takes one message a second from us for everything.
EVERY_S = 5.0
LASTS_S = 15 * 60.0
#: So many answers at a time; more are told once, as they are.
MOST = 8

Look = Callable[[], Outcome]


@dataclass
class Following:
    """`speaks`: the channels that can say a line of their own, by name; elsewhere an answer is told once."""

    speaks: Mapping[str, Speaks]
    every_s: float = EVERY_S
    lasts_s: float = LASTS_S
    _over: threading.Event = field(default_factory=threading.Event)
    _places: set[tuple[str, str, str]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, ask: Ask, outcome: Outcome, look: Look) -> Reply:
        """What was found, as the reply; from here on it is followed where it moves."""
        if outcome.moves:
            self._begin(ask, outcome.said, look)
        return reply_of(outcome)

    def stop(self) -> None:
        """Tell nothing more."""
        self._over.set()

    def _begin(self, ask: Ask, shown: str, look: Look) -> None:
        channel, key = self.speaks.get(ask.place), (ask.place, ask.spot, ask.words)
        with self._lock:
            if channel is None or not ask.spot or key in self._places or len(self._places) >= MOST:
                return
            self._places.add(key)

        def act() -> None:
            try:
                self._follow(channel, ask, shown, look)
            except (Rejected, Undelivered) as trouble:
                logger.info("an answer is no longer followed", extra={"place": ask.place, "why": trouble.said})
            except Exception:
                # The edge of a path of its own: nobody waits for it.
                logger.exception("an answer cannot be followed", extra={"place": ask.place})
            finally:
                with self._lock:
                    self._places.discard(key)

        threading.Thread(target=act, name=f"following-{ask.place}", daemon=True).start()

    def _follow(self, channel: Speaks, ask: Ask, shown: str, look: Look) -> None:
        until, ref, moves = monotonic() + self.lasts_s, "", True
        while moves and monotonic() < until and not self._over.wait(self.every_s):
            found = look()
            moves = found.moves
            if found.said != shown:
                shown = found.said
                ref = channel.say(f"{ask.words}: {shown}", ask.spot, instead_of=ref)


def reply_of(outcome: Outcome) -> Reply:
    """As text; as a card where there is something to press."""
    title, *lines = outcome.said.splitlines() or [""]
    card = Card(title=title, lines=tuple(lines), buttons=outcome.buttons) if outcome.buttons else None
    return Reply(said=outcome.said, ok=outcome.ended is Ended.DONE, card=card)
