"""A copy's data is read over a real PostgreSQL: by the store's url, in which {name} stands for the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest

from bot.core.backup import Check, CheckResult, RestoreTask
from tests.integrations.cloudnativepg.conftest import COPY, CnpgGround
from tests.postgres import Postgres

pytestmark = pytest.mark.waits
_CHECKS = (
    Check(name="orders", query="SELECT count(*) FROM bought", like_live=True),
    Check(name="items", query="SELECT count(*) FROM bought", expect="100", tolerance_percent=1),
)


@dataclass
class Databases:
    """One for the live cluster and one for its copy, in a server that both share: they have one system identifier."""

    admin: str
    ground: CnpgGround

    def execute(self, statement: str, database: str) -> object:
        with psycopg.connect(self.admin.replace("{name}", database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchone() if cursor.description else None

    def copied(self) -> RestoreTask:
        """Restored by the fake's operator, with the rows as they are now."""
        self.ground.backed_up()
        task = self.ground.task()
        self.ground.engine.begin(task)
        self.ground.ended(task)
        self.execute(f'CREATE DATABASE "{COPY}" TEMPLATE orders', "postgres")
        return task

    def results(self, task: RestoreTask) -> dict[str, CheckResult]:
        return {one.name: one for one in self.ground.engine.verify(task, _CHECKS, lambda _: None)}


@pytest.fixture
def databases(ground: CnpgGround, postgres: Postgres) -> Iterator[Databases]:
    made = Databases(f"postgresql://vakhta@127.0.0.1:{postgres.port}/{{name}}", ground)
    made.execute("CREATE DATABASE orders", "postgres")
    try:
        made.execute("CREATE TABLE bought AS SELECT generate_series(1, 100) AS id", "orders")
        told = made.execute("SELECT system_identifier::text FROM pg_control_system()", "orders")
        assert isinstance(told, tuple)
        ground.operator.system_id = told[0]
        ground.fake.change("Cluster", "orders", {"status": {"systemID": told[0]}}, sub="status")
        ground.said["url"] = made.admin
        yield made
    finally:
        for name in (COPY, "orders"):
            made.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', "postgres")


def test_a_whole_copy_passes_every_check_and_brings_the_sentinel_back(databases: Databases) -> None:
    engine = databases.ground.engine
    engine.write_sentinel("token-1")

    task = databases.copied()

    results = databases.results(task)
    assert [f"{one.name}: {one.got}" for one in results.values() if not one.ok] == []
    assert {"orders", "items", "every row can be read", "system identifier"} <= results.keys()
    assert list(engine.read_sentinels(task)) == ["token-1"]


def test_rows_that_are_missing_and_another_server_are_found(databases: Databases) -> None:
    task = databases.copied()
    databases.execute("DELETE FROM bought WHERE id > 50", COPY)
    databases.ground.fake.change("Cluster", COPY, {"status": {"systemID": "1"}}, sub="status")

    results = databases.results(task)

    assert (results["orders"].got, results["orders"].ok, results["items"].ok) == ("50", False, False)
    assert not results["system identifier, by the operator"].ok
