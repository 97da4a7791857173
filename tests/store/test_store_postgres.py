"""How rows are written on PostgreSQL: pipelines, arrays, locks across replicas."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.store.engine import Store, Unavailable
from bot.store.sql import Query, Sql, pg_array
from tests.postgres import Postgres, cut

pytestmark = [pytest.mark.postgres, pytest.mark.waits]

_TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
_TRICKY = st.sampled_from(
    ["", "NULL", "null", '"', "\\", '\\"', "{}", "{a,b}", ",", " ", "a b", "\n\t", "\x01", "%s", "\u2028"]
)


@pytest.fixture(scope="module")
def line(postgres: Postgres) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(postgres.url("arrays").replace("+psycopg", ""), autocommit=True) as connection:
        yield connection


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.one_of(st.none(), _TEXTS, _TRICKY), min_size=1, max_size=5),
    numbers=st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=5),
    pieces=st.lists(st.one_of(st.none(), st.binary(max_size=10)), min_size=1, max_size=5),
)
def test_an_array_comes_back_as_it_was(
    line: psycopg.Connection[tuple[object, ...]],
    texts: list[str | None],
    numbers: list[int | None],
    pieces: list[bytes | None],
) -> None:
    row = line.execute(
        "SELECT %s::text[], %s::bigint[], %s::bytea[]", (pg_array(texts), pg_array(numbers), pg_array(pieces))
    ).fetchone()

    assert row == (texts, numbers, pieces)


def test_a_text_that_cannot_be_stored_shifts_no_row() -> None:
    with pytest.raises(ValueError, match="U\\+0000"):
        pg_array(["a", "b\x00c"])


def test_what_a_statement_of_a_flow_breaks_undoes_all_of_it(postgres: Postgres, postgres_template: str) -> None:
    store = Store(postgres.url("flow", like=postgres_template))

    def break_one() -> None:
        with store.begin() as tx:
            tx.sql.start_pipeline()
            tx.save_reply("slack", "1", "fine", ok=True)
            tx.sql.run("UPDATE seen SET at = 1 / 0")
            tx.save_reply("slack", "2", "fine", ok=True)

    with pytest.raises(psycopg.DataError):
        break_one()

    with store.begin() as tx:
        assert tx.find_reply("slack", "1") is None
    store.close()


def test_what_a_flow_inserts_goes_as_one_and_is_seen_by_what_it_asks_afterwards(
    postgres: Postgres, postgres_template: str
) -> None:
    store = Store(postgres.url("one", like=postgres_template))
    for once in map(str, range(7)):  # the driver prepares what it has sent a few times
        with store.begin() as tx:
            tx.sql.start_pipeline()
            tx.quarantine("alertmanager", b"{", once, code="bad_json", reason="?")
            tx.save_reply("slack", once, "fine, 100 %", ok=True)
            seen = tx.find_reply("slack", once)
            kept = tx.is_quarantined(once, tx.now - timedelta(minutes=1))
    with store.begin() as tx:
        insertions = tx.sql.rows("SELECT statement FROM pg_prepared_statements WHERE statement LIKE '%INSERT%'")
    store.close()

    assert seen is not None
    assert (seen.text, seen.ok, kept) == ("fine, 100 %", True, True)
    assert [statement.startswith("WITH part0 AS (INSERT INTO quarantine") for (statement,) in insertions] == [True]


def test_what_is_asked_first_is_asked_when_the_turn_is_ours(postgres: Postgres, postgres_template: str) -> None:
    store = Store(postgres.url("first", like=postgres_template))
    seen: list[object] = []
    theirs, begun = threading.Event(), threading.Event()

    def second() -> None:
        begun.set()
        with store.begin(first=[Query("SELECT said FROM seen", ())]) as tx:
            seen.extend(row[0] for row in tx.first[0])
        theirs.set()

    with store.begin() as tx:
        thread = threading.Thread(target=second)
        thread.start()
        begun.wait(60)
        waited = not theirs.wait(0.2)
        tx.save_reply("slack", "1", "said before it had its turn", ok=True)
    thread.join(60)
    store.close()

    assert waited
    assert seen == ["said before it had its turn"]


@pytest.mark.parametrize(
    "at",
    [
        lambda sql: None,
        lambda sql: sql.send_pipeline(),
        lambda sql: sql.flush_inserts(),
        lambda sql: sql.run("UPDATE seen SET said = 'better'"),
        lambda sql: sql.update("incident", ("id", "version"), [(1, 2)]),
    ],
    ids=["after its turn", "after a part was sent ahead", "with insertions", "with a change", "with many changes"],
)
def test_a_replica_that_freezes_in_a_flow_loses_its_turn(
    postgres: Postgres, postgres_template: str, monkeypatch: pytest.MonkeyPatch, at: Callable[[Sql], object]
) -> None:
    url = postgres.url("frozen", like=postgres_template)
    monkeypatch.setattr("bot.store.timeouts.IDLE_TIMEOUT_S", 1)
    frozen, other = Store(url), Store(url)

    def freeze() -> None:
        with frozen.begin(first=[Query("SELECT 1", ())]) as tx:
            tx.save_reply("slack", "1", "fine", ok=True)
            at(tx.sql)
            with other.begin(first=[Query("SELECT 1", ())]) as theirs:
                theirs.save_reply("slack", "2", "fine", ok=True)

    with pytest.raises(Unavailable):
        freeze()

    with other.begin() as tx:
        stored = [tx.find_reply("slack", once) is not None for once in ("1", "2")]
    frozen.close()
    other.close()
    assert stored == [False, True]


def test_a_flow_that_had_failed_is_not_taken_for_committed(postgres: Postgres, postgres_template: str) -> None:
    store = Store(postgres.url("failed", like=postgres_template))

    def go_on() -> None:
        with store.begin(first=[Query("SELECT 1", ())]) as tx:
            tx.save_reply("slack", "1", "fine", ok=True)
            tx.save_reply("slack", "1", "twice", ok=True)
            with suppress(psycopg.Error):
                tx.sql.send_pipeline()
                tx.sql.rows("SELECT 1")

    with pytest.raises(Unavailable):
        go_on()
    with store.begin() as tx:
        assert tx.find_reply("slack", "1") is None
    store.close()


def test_a_question_in_a_long_flow_gets_its_own_answer(postgres: Postgres, postgres_template: str) -> None:
    store = Store(postgres.url("long", like=postgres_template))
    with store.begin(first=[Query("SELECT 1", ())]) as tx:
        for once in range(600):
            tx.sql.run("UPDATE seen SET at = ? WHERE once = ?", 1, str(once))
        seen = tx.find_reply("slack", "1")
    store.close()

    assert seen is None


def test_trouble_in_a_flow_is_not_taken_for_a_fault_of_ours(postgres: Postgres, postgres_template: str) -> None:
    store = Store(postgres.url("trouble", like=postgres_template))

    def be_too_slow() -> None:
        with store.begin() as tx:
            tx.sql.run("SET LOCAL statement_timeout = 50")
            tx.sql.start_pipeline()
            tx.sql.run("SELECT pg_sleep(5)")
            tx.save_reply("slack", "1", "fine", ok=True)
            tx.save_reply("slack", "1", "a second time", ok=True)

    with pytest.raises(Unavailable, match="statement timeout"):
        be_too_slow()

    with store.begin() as tx:
        assert tx.find_reply("slack", "1") is None
    store.close()


def test_looking_forgets_no_statement_that_is_prepared(postgres: Postgres, postgres_template: str) -> None:
    store = Store(postgres.url("prepared", like=postgres_template))
    for _ in range(10):
        with store.begin() as tx:
            tx.find_reply("slack", "1")
        with store.read() as reading:
            reading.ping()

    with store.begin() as tx:
        prepared = tx.sql.scalar("SELECT count(*) FROM pg_prepared_statements")
    store.close()

    assert prepared >= 1


@pytest.mark.parametrize("first", [(), (Query("SELECT 1", ()),)], ids=["one by one", "in a flow"])
def test_a_pool_of_connections_that_are_gone_costs_nobody_an_error(
    postgres: Postgres, postgres_template: str, first: tuple[Query, ...]
) -> None:
    url = postgres.url("gone", like=postgres_template)
    store = Store(url)
    with store.begin("a"), store.begin("b"), store.read():
        pass
    cut(url)

    for _ in range(3):
        with store.begin(first=first) as tx:
            tx.save_reply("slack", str(tx.now), "fine", ok=True)
        with store.read() as reading:
            reading.ping()
    store.close()


def test_a_connection_that_comes_back_after_the_store_was_closed_is_closed_and_nothing_is_begun(
    postgres: Postgres, postgres_template: str
) -> None:
    store = Store(postgres.url("closed", like=postgres_template))

    with store.connected() as connection:
        line = connection.connection.driver_connection
        store.close()

    assert isinstance(line, psycopg.Connection)
    assert line.closed
    with pytest.raises(Unavailable, match="it was closed"), store.begin():
        pass
    with pytest.raises(Unavailable, match="it was closed"), store.read():
        pass
