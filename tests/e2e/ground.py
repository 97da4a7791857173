"""All of it at once: a shop that Prometheus watches, Alertmanager, the bot as a process, and who is told by it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.monitoring import Alertmanager, Prometheus, Shop
from tests.fakes.pagerduty import API_TOKEN, ROUTING_KEY, WEBHOOK_SECRET, FakePagerDuty
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_values import Message
from tests.running import Vakhta, free_port, send, until


@dataclass(kw_only=True)
class Ground:
    """Nothing but the fakes runs yet: a test starts what it wants, in the order that it is about."""

    shop: Shop
    slack: FakeSlack
    pagerduty: FakePagerDuty
    bot: Vakhta
    alertmanagers: list[Alertmanager]
    prometheus: Prometheus

    def cards(self) -> list[Message]:
        return [message for message in self.slack.messages if message.thread_ts is None]

    def card_says(self, name: str, said: str) -> bool:
        """Whether the card with that name in it says so by now."""
        return any(name in card.shown and said in card.shown for card in self.cards())

    def press(self, label: str, name: str) -> int:
        """Somebody presses that button on the card with that name in it; returns the answer's status."""
        card = next(card for card in self.cards() if name in card.shown)
        words = str(card.buttons[label]["value"])
        headers, body = self.slack.sign(self.slack.press(words, message=card.ts))
        return send(f"{self.bot.url}/in/slack", body, headers)

    def start(self) -> None:
        """All of it together, because Prometheus takes five seconds before it looks at anything."""
        for program in (self.prometheus, self.bot, *self.alertmanagers):
            program.begin()
        for program in (self.prometheus, self.bot, *self.alertmanagers):
            program.wait_ready()

    def told(self, what: str, count: int = 1) -> None:
        """Wait until PagerDuty was told that, this often: opened, folded, acknowledged, resolved."""
        until(
            lambda: self.pagerduty.became().count(what) >= count, f"PagerDuty: {what} (has {self.pagerduty.became()})"
        )


@contextmanager
def ground(place: Path, *, cluster: bool = False, own_pager: bool = False) -> Iterator[Ground]:
    """`cluster`: two Alertmanagers that know each other; `own_pager`: Alertmanager pages by itself as well."""
    with ExitStack() as stack:
        shop, slack = stack.enter_context(Shop()), stack.enter_context(FakeSlack())
        pagerduty = stack.enter_context(FakePagerDuty(limited=False))
        bot = stack.enter_context(Vakhta(place, channels(slack, pagerduty)))
        pager = pagerduty if own_pager else None
        one, other = free_port(), free_port()
        clusters = ((one, other), (other, one)) if cluster else ((),)
        senders = [stack.enter_context(Alertmanager(place, bot, cluster=ports, pager=pager)) for ports in clusters]
        prometheus = stack.enter_context(Prometheus(place, shop, senders))
        yield Ground(shop=shop, slack=slack, pagerduty=pagerduty, bot=bot, alertmanagers=senders, prometheus=prometheus)


def channels(slack: FakeSlack, pagerduty: FakePagerDuty) -> dict[str, object]:
    """The settings' section that points at these fakes."""
    chat = {
        "bot_token": slack.bot_token,
        "signing_secret": slack.workspace.secret,
        "team_id": slack.workspace.team_id,
        "channel": slack.workspace.channel,
        "api_url": slack.api_url,
        "mode": "http",
    }
    return {"slack": chat, **pager(pagerduty)}


def pager(pagerduty: FakePagerDuty) -> dict[str, object]:
    """The same, with nothing but the pager."""
    section = {
        "routing_key": ROUTING_KEY,
        "api_token": API_TOKEN,
        "webhook_secrets": [WEBHOOK_SECRET],
        "events_url": pagerduty.url,
        "api_url": pagerduty.url,
    }
    return {"pagerduty": section}
