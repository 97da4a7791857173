from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integrations.postgres.shop import Shop, opened
from tests.postgres import Postgres


@pytest.fixture
def shop(postgres: Postgres, tmp_path: Path) -> Iterator[Shop]:
    """A live database of its own, on the server of all tests."""
    folder = tmp_path / "archives"
    folder.mkdir()
    with opened(postgres, folder) as made:
        yield made
