"""The clock is set back, or was ahead and is corrected: nothing waits until the old time is reached."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from types import SimpleNamespace

import pytest
from apscheduler.schedulers import base
from sqlalchemy import BigInteger
from sqlmodel import SQLModel

from bot.access.policy import Role, Rule
from bot.app import scheduler
from bot.app.scheduler import TickLoop
from bot.core.access import AccountLink
from bot.core.channel import RateLimit
from bot.core.incident import EventType, Incident
from bot.core.run_state import State
from bot.notifications import sender
from bot.store import account_links, clock_steps, run_states
from bot.store.engine import Unavailable
from bot.store.times import micros
from bot.store.transaction import Tx
from tests.house import ANA, BO, ROLES, House, alert, down

pytestmark = pytest.mark.waits

_SECOND = timedelta(seconds=1)


def put_back(house: House, **much: float) -> None:
    """The clock is set back while the bot runs."""
    house.watch.watch_clock()
    house.clock.pass_by(**{name: -value for name, value in much.items()})
    house.watch.watch_clock()


def told_of_the_clock(house: House) -> list[Incident]:
    return [one for one in house.incidents() if one.key == "vakhta/clock"]


def handle(said: str) -> str:
    return said.partition("`yes ")[2].partition("`")[0]


def keys_in(house: House) -> set[str]:
    return {notice.incident.key for notice in house.slack.given}


@pytest.mark.parametrize("limit", [1, 20])
def test_a_clock_that_goes_back_an_hour_does_not_silence_a_channel(house: House, limit: int) -> None:
    house.slack.limits = (RateLimit(count=limit, per=_SECOND),)
    for n in range(limit):
        house.hears(alert(f"A{n}", group=f"a{n}"))
    house.drain(house.slack)
    put_back(house, hours=1)
    house.hears(alert("B", group="b"))
    for _ in range(3):
        house.clock.pass_by(minutes=1)
        house.drain(house.slack)

    assert "b" in keys_in(house)


def test_a_quota_that_was_used_up_before_the_step_is_not_given_again(house: House) -> None:
    house.slack.limits = (RateLimit(count=3, per=timedelta(minutes=1)),)
    for n in range(5):
        house.hears(alert(f"A{n}", group=f"a{n}"))
    house.drain(house.slack)
    put_back(house, hours=1)
    house.drain(house.slack)

    assert len(house.slack.given) == 3


def test_a_clock_that_goes_back_an_hour_does_not_hold_a_failed_page(house: House) -> None:
    house.hears(alert())
    house.pagerduty.fail_with = [down()]
    house.drain()
    put_back(house, hours=1)
    house.drain(house.pagerduty)

    assert [one.incident.key for one in house.pagerduty.given].count("api") == 2


def test_a_page_that_is_owed_and_late_is_told_though_the_clock_went_back(house: House) -> None:
    house.hears(alert())
    put_back(house, hours=1)
    house.clock.pass_by(seconds=50)
    house.pagerduty.fail_with = [down()] * 4
    house.drain(house.pagerduty)
    house.watch.report_late_pages()

    assert any("THE PAGE for pagerduty is late" in event.text for event in house.story(1))


def test_the_step_is_told_once_with_what_to_do(house: House) -> None:
    house.hears(alert())
    house.pagerduty.fail_with = [down()]
    house.drain()
    put_back(house, hours=1)
    for _ in range(3):
        house.clock.pass_by(seconds=15)
        house.watch.watch_clock()
        house.watch.correct_deadlines()

    (told,) = told_of_the_clock(house)
    assert "went back by 1 h" in told.title
    assert len([event for event in house.story(told.id) if event.type is EventType.OPENED]) == 1


def test_a_clock_that_goes_back_before_the_first_tick_is_noticed(house: House) -> None:
    house.watch.start()
    house.watch.stop()
    house.clock.pass_by(hours=-1)
    house.watch.watch_clock()

    assert len(told_of_the_clock(house)) == 1


def test_a_process_that_is_frozen_while_it_reads_the_clocks_tells_of_no_step(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.watch.watch_clock()
    now, writing = time.monotonic(), house.store.writing
    monkeypatch.setattr(scheduler, "time", SimpleNamespace(monotonic=lambda: now + 60.0 * writing()))
    house.watch.watch_clock()
    monkeypatch.undo()
    house.watch.watch_clock()

    assert told_of_the_clock(house) == []


def test_a_clock_that_drifts_by_a_second_is_no_step(house: House) -> None:
    house.hears(alert())
    put_back(house, seconds=1)
    house.watch.correct_deadlines()

    assert told_of_the_clock(house) == []


def test_a_bot_that_ran_two_hours_ahead_and_starts_anew_with_the_clock_put_right_sends_what_is_owed(
    house: House,
) -> None:
    house.slack.limits = (RateLimit(count=1, per=_SECOND),)
    house.clock.pass_by(hours=2)
    house.hears(alert())
    house.says("note 1 the clock of this host is wrong")
    house.pagerduty.fail_with = [down("429", after=timedelta(minutes=5))]
    held = house.claim(house.telegram)
    house.drain()
    house.clock.pass_by(hours=-2)
    house.watch.start()
    house.watch.stop()
    house.clock.pass_by(seconds=31)
    house.watch.release_leases()
    for _ in range(12):
        house.drain()
        house.clock.pass_by(seconds=2)

    assert [one.incident.key for one in house.pagerduty.given].count("api") == 2
    assert held.incident.id in {one.incident.id for one in house.telegram.given}
    assert [one for one in house.deliveries(1) if one.state != "sent"] == []
    assert len(told_of_the_clock(house)) == 1


def test_what_another_process_stored_while_its_clock_was_ahead_is_found_without_a_step(house: House) -> None:
    house.hears(alert())
    house.drain()
    ahead = micros(house.clock.at + timedelta(days=3))
    with house.store.begin() as tx:
        tx.sql.run("UPDATE delivery SET state = 'owed', not_before = ?", ahead)
        tx.sql.run("INSERT INTO pause (channel, until, said) VALUES ('slack', ?, 'wait')", ahead)
        tx.sql.run("INSERT INTO pace (channel, at) VALUES ('slack', ?)", ahead)
    before = len(house.slack.given)
    house.watch.correct_deadlines()
    house.drain()

    assert len(house.slack.given) > before
    (told,) = told_of_the_clock(house)
    assert "was ahead and was put right" in told.title


def test_a_provider_is_left_alone_for_a_day_at_most_whatever_it_asks_for(house: House) -> None:
    house.hears(alert())
    house.slack.fail_with = [down("429", after=timedelta(days=30))]
    house.drain(house.slack)
    house.clock.pass_by(seconds=sender.LONGEST_RETRY.total_seconds() + 1)
    house.drain(house.slack)

    assert len(house.slack.given) > 1


def test_a_plan_that_was_shown_before_the_step_expires_a_quarter_of_an_hour_after_it(house: House) -> None:
    shown = house.says("turn prod/api 6")
    put_back(house, hours=1)
    house.clock.pass_by(minutes=16)
    late = house.says(f"yes {handle(shown.text)}")

    assert not late.ok
    assert "expired" in late.text
    assert house.dials.turned == []


def test_a_timed_change_is_undone_when_its_time_is_over_by_the_clock_that_was_put_back(house: House) -> None:
    house.says(f"yes {handle(house.says('turn prod/api 6 for 30m').text)}")
    put_back(house, hours=1)
    house.clock.pass_by(minutes=31)
    house.tends()

    assert house.dials.values["prod/api"] == 3


@pytest.fixture
def burning(store_url: str) -> Iterator[House]:
    """Bo may turn something only while break-glass is active, and has used it."""
    made = House(store_url, roles=(*ROLES, Role(name="fire", allow=(Rule(do="turn *"),), break_glass=True)))
    assert made.says("break-glass because the database is on fire", by=BO).ok
    yield made
    made.close()


def test_a_broken_glass_counts_no_longer_than_its_time_after_the_step(burning: House) -> None:
    put_back(burning, hours=1)
    burning.clock.pass_by(minutes=31)

    assert "glass" not in burning.says("whoami", by=BO).text.lower()
    assert not burning.says("turn prod/api 6", by=BO).ok


def test_a_broken_glass_counts_at_once_after_the_step(burning: House) -> None:
    put_back(burning, hours=1)

    assert burning.says(f"yes {handle(burning.says('turn prod/api 6', by=BO).text)}", by=BO).ok
    assert burning.dials.values["prod/api"] == 6


def _linked(house: House) -> None:
    """Bo's account in Telegram, linked at this moment."""
    with house.store.begin() as tx:
        account_links.put(tx, AccountLink(channel="telegram", account="7", person="bo", at=tx.now, by="slack U2"))


