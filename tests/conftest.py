"""The House for every test that asks for it, on SQLite and, where it is installed, on PostgreSQL."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from bot.store import migrating
from bot.store.engine import Store
from tests.house import House
from tests.late import go_ahead
from tests.lending import Lending
from tests.postgres import Postgres, why_not

#: An example has no deadline, and no machine is too slow: a busy one would fail them.
settings.register_profile("vakhta", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("vakhta")

#: Where files are in memory. A commit to SQLite waits for no disk there, and the tests of it take half as long.
_MEMORY = Path("/dev/shm")
_ENOUGH = 4 * 2**30


def _is_fit(folder: Path) -> bool:
    """Containers often have 64 MB there, from which no program may be started."""
    if not os.access(folder, os.W_OK):
        return False
    there = os.statvfs(folder)
    return there.f_bavail * there.f_frsize > _ENOUGH and not there.f_flag & os.ST_NOEXEC


if _is_fit(_MEMORY):
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


@pytest.fixture(scope="session", autouse=True)
def _late() -> None:
    """Under `.ci/late` the clock goes ahead by an hour, after everything was imported and before the first test."""
    if file := os.environ.get("VAKHTA_TESTS_LATE"):
        go_ahead(Path(file))


@pytest.fixture(scope="session", autouse=True)
def _patient_slack() -> Iterator[None]:
    """The channel gives a look at Slack 0.9 s and an answer 1 s; on a busy machine the fake may need longer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bot.integrations.slack.channel._LOOK_UP_S", 30.0)
        patch.setattr("bot.integrations.slack.api._RESPOND_S", 30.0)
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    reason = why_not()
    if reason:
        pytest.skip(f"no PostgreSQL: {reason}")
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database to copy: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("template") / "vakhta.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres: Postgres) -> str:
    url = postgres.url("template")
    _migrate(url)
    return url.rpartition("/")[2]


@pytest.fixture(scope="session")
def lending(postgres: Postgres, postgres_template: str) -> Lending:
    return Lending(postgres, postgres_template)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of this version with nothing in it."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "vakhta.db")
        yield f"sqlite:///{tmp_path}/vakhta.db"
        return
    lending: Lending = request.getfixturevalue("lending")
    url = lending.lend()
    yield url
    lending.take_back(url)


@pytest.fixture
def house(store_url: str) -> Iterator[House]:
    made = House(store_url)
    yield made
    made.close()


def _migrate(url: str) -> None:
    store = Store(url)
    migrating.migrate(store)
    store.close()
