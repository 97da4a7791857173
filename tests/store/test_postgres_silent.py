"""PostgreSQL says nothing any more, and its connections stay open: senders hear 503 in time, and work goes on after."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import pytest

from bot.alerts.intake import IntakeResult, NotStored
from bot.audit.verify.log_reader import UnreadableLog
from bot.audit.verify.postgres_reader import PostgresLog
from bot.core.alert import AlertBatch
from bot.store import migrating, timeouts
from bot.store.engine import Store, Unavailable
from tests.house import House, alert, into
from tests.postgres import Postgres, backends, stopped
from tests.relay import Relay
from tests.running import until

pytestmark = [pytest.mark.postgres, pytest.mark.waits]

#: What a sender may have to wait for its 503, with what a slow and busy machine adds. Six in turn would wait for 27 s.
_HEARD_S = 5.0 + 10.0


@pytest.fixture(scope="module")
def own() -> Iterator[Postgres]:
    """A server that nobody else uses: it is stopped as a whole."""
    with Postgres() as server:
        yield server


@pytest.fixture
def relay(postgres: Postgres) -> Iterator[Relay]:
    with Relay(postgres.port) as made:
        yield made


@pytest.fixture
def url(postgres: Postgres, postgres_template: str) -> str:
    return postgres.url("silent", like=postgres_template)


@pytest.fixture
def house(postgres: Postgres, relay: Relay, url: str) -> Iterator[House]:
    made = House(url.replace(f":{postgres.port}/", f":{relay.port}/"))
    made.hears(alert(group="before"))
    yield made
    made.close()


def sent(house: House, group: str) -> Future[IntakeResult]:
    answer: Future[IntakeResult] = Future()
    one = alert(group=group, fingerprint=group)
    house.intake.take(AlertBatch(source="alertmanager", group=group, alerts=(one,)), into(answer))
    return answer


def refused_after(answer: Future[IntakeResult]) -> float:
    """The seconds until the sender was told to send it again."""
    began = time.monotonic()
    with pytest.raises(NotStored):
        answer.result(60)
    return time.monotonic() - began


def taken(house: House, group: str) -> bool:
    """A sender that repeats until it is taken."""
    with suppress(NotStored):
        sent(house, group).result(60)
        return True
    return False


def test_senders_hear_in_time_that_connections_have_gone_silent_and_those_behind_do_not_wait_in_turn(
    house: House, relay: Relay
) -> None:
    relay.silence()

    first = sent(house, "first")
    until(lambda: not house.intake.waiting(), "the intake has begun with it")
    behind = [sent(house, f"behind-{number}") for number in range(5)]
    waited = [refused_after(one) for one in (first, *behind)]

    assert sum(waited) < _HEARD_S
    assert house.hears(alert(group="after", fingerprint="after")).code == "accepted"


def test_the_pools_other_connections_are_not_believed_after_one_was_silent(house: House, relay: Relay) -> None:
    with house.store.begin("a"), house.store.begin("b"), house.store.begin("c"), house.store.read():
        pass
    relay.silence()

    refused_after(sent(house, "first"))
    until(lambda: not house.intake._answers.in_progress, "the connection is cut")
    began = time.monotonic()
    for lane in "abc":
        with house.store.begin(lane), house.store.read():
            pass

    assert time.monotonic() - began < _HEARD_S


def test_a_commit_whose_answer_is_swallowed_is_answered_503_and_sent_again_changes_nothing(
    house: House, relay: Relay
) -> None:
    relay.swallow_answer_to(b"COMMIT")

    refused_after(sent(house, "lost"))
    until(lambda: len(house.incidents()) == 2, "PostgreSQL has committed it all the same")

    assert sent(house, "lost").result(60).code == "duplicate"
    assert len(house.incidents()) == 2


@pytest.mark.parametrize(
    "act",
    [
        lambda store: next(_in(store.begin())),
        lambda store: next(_in(store.begin("lane", synced=False))),
        lambda store: next(_in(store.read())),
    ],
    ids=["a turn", "a channel's turn", "a look"],
)
def test_whoever_asks_a_silent_database_is_told_so_within_the_deadline(
    house: House, relay: Relay, act: Callable[[Store], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "ANSWER_S", 2.0)
    relay.silence()
    began = time.monotonic()

    with pytest.raises(Unavailable, match="no answer within 2 s, so the connection was cut"):
        act(house.store)

    assert time.monotonic() - began < _HEARD_S


@pytest.mark.parametrize("where", ["a question", "a part sent ahead", "the commit", "the rollback"])
def test_a_transaction_in_which_the_database_falls_silent_is_given_up(
    house: House, relay: Relay, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "ANSWER_S", 2.0)
    began = time.monotonic()

    with pytest.raises((Unavailable, ZeroDivisionError)):
        fall_silent_in(house.store, relay, where)

    assert time.monotonic() - began < 2 * _HEARD_S
    with house.store.begin() as tx:
        assert tx.find_reply("slack", "1") is None


def test_a_stopped_server_is_told_to_senders_in_time_and_is_used_again_when_it_goes_on(own: Postgres) -> None:
    house = House(own.url("stopped", like=migrated(own)))
    house.hears(alert(group="before"))
    with own.silent():
        waited = [refused_after(sent(house, f"{number}")) for number in range(3)]
        with ThreadPoolExecutor(4) as senders:
            crowd = [senders.submit(refused_after, sent(house, f"crowd-{number}")) for number in range(4)]
            waited += [one.result() for one in crowd]

    until(lambda: taken(house, "after"), "an alert is taken again")
    house.drain()

    assert max(waited) < _HEARD_S
    assert {"before", "after"} <= {notice.incident.key for notice in house.pagerduty.given}
    house.close()


@pytest.mark.parametrize("nth", [1, 2], ids=["claimed at first", "claimed with the end of another"])
def test_a_page_whose_claim_was_not_answered_is_sent_as_soon_as_the_database_answers(
    house: House, relay: Relay, nth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease would have kept it from everybody for half a minute."""
    monkeypatch.setattr(timeouts, "ANSWER_S", 2.0)
    house.hears(alert(group="second", fingerprint="second"))
    if nth == 1:
        relay.swallow_answer_to(b"COMMIT")
        with pytest.raises(Unavailable):
            house.delivery.send_next(house.pagerduty)
    else:
        house.pagerduty.meanwhile = [lambda: relay.swallow_answer_to(b"COMMIT")]
        house.delivery.send_next(house.pagerduty)

    house.clock.pass_by(seconds=2)
    house.drain(house.pagerduty)
    house.clock.pass_by(seconds=2)
    house.drain(house.pagerduty)

    assert {notice.incident.key for notice in house.pagerduty.given} == {"before", "second"}
    assert {one.state for key in (1, 2) for one in house.deliveries(key) if one.channel == "pagerduty"} == {"sent"}


