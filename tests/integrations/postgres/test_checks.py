"""What is checked of a restored PostgreSQL finds what is wrong with it, and passes what is right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.core.backup import Check, CheckResult
from bot.integrations.postgres.checks import verify_postgres
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
