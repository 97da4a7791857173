"""A live redis-server of its own for each test, and its store."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integrations.redis.ground import RedisGround

_NEEDED = ("redis-server", "redis-cli", "redis-check-rdb")


@pytest.fixture
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisGround]:
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (Debian packages redis-server and redis-tools)")
    place: Path = tmp_path_factory.mktemp("r")  # short: it holds sockets
    with RedisGround(place) as made:
        yield made