def test_what_is_asked_and_approved_from_an_account_that_was_linked_before_the_step_counts(house: House) -> None:
    house.settle({("slack", "U1"): ANA, ("slack", "U2"): replace(BO, roles=BO.roles | {"approver"})})
    house.dials.others = 1
    _linked(house)
    house.clock.pass_by(minutes=1)
    put_back(house, hours=1)
    house.clock.pass_by(minutes=1)
    plan = handle(house.hears_from("slack", "U1", "turn prod/api 6").text)

    approved = house.hears_from("telegram", "7", f"yes {plan}")

    assert approved.ok, approved.text


def test_an_account_that_was_linked_after_the_plan_approves_nothing_after_the_step_either(house: House) -> None:
    house.settle({("slack", "U1"): ANA, ("slack", "U2"): replace(BO, roles=BO.roles | {"approver"})})
    house.dials.others = 1
    plan = handle(house.hears_from("slack", "U1", "turn prod/api 6").text)
    house.clock.pass_by(minutes=1)
    _linked(house)
    put_back(house, hours=1)

    approved = house.hears_from("telegram", "7", f"yes {plan}")

    assert not approved.ok
    assert house.dials.turned == []


def test_what_became_of_a_run_that_was_lost_before_the_step_is_asked_of_a_person_in_time(house: House) -> None:
    def cut() -> None:
        house.dials.silent = True
        raise RuntimeError

    house.dials.after.append(cut)
    house.says(f"yes {handle(house.says('turn prod/api 6').text)}")
    house.clock.pass_by(minutes=3)
    house.tends()
    put_back(house, hours=1)
    for _ in range(6):
        house.clock.pass_by(minutes=3)
        house.tends()

    with house.store.read() as seen:
        assert run_states.last(seen.sql, 1)[0].state is State.UNKNOWN


