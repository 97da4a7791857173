"""A channel that listens to a fake Telegram, and the gateway behind it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.integrations.telegram.channel import Telegram
from tests.fakes.door import ANA, SmallDoor
from tests.fakes.telegram import FakeTelegram
from tests.integrations.telegram.room import CHAT, hears, listening


@pytest.fixture
def fake() -> Iterator[FakeTelegram]:
    with FakeTelegram(chat_id=CHAT, topics=frozenset({7})) as fake:
        yield fake


@pytest.fixture
def door() -> Iterator[SmallDoor]:
    with SmallDoor(people={("telegram", "1001"): ANA}, standing={("telegram", "-1001:600"): 42}) as door:
        yield door


@pytest.fixture
def channel(fake: FakeTelegram, door: SmallDoor) -> Iterator[Telegram]:
    with listening(fake, door) as channel:
        fake.wait(lambda: hears(channel), "the channel is open")
        yield channel
