"""PostgreSQL goes away under the bot and comes back: nothing is lost, and nobody has to restart anything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.alerts.intake import NotStored
from tests.house import House, alert
from tests.postgres import Postgres, cut

pytestmark = pytest.mark.postgres


@pytest.fixture
def url(postgres: Postgres, postgres_template: str) -> str:
    return postgres.url("cut", like=postgres_template)


@pytest.fixture
def house(url: str) -> Iterator[House]:
    made = House(url)
    yield made
    made.close()


def test_after_a_cut_the_next_delivery_is_taken_or_asked_for_again_and_then_taken(house: House, url: str) -> None:
    house.hears(alert(fingerprint="a", group="a"))
    for round_ in range(5):
        cut(url)
        try:
            house.hears(alert(fingerprint=f"b{round_}", group=f"b{round_}"))
        except NotStored:
            assert house.hears(alert(fingerprint=f"b{round_}", group=f"b{round_}")).code == "accepted"

    assert len(house.incidents()) == 6


def test_after_a_cut_people_are_heard_and_messages_go_out(house: House, url: str) -> None:
    house.hears(alert())
    house.drain()
    cut(url)

    reply = house.says("ack 1")
    house.drain()

    assert reply.ok
    assert "edit acknowledged HighErrorRate" in house.slack.said()