def test_ticks_come_though_the_clock_goes_back_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    came = threading.Semaphore(0)
    ticks = TickLoop([(came.release, 1)])
    ticks.start()
    try:
        assert came.acquire(timeout=60)
        monkeypatch.setattr(base, "datetime", _an_hour_back())
        for _ in range(3):
            assert came.acquire(timeout=60), "no tick came after the clock went back"
    finally:
        ticks.stop()


def test_a_database_that_is_silent_at_the_start_keeps_no_tick_from_coming(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    freed = threading.Event()
    begin = house.store.begin

    def silent(*_: object, **__: object) -> None:
        monkeypatch.setattr(house.store, "begin", begin)
        raise Unavailable("no answer within 5 s")

    def noted(tx: Tx, **_: object) -> list[str]:
        freed.set()
        return []

    monkeypatch.setattr("bot.app.scheduler.outbox.release_expired", noted)
    monkeypatch.setattr(house.store, "begin", silent)
    house.watch.start()
    try:
        assert freed.wait(60)
    finally:
        house.watch.stop()


def test_a_tick_that_hangs_is_left_out_in_silence_and_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    over, begun, others = threading.Event(), threading.Semaphore(0), threading.Semaphore(0)

    def hang() -> None:
        begun.release()
        over.wait(60)

    ticks = TickLoop([(hang, 1), (others.release, 1)])
    ticks.start()
    try:
        for _ in range(3):
            assert others.acquire(timeout=60)
        assert begun.acquire(timeout=60)
        begun_again = begun.acquire(blocking=False)
        over.set()
        assert begun.acquire(timeout=60), "it comes again once it is over"
    finally:
        over.set()
        ticks.stop()

    assert not begun_again
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == []


def _an_hour_back() -> type[datetime]:
    class Earlier(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC).astimezone(tz) - timedelta(hours=1)

    return Earlier


#: Of these whole numbers none is a time that anything waits for; the reason is that of the whole line.
_NOT_WAITED_FOR = {
    "they tell people when it was, or how long ago": (
        "incident.opened_at incident.changed_at incident.resolved_at alert.heard_at event.at delivery.sent_at"
        " glass.opened_at glass.reviewed_at glass.closed_at gate.passed_at gate.closed_at"
        " link_code.spent_at audit_entry.at audit_checkpoint.at audit_anchor.at restore.began_at"
        " rota_override.made_at"
    ),
    "a person has named them by the calendar; one that was ended has its end now at the latest": (
        "rota_override.start_at rota_override.end_at rota_override.ended_at"
    ),
    "the sender's clock says so, and what it says is compared with what it said": (
        "alert.starts_at alert.ended_at alert.until"
    ),
    "from then on they may be forgotten, which may be late": "seen.at notice.at link_code.at",
    "one in the time to come does not count where it is looked for": (
        "quarantine.at drill.began_at store_look.looked_at"
    ),
    "nobody reads it: a hold is let go of with its run": "hold.until",
}
#: By `_FROM_THEIR_BEGINNING`, with the beginning itself.
_MOVED = "run.revert_at run.check_until run.ended_at run.watch_until run.began_at gate.until gate.opened_at"


def test_every_time_that_something_waits_for_has_its_bound_or_its_reason() -> None:
    times = {
        f"{table.name}.{column.name}"
        for table in SQLModel.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, BigInteger) and _is_time(column.name)
    }
    bound = {f"{kind.table}.{kind.column}" for kind in clock_steps._kinds(scheduler._BOUNDS, retry=_SECOND)}
    excepted = {name for names in _NOT_WAITED_FOR.values() for name in names.split()}
    moved = set(_MOVED.split())
    written = " ".join(clock_steps._FROM_THEIR_BEGINNING.values())

    assert times - bound - moved - excepted == set()
    assert (bound | moved | excepted) - times == set()
    assert (bound | moved) & excepted == set()
    assert [name for name in moved if f"{name.partition('.')[2]} = " not in written] == []


