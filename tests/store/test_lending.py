"""A database that tests borrow one after another: what one test did to it never reaches the next."""

from __future__ import annotations

import psycopg
import pytest

from bot.core.audit import AuditEntry, Code
from bot.store import audit_log, migrating
from bot.store.engine import Store
from tests.house import House, alert
from tests.lending import Lending
from tests.postgres import Postgres
from tests.running import until

pytestmark = pytest.mark.postgres


@pytest.fixture
def shelf(postgres: Postgres, postgres_template: str) -> Lending:
    """A lending of its own, in which nothing was given back yet."""
    return Lending(postgres, postgres_template)


def test_what_is_lent_again_is_empty_and_whole_and_counts_from_the_beginning(shelf: Lending) -> None:
    url = shelf.lend()
    _lived_in(url)

    again = _given_back_and_lent(shelf, url)

    assert again == url
    store = Store(again)
    assert migrating.differences(store) == []
    with store.begin() as tx:
        tables = {name for (name,) in tx.sql.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
        filled = {name for name in tables if tx.sql.scalar(f"SELECT count(*) FROM {name}")}
        audit_log.append(tx, [AuditEntry(code=Code.STARTED, by="bot", message="It began.")])
        assert tx.sql.scalar("SELECT max(id) FROM audit_entry") == 1
    assert filled == {"alembic_version"}
    with pytest.raises(psycopg.errors.RaiseException, match="insert-only"):
        _do(again, "DELETE FROM audit_entry")
    store.close()


def test_guards_that_a_test_has_switched_off_are_on_again(shelf: Lending) -> None:
    url = shelf.lend()
    _do(url, "ALTER TABLE audit_entry DISABLE TRIGGER ALL", "ALTER TABLE audit_seal DISABLE TRIGGER ALL")

    again = _given_back_and_lent(shelf, url)

    assert again == url
    with pytest.raises(psycopg.errors.RaiseException, match="insert-only"):
        _do(again, "SET session_replication_role = replica", "TRUNCATE audit_entry, audit_seal")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        _do(again, "INSERT INTO audit_seal (pos, entry_id, leaf) VALUES (0, 1, '')")


@pytest.mark.parametrize(
    "statement",
    [
        "DROP INDEX audit_entry_uid",
        "DROP TRIGGER audit_entry_no_change ON audit_entry",
        "CREATE OR REPLACE FUNCTION audit_guard() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "ALTER TABLE incident ALTER COLUMN title DROP NOT NULL",
        "ALTER TABLE audit_seal DROP CONSTRAINT audit_seal_entry_id_fkey",
        "CREATE TABLE more (id int)",
        "UPDATE alembic_version SET version_num = '9999'",
        "GRANT SELECT ON incident TO PUBLIC",
        "ALTER SEQUENCE audit_entry_id_seq INCREMENT 2",
        "CREATE SCHEMA other",
    ],
)
def test_one_that_was_tampered_with_is_never_lent_again(shelf: Lending, statement: str) -> None:
    url = shelf.lend()
    _do(url, statement)

    assert _given_back_and_lent(shelf, url) != url


def test_one_to_which_somebody_is_still_connected_is_lent_when_they_have_gone(shelf: Lending) -> None:
    url = shelf.lend()
    with psycopg.connect(url.replace("+psycopg", "")):
        shelf.take_back(url)

        other = shelf.lend()

        assert other != url
    _alone(url, shelf)
    assert shelf.lend() == url


def _lived_in(url: str) -> None:
    house = House(url)
    house.hears(alert(fingerprint="a", group="a"))
    with house.store.begin() as tx:
        audit_log.append(tx, [AuditEntry(code=Code.ANSWERED, by="ana", message="So.")])
    assert len(house.incidents()) == 1
    house.close()


def _given_back_and_lent(shelf: Lending, url: str) -> str:
    _alone(url, shelf)
    shelf.take_back(url)
    return shelf.lend()


def _alone(url: str, shelf: Lending) -> None:
    """A backend ends a moment after its client."""
    name = url.rpartition("/")[2]
    with shelf._server._connect() as line:
        asked = "SELECT pid FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
        until(lambda: line.execute(asked, [name]).fetchone() is None, "its last user has left")


def _do(url: str, *statements: str) -> None:
    with psycopg.connect(url.replace("+psycopg", "")) as line:
        for statement in statements:
            line.execute(statement.encode())
