"""Two bots on one PostgreSQL: an alert sent to both is one incident, and each message is sent by one of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from bot.app.bot import Bot
from bot.config.settings import Settings
from bot.core.channel import RateLimit
from bot.store.engine import Store, Unavailable
from tests.house import House, alert
from tests.postgres import Postgres

pytestmark = [pytest.mark.postgres, pytest.mark.waits]


@pytest.fixture
def replicas(postgres: Postgres, postgres_template: str) -> Iterator[tuple[House, House]]:
    url = postgres.url("pair", like=postgres_template)
    pair = (House(url), House(url))
    yield pair
    for one in pair:
        one.close()


def at_once(*acts: Callable[[], object]) -> None:
    threads = [threading.Thread(target=act) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_both_hear_the_same_alerts_at_once_and_one_incident_a_group_opens(replicas: tuple[House, House]) -> None:
    def hear(house: House) -> None:
        for number in range(40):
            house.hears(alert(fingerprint=str(number), group=f"group-{number % 4}"))

    at_once(*(lambda house=house: hear(house) for house in replicas))

    assert [(one.firing, one.total) for one in replicas[0].incidents()] == [(10, 10)] * 4


def test_each_page_is_sent_by_one_of_them(replicas: tuple[House, House]) -> None:
    for number in range(20):
        replicas[number % 2].hears(alert(fingerprint=str(number), group=str(number)))

    at_once(*(lambda house=house: house.drain(house.pagerduty) for house in replicas))

    sent = [notice.key for house in replicas for notice in house.pagerduty.given]
    assert len(sent) == len(set(sent)) == 20


def test_they_share_a_channels_quota(replicas: tuple[House, House]) -> None:
    for number in range(10):
        replicas[0].hears(alert(fingerprint=str(number), group=str(number)))
    for house in replicas:
        house.slack.limits = (RateLimit(count=3, per=timedelta(seconds=60)),)

    at_once(*(lambda house=house: house.drain(house.slack) for house in replicas))

    assert sum(len(house.slack.given) for house in replicas) == 3


def test_two_people_in_two_chats_ack_at_once_and_one_has_it(replicas: tuple[House, House]) -> None:
    replicas[0].hears(alert())

    at_once(
        lambda: replicas[0].says("ack 1", once="a"),
        lambda: replicas[1].says("ack 1", place="telegram", once="b"),
    )

    acked = [event for event in replicas[0].story() if event.type == "incident.acked"]
    assert [event.by for event in acked] == ["ana"]


def test_a_replica_starts_though_another_froze_inside_a_transaction(
    postgres: Postgres, postgres_template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One attempt waits for the lock for a shorter time than the database lets a frozen session keep it."""
    url = postgres.url("frozen", like=postgres_template)
    monkeypatch.setattr("bot.store.timeouts.LOCK_TIMEOUT_S", 0.8)
    monkeypatch.setattr("bot.store.timeouts.IDLE_TIMEOUT_S", 1.0)
    frozen = Store(url)
    bot = Bot(Settings.model_validate({"server": {"listen": "127.0.0.1:0"}, "store": {"url": url}}))

    def freeze() -> None:
        with frozen.begin():
            bot.start()

    try:
        with pytest.raises(Unavailable):
            freeze()
        assert bot.web.alive()
    finally:
        bot.stop()
        frozen.close()
