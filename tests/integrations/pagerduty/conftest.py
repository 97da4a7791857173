"""PagerDuty's fake, and a started channel in front of it that may not look things up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.integrations.pagerduty.channel import PagerDuty
from tests.fakes.door import ANA, SmallDoor
from tests.fakes.pagerduty import FakePagerDuty
from tests.integrations.contract import INCIDENT
from tests.integrations.pagerduty.bench import PAGE_KEY, section


@pytest.fixture
def fake() -> Iterator[FakePagerDuty]:
    with FakePagerDuty() as fake:
        yield fake


@pytest.fixture
def door() -> Iterator[SmallDoor]:
    with SmallDoor(people={("pagerduty", "PANA"): ANA}, paged={PAGE_KEY: INCIDENT}) as door:
        yield door


@pytest.fixture
def channel(fake: FakePagerDuty, door: SmallDoor) -> Iterator[PagerDuty]:
    channel = PagerDuty(section(fake))
    channel.start(door)
    yield channel
    channel.stop()