def test_one_stopped_backend_costs_its_sender_a_503_and_the_next_one_nothing(house: House, url: str) -> None:
    with stopped(*backends(url)):
        waited = refused_after(sent(house, "first"))

        assert waited < _HEARD_S
        assert sent(house, "second").result(60).code == "accepted"


def test_a_server_that_lets_nobody_in_is_given_up_though_the_kernel_takes_the_connection(
    postgres: Postgres, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(timeouts._SOCKET, "connect_timeout", 2)
    with Relay(postgres.port) as relay:
        relay.silence(new=True)
        store = Store(url.replace(f":{postgres.port}/", f":{relay.port}/"))
        began = time.monotonic()

        with pytest.raises(Unavailable, match="timeout"), store.read():
            pass
        store.close()

    assert time.monotonic() - began < _HEARD_S


def test_a_name_service_that_does_not_answer_is_given_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "CONNECT_ALL_S", 0.2)
    over = threading.Event()

    def unanswered(*_: object, **__: object) -> None:
        over.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unanswered)
    store = Store(url.replace("@127.0.0.1:", "@database.example:"))

    with pytest.raises(Unavailable, match="could not be connected to within"), store.read():
        pass
    over.set()
    store.close()


def test_what_may_take_long_has_time_and_the_next_on_that_connection_has_not(house: House) -> None:
    asked = "SELECT current_setting('statement_timeout')"
    with house.store.begin(long=True) as tx, house.store.read(long=True) as reading:
        long = (tx.sql.scalar(asked), reading.sql.scalar(asked))
    with house.store.begin() as tx, house.store.read() as reading:
        usual = (tx.sql.scalar(asked), reading.sql.scalar(asked))
        raw = house.store._writers.raw_connection()
        patience = raw.driver_connection.timeout_s  # type: ignore[union-attr]
        raw.close()

    assert (long, usual, patience) == (("30s", "30s"), ("4500ms", "4500ms"), None)


def test_what_takes_long_is_ended_by_the_server_and_keeps_its_connection(house: House) -> None:
    def linger() -> None:
        with house.store.begin() as tx:
            tx.sql.run("SET LOCAL statement_timeout = 50")
            tx.sql.scalar("SELECT pg_sleep(30)")

    with house.store.begin() as tx:
        before = tx.sql.scalar("SELECT pg_backend_pid()")
    with pytest.raises(Unavailable, match="statement timeout"):
        linger()
    with house.store.begin() as tx:
        after = tx.sql.scalar("SELECT pg_backend_pid()")

    assert before == after


def test_a_second_process_that_migrates_waits_for_the_first_for_longer_than_for_any_lock(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "LOCK_TIMEOUT_S", 0.2)
    monkeypatch.setattr(timeouts, "ANSWER_S", 0.4)
    first, second = Store(url), Store(url)
    with ThreadPoolExecutor(1) as beside:
        with first.connected():
            waiting = beside.submit(migrating.migrate, second)
            with pytest.raises(TimeoutError):
                waiting.result(1.0)
        waiting.result(60)
    first.close()
    second.close()


def test_whoever_inspects_the_audit_log_does_not_wait_for_a_silent_database_for_ever(
    postgres: Postgres, url: str, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.audit.verify.postgres_reader._ANSWER_S", 1.0)
    with PostgresLog(url.replace(f":{postgres.port}/", f":{relay.port}/")) as log:
        relay.silence()
        with pytest.raises(UnreadableLog, match="no answer within 1 s"):
            log.start()


def fall_silent_in(store: Store, relay: Relay, where: str) -> None:
    with store.begin() as tx:
        tx.sql.start_pipeline()
        relay.silence()
        tx.save_reply("slack", "1", "fine", ok=True)
        if where == "a question":
            tx.find_reply("slack", "1")
        if where == "a part sent ahead":
            tx.sql.send_pipeline()
        if where == "the rollback":
            raise ZeroDivisionError


def migrated(server: Postgres) -> str:
    url = server.url("template")
    store = Store(url)
    migrating.migrate(store)
    store.close()
    return url.rpartition("/")[2]


def _in(context: object) -> Iterator[object]:
    with context as inside:  # type: ignore[attr-defined]
        yield inside
