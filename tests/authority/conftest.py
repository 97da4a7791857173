"""The ground of each test: a copy of one database in which the same night has happened."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.authority.ground import Ground, Night, copy_of
from tests.authority.ground import night as a_night
from tests.authority.table import KINDS
from tests.fakes.alertmanager import FakeAlertmanager


@pytest.fixture(scope="session")
def night(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    database = tmp_path_factory.mktemp("night") / "vakhta.db"
    shutil.copy(sqlite_template, database)
    with FakeAlertmanager() as fake:
        yield a_night(database, fake)


@pytest.fixture
def ground(night: Night, tmp_path: Path) -> Iterator[Ground]:
    made = copy_of(night, tmp_path / "vakhta.db")
    yield made
    made.close()


@pytest.fixture(scope="session")
def still(night: Night, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """One for all that is refused: each test looks that it has left everything as it was."""
    made = copy_of(night, tmp_path_factory.mktemp("still") / "vakhta.db")
    for who in KINDS.values():
        if who.id:
            made.link_telegram(who)
    made.house.intake.stop()  # no thread of it may outlive the tests that it is for
    yield made
    made.close()
