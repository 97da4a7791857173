"""A strict Slack, a small gateway, and the channel between them, started."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.integrations.slack.channel import Slack
from tests.fakes.door import ANA, SmallDoor
from tests.fakes.slack import FakeSlack
from tests.integrations.slack.notices import section


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK would send even loopback through a proxy of the environment."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fake() -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        yield slack


@pytest.fixture
def door() -> Iterator[SmallDoor]:
    with SmallDoor(people={("slack", "U1"): ANA}) as small:
        yield small


@pytest.fixture
def slack(fake: FakeSlack, door: SmallDoor) -> Iterator[Slack]:
    channel = Slack(section(fake))
    channel.start(door)
    fake.wait(lambda: channel.health_problem() is None, "the introduction")
    yield channel
    channel.stop()


@pytest.fixture
def wired(fake: FakeSlack, door: SmallDoor) -> Iterator[Slack]:
    channel = Slack(section(fake, "socket"))
    channel.start(door)
    fake.wait(lambda: channel.health_problem() is None, "the connection")
    yield channel
    channel.stop()
