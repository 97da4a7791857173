"""Any night ends well: whatever alerts, people, PagerDuty and a failing network do, in any order.

The whole bot with PagerDuty's own channel, before a model of PagerDuty: an alert for each dedup_key. When all has been
delivered and every deadline has passed, what fires rings or somebody has it, and what is over rings nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pydantic import SecretStr

from bot.core.alert import Alert, Severity
from bot.core.errors import Refusal, Undelivered
from bot.core.incident import EventType, Incident, Status
from bot.core.request import Request
from bot.integrations.pagerduty.channel import PagerDuty
from bot.integrations.pagerduty.settings import PagerDutySettings
from tests.house import ANA, BO, House, alert

_CRITICAL = frozenset({Severity.CRITICAL})
_KINDS = {
    "a": "critical",
    "b": "critical",
    "x": "error",
    "c": "warning",
    "d": "warning",
    "e": "warning",
    "f": "warning",
}
_MANY = "cdef"


class Pager(PagerDuty):
    """PagerDuty's channel with a model of PagerDuty behind it: the status of the newest alert of each key."""

    def __init__(self) -> None:
        section = PagerDutySettings(routing_key=SecretStr("k" * 32), webhook_secrets=(SecretStr("s"),))
        super().__init__(section)
        self.alerts: dict[str, str] = {}
        self.rang: list[str] = []  #: each time that somebody was woken, by the key
        self.trouble = ""
        self.log: list[str] = []

    def _send(self, action: str, key: str, more: Mapping[str, Any]) -> None:
        self.log.append(f"{action} {key[60:]} {self.trouble}")
        if self.trouble == "down":
            raise Undelivered("503")
        if self.trouble == "key":
            raise Undelivered("wrong key", permanent=True, refused=Refusal.KEY)
        is_open = self.alerts.get(key, "resolved") != "resolved"
        if action == "trigger" and not is_open:
            self.alerts[key] = "triggered"
            self.rang.append(key)
        elif action != "trigger" and is_open:
            self.alerts[key] = "acknowledged" if action == "acknowledge" else "resolved"


class Night:
    """The House, and what may happen in a night."""

    def __init__(self, house: House, paged: frozenset[Severity] = _CRITICAL) -> None:
        self.house, self.pager = house, Pager()
        house.pagerduty.severities = paged
        self.firing: dict[str, Alert] = {}
        self.heard: list[Alert] = []

    def fire(self, name: str, at: timedelta = timedelta(0)) -> None:
        made = alert(name, severity=_KINDS[name], starts_at=self.house.clock.at - at)
        before = self.firing.get(name)
        self.hear(replace(made, starts_at=before.starts_at) if before else made)

    def fire_same(self, name: str) -> None:
        """It fires again with the start that it had."""
        old = next((one for one in reversed(self.heard) if one.labels["alertname"] == name), None)
        if old is not None:
            self.hear(replace(old, firing=True, ends_at=None))

    def fire_many(self) -> None:
        for name in _MANY:
            self.fire(name)

    def end(self, name: str) -> None:
        if name in self.firing:
            self.hear(replace(self.firing[name], firing=False, ends_at=self.house.clock.at))

    def end_all(self) -> None:
        for name in list(self.firing):
            self.end(name)

    def hear(self, one: Alert) -> None:
        name = one.labels["alertname"]
        if one.firing:
            self.firing[name] = one
        else:
            self.firing.pop(name, None)
        self.heard.append(one)
        self.house.hears(one)

    def say(self, verb: str) -> None:
        by = BO if verb.startswith("bo ") else ANA
        words = verb.removeprefix("bo ").split(" ", 1)
        own = [one.id for one in self.house.incidents() if one.source == "vakhta"]
        newest = max((one.id for one in self.house.incidents() if one.id not in own), default=99)
        self.house.says(" ".join([words[0], str(newest), *words[1:]]), by=by)

    def there(self, what: str) -> None:
        """Ana does it in PagerDuty, with the page that was opened there last."""
        key = next((key for key in reversed(self.pager.rang) if self.pager.alerts[key] != "resolved"), None)
        if key is None or (what == "unack" and self.pager.alerts[key] != "acknowledged"):
            return
        self.pager.alerts[key] = {"ack": "acknowledged", "resolve": "resolved", "unack": "triggered"}[what]
        number = self.house.dispatcher.incident_paged_as(key)
        assert number is not None, "a page is of no incident"
        self.house.clock.pass_by(seconds=40)
        sent = self.house.clock.at
        ask = Request(by=ANA, text=f"{what} {number}", channel="pagerduty", page_key=key, sent_at=sent)
        self.house.dispatcher.handle(ask)

    def fail(self, how: str) -> None:
        self.pager.trouble = how

    def send(self) -> None:
        self.house.drain(self.house.slack, self.pager)

    def wait(self, seconds: int) -> None:
        self.house.clock.pass_by(seconds=seconds)
        self.house.watch.accept_doubted_alerts()
        self.house.watch.look_at_due_incidents()
        self.house.watch.correct_deadlines()
        self.house.watch.try_refusing_channels()
        self.house.watch.report_late_pages()

    def step_back(self, hours: int) -> None:
        """The clock is set back, and the scheduler sees that."""
        self.house.watch.watch_clock()
        self.house.clock.pass_by(hours=-hours)
        self.house.watch.watch_clock()

    def settle(self) -> None:
        """All works again, what fires is repeated, and every deadline passes."""
        self.pager.trouble = ""
        for _ in range(3):
            for one in list(self.firing.values()):
                self.house.hears(one)
            for _ in range(4):
                self.wait(150)
                self.send()


