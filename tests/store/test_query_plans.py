"""No statement of a night's work scans a whole table, so a night after a million alerts is as fast as the first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace

from bot.core.errors import Refusal
from bot.store import channel_health, incident_lists
from bot.store.sql import Cursor, Sql
from tests.house import ANA, House, alert, down
from tests.postgres import Postgres

_LARGE = "alert|incident|event|delivery|seen|quarantine"
#: What may: ids are read off the end of their table, and forgetting is once a minute.
_WHOLE = re.compile(rf"\bSCAN (?:{_LARGE}|[adecbi])\b(?! USING (?:COVERING )?INDEX)")

_READS_ALL = re.compile(rf"Seq Scan on (?:{_LARGE})\b|Hash Join|Merge Join")


@pytest.fixture
def house(sqlite_template: Path, tmp_path: Path) -> Iterator[House]:
    path = tmp_path / "vakhta.db"
    path.write_bytes(sqlite_template.read_bytes())
    made = House(f"sqlite:///{path}")
    yield made
    made.close()


def test_no_statement_reads_a_whole_table(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Sequence[object]] = {}
    execute = Sql._execute

    def note(sql: Sql, statement: str, values: Sequence[object]) -> Cursor:
        asked.setdefault(statement, values)
        return execute(sql, statement, values)

    monkeypatch.setattr(Sql, "_execute", note)
    _a_night(house)
    monkeypatch.undo()

    with house.store.begin() as tx:
        plans = {
            statement: " / ".join(str(row[3]) for row in tx.sql.rows(f"EXPLAIN QUERY PLAN {statement}", *values))
            for statement, values in asked.items()
            if statement.startswith(("SELECT", "UPDATE", "DELETE", "INSERT"))
        }
    assert len(plans) > 30
    assert {statement: plan for statement, plan in plans.items() if _WHOLE.search(plan)} == {}


@pytest.mark.postgres
def test_postgres_reads_no_whole_table_either_while_it_knows_nothing_of_their_size(
    postgres: Postgres, postgres_template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan made for an empty table is kept while a storm fills it: the first storm got slower with each alert."""
    asked: dict[str, Sequence[object]] = {}
    execute = psycopg.Cursor.execute

    def note(cursor: Any, statement: Any, values: Sequence[object] = ()) -> object:
        if isinstance(statement, str):
            asked.setdefault(statement, values)
        return execute(cursor, statement, values)

    house = House(postgres.url("plans", like=postgres_template))
    monkeypatch.setattr(psycopg.Cursor, "execute", note)
    _a_night(house)
    monkeypatch.undo()

    with house.store.begin() as tx:
        tx.sql.run("SET LOCAL plan_cache_mode = force_generic_plan")
        plans = {}
        for number, (statement, values) in enumerate(asked.items()):
            if statement.startswith(("SELECT", "UPDATE", "DELETE", "INSERT", "WITH")):
                tx.sql.run(f"PREPARE p{number} AS {statement}")
                given = f"({', '.join(['NULL'] * len(values))})" if values else ""
                told = tx.sql.rows(f"EXPLAIN EXECUTE p{number}{given}")
                plans[statement] = " / ".join(str(row[0]) for row in told)
    house.close()
    assert len(plans) > 30
    assert {statement: plan for statement, plan in plans.items() if _READS_ALL.search(plan)} == {}


def _a_night(house: House) -> None:
    """Everything that happens to incidents, deliveries and people."""
    house.hears(alert("A", fingerprint="a"), alert("B", fingerprint="b"))
    house.hears(alert("A", fingerprint="a", firing=False))
    house.hears(alert("A", fingerprint="a"))
    house.hears(replace(alert("B", fingerprint="b"), annotations={"summary": "another text"}))
    house.cannot_read(b"{")
    house.says("ack 1", once="x")
    house.says("note 1 hm", place="telegram", once="y")
    house.says("incidents")
    house.on_call = {"prod/api": ["ana"], "prod/db": ["ana"]}
    house.settle({("slack", "U1"): ANA})
    house.says("home")
    house.says("resolve 1", place="pagerduty")
    house.pagerduty.fail_with = [down()]
    house.slack.fail_with = [down("no", permanent=True)]
    house.drain()
    house.clock.pass_by(seconds=50)
    watch = house.watch
    for tick in (
        watch.release_leases,
        watch.report_late_pages,
        watch.accept_doubted_alerts,
        watch.look_at_due_incidents,
        watch.correct_deadlines,
    ):
        tick()
    _a_channel_in_trouble(house)
    with house.store.read() as reading:
        reading.incidents()
        reading.incidents(status=house.incident().status, before=100)
        reading.alerts(1)
        reading.events(1)
        reading.events_since(0, 10)
        reading.newest_event()
        reading.deliveries(1)
        reading.outbox_size()
        reading.unheard_incidents(10)
        reading.firing_alerts(1)
        reading.paged_as("x")
        reading.standing_at("slack", "x")
        incident_lists.by_severity(reading.sql, 50)
        incident_lists.by_severity(reading.sql, 50, after=(1, 7), status=house.incident().status)
        incident_lists.count_unresolved(reading.sql)
        incident_lists.firing_since(reading.sql, [1, 2])


def _a_channel_in_trouble(house: House) -> None:
    """It pauses, refuses, is tried again, and makes good what it missed."""
    house.says("reopen 1")
    house.says("note 1 hm")
    house.pagerduty.fail_with = [down("401", refused=Refusal.KEY)]
    house.slack.fail_with = [down("kicked", refused=Refusal.PLACE), down("429", after=timedelta(hours=1))]
    house.drain()
    house.clock.pass_by(hours=2)
    house.says("resend 1")
    house.watch.try_refusing_channels()
    house.drain()
    with house.store.read() as reading:
        channel_health.troubles(reading.sql)
        channel_health.pauses(reading.sql, house.clock.at)
