"""Rows of the audit log's tables can be inserted, and neither changed nor deleted, on both databases."""

from __future__ import annotations

import secrets
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from bot.core.audit import AuditEntry, Code
from bot.store import audit_checkpoints, audit_log, audit_seals
from bot.store.audit_log import EntryFilter
from bot.store.engine import Store
from tests.docs.papers import ROOT, fences, section
from tests.house import NOON
from tests.postgres import Postgres

_TABLES = ("audit_entry", "audit_seal", "audit_checkpoint", "audit_anchor")
_KEY = {"audit_entry": "id", "audit_seal": "pos", "audit_checkpoint": "size", "audit_anchor": "id"}
_DENIALS = (sqlite3.IntegrityError, psycopg.errors.RaiseException)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with _filled(store_url) as made:
        yield made


@pytest.fixture
def on_sqlite(sqlite_template: Path, tmp_path: Path) -> Iterator[Store]:
    path = shutil.copy(sqlite_template, tmp_path / "vakhta.db")
    with _filled(f"sqlite:///{path}") as made:
        yield made


@pytest.fixture
def on_postgres(postgres: Postgres, postgres_template: str) -> Iterator[Store]:
    with _filled(postgres.url("guards", like=postgres_template)) as made:
        yield made


@contextmanager
def _filled(url: str) -> Iterator[Store]:
    """With a row in each of the four."""
    made = Store(url, now=lambda: NOON)
    with made.begin() as tx:
        audit_log.append(tx, [AuditEntry(code=Code.STARTED, by="bot", message="It began.")])
        tx.sql.insert("audit_seal", ("pos", "entry_id", "leaf"), [(0, 1, b"leaf")])
        checkpoint = ("size", "root", "at", "key_id", "note", "frontier")
        tx.sql.insert("audit_checkpoint", checkpoint, [(1, b"root", 1, "key", "note", b"f")])
        tx.sql.insert("audit_anchor", ("size", "sink", "at", "receipt"), [(1, "file", 1, "")])
    yield made
    made.close()


def _do(store: Store, statement: str) -> None:
    with store.begin() as tx:
        tx.sql.run(statement)


def _rows(store: Store) -> list[object]:
    with store.begin() as tx:
        return [[tuple(map(_plain, row)) for row in tx.sql.rows(f"SELECT * FROM {one}")] for one in _TABLES]


def _plain(value: object) -> object:
    return bytes(value) if isinstance(value, memoryview) else value


_UPDATES: dict[str, Callable[[str], str]] = {
    "update": lambda table: f"UPDATE {table} SET {_KEY[table]} = 7",
    "delete": lambda table: f"DELETE FROM {table}",
    "upsert": lambda table: (
        f"INSERT INTO {table} SELECT * FROM {table} WHERE {_KEY[table]} < 9"
        f" ON CONFLICT ({_KEY[table]}) DO UPDATE SET {_KEY[table]} = 7"
    ),
}


@pytest.mark.parametrize("how", _UPDATES)
@pytest.mark.parametrize("table", _TABLES)
def test_a_row_is_neither_changed_nor_taken_out(store: Store, table: str, how: str) -> None:
    before = _rows(store)

    with pytest.raises(_DENIALS, match=f"{table} is insert-only"):
        _do(store, _UPDATES[how](table))

    assert _rows(store) == before


@pytest.mark.parametrize("table", _TABLES)
def test_sqlite_replaces_no_row(on_sqlite: Store, table: str) -> None:
    before = _rows(on_sqlite)

    for how in ("REPLACE", "INSERT OR REPLACE", "INSERT OR IGNORE"):
        with pytest.raises(_DENIALS, match=f"{table} is insert-only"):
            _do(on_sqlite, f"{how} INTO {table} SELECT * FROM {table}")
    with pytest.raises(_DENIALS, match=f"{table} is insert-only"):
        _do(on_sqlite, f"UPDATE OR REPLACE {table} SET {_KEY[table]} = 7")

    assert _rows(on_sqlite) == before


@pytest.mark.parametrize("columns", ["id, uid", "-1, uid", "id, 'other'"])
def test_sqlite_replaces_no_entry_by_what_is_unique_in_it(on_sqlite: Store, columns: str) -> None:
    with pytest.raises(_DENIALS, match="insert-only: no REPLACE"):
        _do(
            on_sqlite,
            f"REPLACE INTO audit_entry SELECT {columns}, at, code, run, incident_id, 'by', verb, target, place, body"
            " FROM audit_entry",
        )