def broken(night: Night) -> list[str]:
    """What is wrong, now that all is settled."""
    found = []
    incidents = [one for one in night.house.incidents() if one.source != "vakhta"]
    keys = {one.id: [one.page_key_at(number) for number in range(1, one.pages + 1)] for one in incidents}
    latest = {one.page_key: one.id for one in sorted(incidents, key=lambda one: one.id)}
    for one in incidents:
        if latest[one.page_key] == one.id:
            standing = [night.pager.alerts.get(key, "resolved") for key in keys[one.id]]
            paged = one.severity in night.house.pagerduty.severities
            found += [f"{one.id}: {text}" for text in faults(one, standing, paged=paged)]
            if one.status is not Status.RESOLVED and not one.firing and not reopened_by_person(night, one):
                found.append(f"{one.id}: nothing fires, and it is open")
    known = {key for listed in keys.values() for key in listed}
    found += [f"{key} is of no page" for key in night.pager.alerts if key not in known]
    if sum(one.firing for one in incidents) != len(night.firing):
        found.append(f"{sum(one.firing for one in incidents)} fire, not {sorted(night.firing)}")
    return found


def reopened_by_person(night: Night, incident: Incident) -> bool:
    """Then a person has to resolve it, if nothing fires."""
    again = [one.by for one in night.house.story(incident.id) if one.type is EventType.REOPENED]
    return again[-1:] in (["ana"], ["bo"])


def faults(incident: Incident, standing: list[str], *, paged: bool) -> list[str]:
    """`standing`: the statuses of its pages in PagerDuty; `paged`: whether its severity is paged."""
    found, covered = [], incident.course.covered
    still = [one for one in standing if one != "resolved"]
    if incident.look_at is not None:
        found.append("it waits for a time that has come")
    if incident.status is Status.RESOLVED:
        return [*found, *([f"it is over, and its pages are {standing}"] if still else [])]
    if len(still) > 1:
        found.append(f"it has several open pages: {standing}")
    if not paged:
        return found
    if incident.status is Status.OPEN and still != ["triggered"] and not incident.owner:
        found.append(f"nobody has it, and its pages are {standing}")
    if incident.status is Status.ACKED and covered and covered.paged and not still:
        found.append("it was to page again, and has no page")
    if incident.status is Status.ACKED and covered and not covered.paged and "triggered" in still:
        found.append(f"somebody has it, and its pages are {standing}")
    return found


def _acts() -> st.SearchStrategy[tuple[str, tuple[Any, ...]]]:
    one = st.sampled_from(sorted(_KINDS))
    said = ["ack", "bo ack", "unack", "resolve", "reopen", "assign bo", "severity warning", "severity critical"]
    return st.one_of(
        st.tuples(st.just("fire"), st.tuples(one)),
        st.tuples(st.just("fire_same"), st.tuples(one)),
        st.tuples(st.just("fire_many"), st.tuples()),
        st.tuples(st.just("end"), st.tuples(one)),
        st.tuples(st.just("end_all"), st.tuples()),
        st.tuples(st.just("say"), st.tuples(st.sampled_from(said))),
        st.tuples(st.just("there"), st.tuples(st.sampled_from(["ack", "resolve", "unack"]))),
        st.tuples(st.just("fail"), st.tuples(st.sampled_from(["", "", "down", "key"]))),
        st.tuples(st.just("wait"), st.tuples(st.sampled_from([1, 20, 70, 290, 700, 4000]))),
        st.tuples(st.just("step_back"), st.tuples(st.sampled_from([1, 9]))),
        st.tuples(st.just("send"), st.tuples()),
        st.tuples(st.just("send"), st.tuples()),
    )


@settings(max_examples=100)
@given(acts=st.lists(_acts(), min_size=3, max_size=25), errors_page=st.booleans())
def test_what_fires_rings_or_somebody_has_it_and_what_is_over_rings_nowhere(
    sqlite_template: Path, acts: list[tuple[str, tuple[Any, ...]]], *, errors_page: bool
) -> None:
    with TemporaryDirectory() as folder:
        copy(sqlite_template, f"{folder}/vakhta.db")
        house = House(f"sqlite:///{folder}/vakhta.db")
        try:
            night = Night(house, _CRITICAL | ({Severity.ERROR} if errors_page else set()))
            for name, args in acts:
                act: Callable[..., None] = getattr(night, name)
                act(*args)
            night.settle()
            assert broken(night) == []
        finally:
            house.close()
