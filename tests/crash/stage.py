"""One play of a bad hour, with a bot that may die in it: who sends, who acknowledges, and who is told.

Four groups fire at once from threads of their own; one of them ends, one grows worse, two are repeated. Both channels
fail once. A person acknowledges one incident and resolves another, and presses again when nothing came back.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.crash.born import Unhurried
from tests.crash.ledger import Ledger
from tests.crash.senders import Episode, Group, Sender
from tests.e2e.ground import channels
from tests.fakes.pagerduty import FakePagerDuty
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_values import Message
from tests.running import send, until

#: Names that are in no other's name, nor in anything that a card says.
ACKED, ENDED, WORSE, PLAIN = Group(name="Azimuth"), Group(name="Bollard"), Group(name="Capstan"), Group(name="Davit")

#: What each incident has to be in the end, and how many of its alerts fire.
TRUTH = {ACKED: ("acknowledged", 1), ENDED: ("resolved", 0), WORSE: ("resolved", 2), PLAIN: ("open", 3)}

#: How a card says that state.
SHOWN = {"open": "nobody has it yet", "acknowledged": "Ana has it", "resolved": "RESOLVED"}


class Stage:
    """The bot and its surroundings. `begin` starts the play; `finish` waits for its end, and until nothing is owed."""

    def __init__(self, bot: Unhurried, slack: FakeSlack, pagerduty: FakePagerDuty) -> None:
        self.bot = bot
        self.slack = slack
        self.pagerduty = pagerduty
        self.ledger = Ledger(bot.store)
        self.sender = Sender(bot.url)
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="play")
        self._parts: list[Future[None]] = []

    def begin(self) -> None:
        for part in (self._acknowledged, self._ended, self._worse, self._plain):
            self._parts.append(self._pool.submit(part))

    def finish(self) -> None:
        for part in self._parts:
            part.result(timeout=60)
        until(lambda: not self.ledger.unsent(), "nothing is owed any more")

    def reached(self) -> bool:
        """Whether the armed failpoint was."""
        return "failpoint reached" in self.bot.said()

    def left(self) -> bool:
        """Whether a stalled thread has gone on."""
        return "failpoint left" in self.bot.said()

    def ahead(self) -> set[Episode]:
        """What was answered 2xx and is not stored: never anything, at whatever moment one looks."""
        accepted = set(self.sender.accepted)
        return accepted - self.ledger.episodes()

    def cards(self, group: Group) -> list[Message]:
        return [one for one in self.slack.messages if one.thread_ts is None and group.name in one.shown]

    def close(self) -> None:
        self.sender.giving_up.set()
        self._pool.shutdown()

    def _acknowledged(self) -> None:
        self.sender.tell(ACKED, [1])
        self.sender.tell(ACKED, [1])
        self._wait_for_card(ACKED)
        self.pagerduty.answer_next(status=503)
        self.slack.answer_next(status=503, path="chat.update")
        self._press("Acknowledge", ACKED)

    def _ended(self) -> None:
        self.sender.tell(ENDED, [1, 2])
        self.sender.tell(ENDED, [1, 2], firing=False)

    def _worse(self) -> None:
        self.sender.tell(WORSE, [1], severity="warning")
        self.sender.tell(WORSE, [1, 2], severity="critical")
        self._wait_for_card(WORSE)
        self._press("Resolve", WORSE)

    def _plain(self) -> None:
        self.sender.tell(PLAIN, [1, 2, 3])
        self.sender.tell(PLAIN, [1, 2, 3])

    def _wait_for_card(self, group: Group) -> None:
        until(lambda: bool(self.cards(group)) or self.sender.giving_up.is_set(), f"the card of {group.name} is there")

    def _press(self, label: str, group: Group) -> None:
        """Again and again, the same act as Slack knows it, until it is answered."""
        card = self.cards(group)[0]
        words = str(card.buttons[label]["value"])
        spoken = self.slack.press(words, message=card.ts)
        while not self.sender.giving_up.is_set():
            headers, body = self.slack.sign(spoken)
            status = send(f"{self.bot.url}/in/slack", body, headers)
            if status == 200:
                return
            assert status == 0 or status >= 500, f"the press was answered {status}"
            self.sender.giving_up.wait(0.05)


@contextmanager
def stage(place: Path, *, store: str = "") -> Iterator[Stage]:
    """Everything is there but the bot, which the test starts. `store`: PostgreSQL's URL, else SQLite."""
    with ExitStack() as stack:
        slack, pagerduty = stack.enter_context(FakeSlack()), stack.enter_context(FakePagerDuty(limited=False))
        bot = Unhurried(place, channels(slack, pagerduty), store=store)
        stack.enter_context(bot)
        made = Stage(bot, slack, pagerduty)
        stack.callback(made.close)
        yield made