def test_every_whole_number_is_a_time_a_key_or_a_count() -> None:
    numbers = {
        column.name
        for table in SQLModel.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, BigInteger) and not _is_time(column.name)
    }

    assert {name for name in numbers if name != "id" and not name.endswith("_id")} == {
        "glass", "pos", "size", "text_digest", "token", "watches",
    }  # fmt: skip


def _is_time(name: str) -> bool:
    return name in ("at", "until", "not_before") or name.endswith(("_at", "_until"))


def test_a_run_that_was_begun_and_given_up_ahead_is_watched_and_judged_by_the_clock_that_was_put_back(
    house: House,
) -> None:
    now = micros(house.clock.at)
    hour, minute = 3_600_000_000, 60_000_000
    with house.store.begin() as tx:
        tx.sql.run(
            'INSERT INTO plan (handle, verb, words, "by", place, at, needs, state, body, digest, undoes, spot, account,'
            " had) VALUES ('p', 'scale', '', 'bo', 'slack', ?, 1, 'run', '', '', '', '', '', '{}')",
            now,
        )
        tx.sql.run(
            'INSERT INTO run (id, handle, "by", target, state, token, lease_until, began_at, said, undo, "left", rule,'
            " unwell, noted, watch_until, watches, lost_at)"
            " VALUES ('r', 'p', 'bo', 't', 'intended', 1, ?, ?, '', '', '{}', '', '', '{}', ?, 1, ?)",
            now + minute,
            now + hour,
            now + hour + 10 * minute,
            now + hour,
        )
    house.watch.correct_deadlines()
    with house.store.begin() as tx:
        run = tx.sql.row("SELECT began_at, watch_until, lost_at FROM run WHERE id = 'r'")

    assert run is not None
    assert tuple(run) == (now, now + 10 * minute, now)
