"""What is checked of a restored PostgreSQL finds what is wrong with it, and passes what is right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.backup import Check, CheckResult
from bot.core.errors import Rejected
from bot.integrations.postgres.checks import verify_postgres
from bot.integrations.postgres.connection import PostgresConnection
from tests.integrations.postgres.shop import Shop

pytestmark = pytest.mark.postgres


def _verify(shop: Shop, *checks: Check, data_at: datetime | None = None) -> dict[str, CheckResult]:
    found = verify_postgres(shop.live.connect, checks, lambda _: None, live=shop.live.connect, data_at=data_at)
    return {one.name: one for one in found}


def test_a_whole_database_passes_every_check_and_keeps_no_extension(shop: Shop) -> None:
    found = _verify(shop)

    assert [one for one in found.values() if not one.ok] == []
    assert found["every row can be read"].got.startswith("500 rows in 2 tables")
    assert found["indexes fit their tables"].got.startswith("none in ")
    with shop.connect() as connection:
        assert connection.value("SELECT count(*) FROM pg_extension WHERE extname = 'amcheck'") == 0


def test_an_index_that_misses_rows_is_found_though_every_row_can_be_read(shop: Shop) -> None:
    with shop.connect() as connection:  # As after a change of the sorting rules: the order is no longer the index's.
        connection.change("CREATE FUNCTION low(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower($1)'")
        connection.change("CREATE INDEX orders_low ON orders (low(item || id))")
        connection.change(
            "CREATE OR REPLACE FUNCTION low(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT md5($1)'"
        )

    found = _verify(shop)

    assert found["every row can be read"].ok
    assert not found["indexes fit their tables"].ok
    assert "orders_low" in found["indexes fit their tables"].got


def test_a_value_outside_of_the_tables_own_file_that_is_damaged_is_found(shop: Shop) -> None:
    with shop.connect() as connection:
        connection.change("ALTER TABLE orders ALTER note SET STORAGE EXTERNAL")
        connection.change("UPDATE orders SET note = repeat('x', 100000) WHERE id = 7")
        toast = connection.value("SELECT reltoastrelid::bigint FROM pg_class WHERE oid = 'orders'::regclass")
        connection.change("CREATE EXTENSION pg_surgery")
        connection.rows("SELECT heap_force_kill(%s::bigint::oid::regclass, ARRAY['(0,1)'::tid])", [toast])
        connection.change("DROP EXTENSION pg_surgery")

    found = {one.name: one for one in verify_postgres(shop.live.connect, [], lambda _: None, jobs=2)}

    assert not found["every row can be read"].ok
    assert "toast value" in found["every row can be read"].got


def test_tables_are_read_on_several_connections_and_also_where_a_type_has_no_binary_form(shop: Shop) -> None:
    with shop.connect() as connection:
        connection.change("CREATE TABLE rights AS SELECT makeaclitem(10, 10, 'SELECT', false) AS one")
    told: list[str] = []

    found = {one.name: one for one in verify_postgres(shop.live.connect, [], told.append, jobs=3, indexes_built=True)}

    assert found["every row can be read"].ok
    assert found["every row can be read"].got.startswith("501 rows in 3 tables, ")
    assert sum(one.startswith("reading table ") for one in told) == 3
    assert found["indexes fit their tables"].ok


def test_a_connection_that_is_refused_while_tables_are_read_fails_the_check(shop: Shop) -> None:
    opened = 0

    @contextmanager
    def one_only() -> Iterator[PostgresConnection]:
        nonlocal opened
        opened += 1
        if opened > 1:
            raise Rejected("too many connections")
        with shop.live.connect() as connection:
            yield connection

    found = {one.name: one for one in verify_postgres(one_only, [], lambda _: None, jobs=2)}

    assert (found["every row can be read"].ok, found["every row can be read"].got) == (False, "too many connections")


def test_a_sequence_behind_its_column_is_found(shop: Shop) -> None:
    with shop.connect() as connection:
        connection.rows("SELECT setval('orders_id_seq', 10)")

    found = _verify(shop)["sequences are above their columns"]

    assert (found.ok, found.got) == (False, "public.orders_id_seq is at 10, orders.id at 500")


def test_rows_that_cannot_be_read_fail_the_check(shop: Shop) -> None:
    with shop.live.connect("postgres") as admin:
        if not admin.value("SELECT 1 FROM pg_roles WHERE rolname = 'shop_reader'"):
            admin.change("CREATE ROLE shop_reader LOGIN")
    with shop.connect() as connection:
        connection.change("GRANT SELECT ON customers TO shop_reader")
    reader = type(shop)(url=shop.url.replace("vakhta@", "shop_reader@"), folder=shop.folder)

    found = _verify(reader)["every row can be read"]

    assert not found.ok
    assert "permission denied for table orders" in found.got


def test_rows_that_a_policy_hides_are_not_counted_as_read(shop: Shop) -> None:
    with shop.live.connect("postgres") as admin:
        if not admin.value("SELECT 1 FROM pg_roles WHERE rolname = 'shop_reader'"):
            admin.change("CREATE ROLE shop_reader LOGIN")
    with shop.connect() as connection:
        connection.change("GRANT SELECT ON orders, customers TO shop_reader")
        connection.change("ALTER TABLE orders ENABLE ROW LEVEL SECURITY")
        connection.change("CREATE POLICY few ON orders USING (id < 3)")
    reader = type(shop)(url=shop.url.replace("vakhta@", "shop_reader@"), folder=shop.folder)

    found = _verify(reader)["every row can be read"]

    assert not found.ok
    assert "row-level security" in found.got


def test_the_newest_row_counts_from_the_backups_own_moment(shop: Shop) -> None:
    check = Check(name="fresh", query="SELECT max(at) FROM orders", newest_within=timedelta(minutes=10))
    now = datetime.now(UTC)

    results = [_verify(shop, check, data_at=at)["fresh"].ok for at in (now, now + timedelta(hours=1), None)]

    assert results == [True, False, False]


def test_a_server_of_another_cluster_or_timeline_is_not_the_copy_that_was_asked_for(shop: Shop) -> None:
    found = verify_postgres(shop.live.connect, [], lambda _: None, system_identifier="42", timeline_above=1)

    wrong = {one.name: (one.expected, one.ok) for one in found if not one.ok}
    assert wrong == {"system identifier": ("42", False), "timeline": ("above 1", False)}


def test_a_copy_that_does_not_answer_is_a_failed_check_and_no_error(shop: Shop) -> None:
    gone = shop.live.to("no_such_database")

    [found] = verify_postgres(gone.connect, [], lambda _: None)

    assert (found.name, found.ok) == ("the copy can be read", False)
    assert "no_such_database" in found.got