def test_sqlite_keeps_its_guard_for_a_program_that_does_not_know_of_it(on_sqlite: Store) -> None:
    """One that leaves recursive triggers off, as SQLite does by default."""
    with (
        sqlite3.connect(on_sqlite.url.database or "") as other,
        pytest.raises(sqlite3.IntegrityError, match="no REPLACE"),
    ):
        other.execute("REPLACE INTO audit_entry SELECT * FROM audit_entry")
    other.close()


@pytest.mark.parametrize("table", _TABLES)
@pytest.mark.postgres
def test_postgresql_empties_no_table(on_postgres: Store, table: str) -> None:
    before = _rows(on_postgres)

    with pytest.raises(_DENIALS, match=f"{table} is insert-only: no TRUNCATE"):
        _do(on_postgres, f"TRUNCATE {table} CASCADE" if table != "audit_entry" else "TRUNCATE audit_entry, audit_seal")

    assert _rows(on_postgres) == before


@pytest.mark.postgres
def test_postgresql_guards_also_from_a_session_that_calls_itself_a_replica(on_postgres: Store) -> None:
    def as_replica() -> None:
        with on_postgres.begin() as tx:
            tx.sql.run("SET LOCAL session_replication_role = replica")
            tx.sql.run("DELETE FROM audit_entry")

    with pytest.raises(_DENIALS, match="insert-only"):
        as_replica()


def test_what_was_recorded_comes_back_in_order_and_by_what_is_asked(store: Store) -> None:
    told = [
        AuditEntry(code=Code.INTENT, by="ana", message="It is about to be done.", run="r1", incident_id=42),
        AuditEntry(code=Code.DONE, by="ana", message="Done.", run="r1", incident_id=42),
        AuditEntry(code=Code.DENIED, by="bo", message="No.", incident_id=7),
    ]
    with store.begin() as tx:
        uids = audit_log.append(tx, told)

    with store.read() as seen:
        all_of_them = audit_log.entries(seen.sql, EntryFilter())
        assert [one.uid for one in all_of_them][1:] == list(uids)
        assert [one.pos for one in all_of_them] == [0, None, None, None]
        assert [one.leaf for one in all_of_them] == [b"leaf", None, None, None]
        assert [one.id for one in audit_log.entries(seen.sql, EntryFilter(incident_id=42), after=2)] == [3]
        assert [one.id for one in audit_log.newest(seen.sql, EntryFilter(run="r1"))] == [3, 2]
        assert [one.id for one in audit_log.newest(seen.sql, EntryFilter(code="VK101W"), before=4)] == []
        assert [one.id for one in audit_log.newest(seen.sql, EntryFilter(since=NOON, until=NOON))] == []
        assert len(audit_log.entries(seen.sql, EntryFilter(since=NOON), limit=2)) == 2


def test_an_entry_is_in_the_commit_of_what_it_tells_or_not_there(store: Store) -> None:
    def half() -> None:
        with store.begin() as tx:
            audit_log.append(tx, [AuditEntry(code=Code.DONE, by="ana", message="Done.")])
            raise KeyError

    with pytest.raises(KeyError):
        half()

    with store.read() as seen:
        assert len(audit_log.entries(seen.sql, EntryFilter())) == 1


@pytest.mark.postgres
def test_a_role_that_is_granted_what_the_page_says_can_seal_and_cannot_switch_the_guards_off(
    on_postgres: Store,
) -> None:
    role = f"bot_{secrets.token_hex(4)}"
    grants = fences(section((ROOT / "docs/audit.md").read_text(), "Guards"), "sql")[0].replace("vakhta_bot", role)
    for statement in (f"CREATE ROLE {role}", *filter(str.strip, grants.split(";"))):
        _do(on_postgres, statement)

    with on_postgres.begin() as tx:
        tx.sql.run(f"SET LOCAL ROLE {role}")
        audit_log.append(tx, [AuditEntry(code=Code.STOPPED, by="bot", message="It ended.")])
        (found,) = tx.sql.rows("SELECT id, uid, at, code, body, NULL FROM audit_entry WHERE id > 1")
        assert audit_seals.seal(tx, [audit_seals._entry(found)]).first == 1
        audit_checkpoints.put_anchor(tx, 2, "file", "")

    for statement in (
        "ALTER TABLE audit_entry DISABLE TRIGGER ALL",
        "DROP TRIGGER audit_entry_no_change ON audit_entry",
        "DROP FUNCTION audit_guard() CASCADE",
        "TRUNCATE audit_seal",
        "UPDATE audit_entry SET code = ''",
        "DROP TABLE audit_anchor",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            _do_as(on_postgres, role, statement)


def _do_as(store: Store, role: str, statement: str) -> None:
    with store.begin() as tx:
        tx.sql.run(f"SET LOCAL ROLE {role}")
        tx.sql.run(statement)
