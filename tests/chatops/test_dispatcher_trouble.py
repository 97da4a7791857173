"""The database fails at each step of an action: it is refused with a message, done at most once, and pages go out."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from bot.alerts.intake import NotStored
from bot.app.build_chatops import build_chatops
from bot.config.settings import Settings
from bot.core.audit import Code
from bot.store import connections, timeouts
from bot.store.engine import Unavailable
from bot.store.sql import Query
from bot.store.transaction import Tx
from tests.house import House, alert
from tests.runs import handle

pytestmark = pytest.mark.waits

_REFUSED = ("Refused: the audit log cannot be written (", "). Nothing was changed.")
#: The transactions of an approval: request, intent, renewal, outcome, and one more that is not reached.
_STEPS = 5


class Locked:
    """Another process takes the database when the bot begins its `nth` transaction, and keeps it until `free`."""

    def __init__(self, house: House, path: Path, monkeypatch: pytest.MonkeyPatch, nth: int) -> None:
        self._other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._left = nth
        self._begin = house.store.begin
        monkeypatch.setattr(house.store, "begin", self.begin)

    def begin(self, lane: str = "incidents", *, first: Sequence[Query] = ()) -> AbstractContextManager[Tx]:
        self._left -= 1
        if self._left == 0:
            self._other.execute("BEGIN IMMEDIATE")
        return self._begin(lane, first=first)

    def free(self) -> None:
        if self._other.in_transaction:
            self._other.execute("ROLLBACK")
        self._left = 0
        self._other.close()


@pytest.fixture
def path(tmp_path: Path, sqlite_template: Path) -> Path:
    return Path(shutil.copy(sqlite_template, tmp_path / "vakhta.db"))


@contextmanager
def _open(path: Path, monkeypatch: pytest.MonkeyPatch, *pragmas: str) -> Iterator[House]:
    monkeypatch.setattr(timeouts, "LOCK_TIMEOUT_S", 0.02)
    monkeypatch.setattr(connections, "_WRITING", (*connections._WRITING, "busy_timeout=20", *pragmas))
    house = House(f"sqlite:///{path}")
    yield house
    house.close()


@pytest.mark.parametrize("nth", range(1, _STEPS + 1))
def test_a_locked_database_refuses_the_yes_in_words_or_leaves_its_end_to_be_looked_at(
    nth: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _open(path, monkeypatch) as house:
        shown = house.says("turn prod/api 6")
        locked = Locked(house, path, monkeypatch, nth)

        reply = house.says(f"yes {handle(shown.text)}", once="m1")
        turned = len(house.dials.turned)
        locked.free()
        house.clock.pass_by(minutes=3)
        house.tends()

        assert turned == (nth > 3)
        assert reply.ok == bool(turned)
        assert turned or (reply.text.startswith(_REFUSED[0]) and reply.text.endswith(_REFUSED[1])), reply.text
        assert len(house.dials.turned) == turned
        ends = [code for code in house.audited() if code in (Code.DONE, Code.FAILED, Code.UNKNOWN)]
        assert ends == ([] if nth < 2 else [Code.DONE if turned else Code.FAILED])
        assert house.says(f"yes {handle(house.says('turn prod/api 7').text)}").ok


@pytest.mark.parametrize("nth", [1, 2])
def test_a_locked_database_refuses_the_plan_in_words(nth: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _open(path, monkeypatch) as house:
        locked = Locked(house, path, monkeypatch, nth)

        reply = house.says("turn prod/api 6")
        locked.free()

        assert not reply.ok
        assert reply.text.startswith(_REFUSED[0])
        assert reply.text.endswith(_REFUSED[1])


def test_on_a_full_disk_an_action_is_refused_in_words_and_what_is_owed_is_still_sent(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _open(path, monkeypatch) as house:
        house.hears(alert())
    with sqlite3.connect(path) as raw:
        (pages,) = raw.execute("PRAGMA page_count").fetchone()
    monkeypatch.setattr(connections, "_WRITING", (*connections._WRITING, f"max_page_count={pages}"))
    with _open(path, monkeypatch, f"max_page_count={pages}") as house:
        with pytest.raises(NotStored, match="full"):
            house.hears(*[alert(fingerprint=str(n), labels={"pod": "x" * 500}) for n in range(500)])
        replies = [house.says(f"turn prod/api {n} for {n}m because {'x' * 400}") for n in range(6, 60)]

        house.drain(house.pagerduty)

        full = [one for one in replies if one.text.startswith(_REFUSED[0])]
        assert full, replies[-1].text
        assert "full" in full[0].text
        assert house.dials.turned == []
        assert len(house.pagerduty.given) == 1


def test_eight_yes_to_eight_plans_of_one_target_run_one_and_tell_the_others(house: House) -> None:
    shown = [handle(house.says(f"turn prod/api {value}").text) for value in range(10, 18)]
    replies: list[tuple[bool, str]] = []
    seven = threading.Event()

    def say(one: str) -> None:
        reply = house.says(f"yes {one}")
        replies.append((reply.ok, reply.text))
        if len(replies) == 7:
            seven.set()

    def hold_on() -> None:
        assert seven.wait(60), "the other seven were not answered while one ran"

    house.dials.before.append(hold_on)
    people = [threading.Thread(target=say, args=(one,)) for one in shown]
    for person in people:
        person.start()
    for person in people:
        person.join()

    assert seven.is_set()
    assert [ok for ok, _ in replies] == [False] * 7 + [True]
    assert all("is held by run" in said and "Nothing was done." in said for ok, said in replies if not ok)
    assert len(house.dials.turned) == 1


def test_nobody_stops_looking_at_a_run_before_a_person_is_sure_to_hear_of_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.says(f"yes {handle(house.says('turn prod/api 6 for 30m').text)}")
    house.dials.values["prod/api"] = 8
    house.clock.pass_by(minutes=31)
    alarm = house.tending.raise_alert

    def unheard(name: str, run: str, said: str) -> None:
        raise Unavailable("the database is locked")

    object.__setattr__(house.tending, "raise_alert", unheard)
    with pytest.raises(Unavailable):
        house.tends()
    object.__setattr__(house.tending, "raise_alert", alarm)
    house.tends()

    assert [one.title.partition(":")[0] for one in house.incidents()] == ["RunNotUndone"]


def test_an_undo_whose_process_died_before_its_call_is_made_again(house: House) -> None:
    house.says(f"yes {handle(house.says('turn prod/api 6 for 30m').text)}")
    house.clock.pass_by(minutes=31)
    house.dials.before.append(_die)

    with pytest.raises(KeyboardInterrupt):
        house.tends()
    for _ in range(2):
        house.clock.pass_by(minutes=3)
        house.tends()

    assert house.dials.values["prod/api"] == 3
    assert len(house.dials.turned) == 2


def _die() -> None:
    """Past every `except` of the path, as a process ends."""
    raise KeyboardInterrupt


def test_an_alarm_that_the_intake_does_not_take_is_not_believed_to_be_stored(house: House) -> None:
    made = build_chatops(
        Settings(),
        house.store,
        channels={},
        subscriptions=(),
        on_commit=house.written.append,
        seal=lambda _: None,
        take=lambda _, done: done(NotStored("disk full")),
    )

    with pytest.raises(Unavailable, match="disk full"):
        made.upkeep.raise_alert("RunUnknown", "r1", "Nobody knows.")
