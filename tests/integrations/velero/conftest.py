"""`ground`: a cluster with Velero; `ground_by_files`: one where it reads volumes through pods."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integrations.velero.ground import Ground, ground


@pytest.fixture(name="ground")
def _ground(tmp_path: Path) -> Iterator[Ground]:
    with ground(tmp_path) as made:
        yield made


@pytest.fixture(name="ground_by_files")
def _ground_by_files(tmp_path: Path) -> Iterator[Ground]:
    with ground(tmp_path, how="file system") as made:
        yield made
