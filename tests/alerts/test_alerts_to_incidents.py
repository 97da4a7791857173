"""Alerts come in: what is stored when the sender is answered."""

from __future__ import annotations

from datetime import timedelta

import pytest
from psycopg import DataError

from bot.alerts.correlation import Correlator
from bot.alerts.intake import NotStored
from bot.core.alert import AlertBatch, Severity
from bot.core.incident import EventType, Status
from bot.incidents import timeline
from bot.store.engine import Unavailable
from tests.house import NOON, House, alert


def whats(house: House, number: int = 1) -> list[str]:
    return [str(event.type) for event in house.story(number)]


def test_a_firing_alert_opens_an_incident_with_its_story_and_what_is_owed_in_one_commit(house: House) -> None:
    taken = house.hears(alert("HighErrorRate", severity="critical"))

    assert (taken.code, taken.incidents, taken.accepted) == ("accepted", (1,), 1)
    incident = house.incident()
    assert (incident.status, incident.severity, incident.firing) == (Status.OPEN, Severity.CRITICAL, 1)
    assert whats(house) == ["incident.opened"]
    assert [(one.channel, str(one.kind), one.state) for one in house.deliveries()] == [
        ("slack", "card", "owed"),
        ("telegram", "card", "owed"),
        ("pagerduty", "page", "owed"),
    ]


def test_the_same_delivery_again_changes_nothing_and_owes_nothing(house: House) -> None:
    house.hears(alert())
    owed = house.deliveries()

    again = house.hears(alert())

    assert again.code == "duplicate"
    assert whats(house) == ["incident.opened"]
    assert house.deliveries() == owed


def test_copies_from_two_alertmanagers_in_one_commit_open_one_incident(house: House) -> None:
    one = AlertBatch(source="alertmanager", group="api", alerts=(alert(),))

    taken = house.hears_all(one, one)

    assert sorted(answer.code for answer in taken) == ["accepted", "duplicate"]
    assert len(house.incidents()) == 1


def test_the_last_end_resolves_the_incident_and_the_first_does_not(house: House) -> None:
    house.hears(alert("A", fingerprint="a"), alert("B", fingerprint="b"))

    house.hears(alert("A", fingerprint="a", firing=False), alert("B", fingerprint="b"))
    still = house.incident()
    house.hears(alert("B", fingerprint="b", firing=False))

    assert (still.status, still.firing) == (Status.OPEN, 1)
    assert house.incident().status is Status.RESOLVED
    assert whats(house) == ["incident.opened", "alerts.ended", "incident.resolved"]


def test_an_end_that_comes_before_its_firing_leaves_a_resolved_incident_and_pages_nobody(house: House) -> None:
    first = house.hears(alert(firing=False))
    late = house.hears(alert(firing=True))

    assert first.code == "nothing_to_resolve"
    assert late.code == "accepted"
    assert house.incident().status is Status.RESOLVED
    assert {str(one.kind) for one in house.deliveries()} == {"card"}


def test_a_second_firing_within_the_hour_reopens_the_incident_and_nobody_has_it_any_more(house: House) -> None:
    house.hears(alert())
    house.says("ack 1")
    house.hears(alert(firing=False))

    house.clock.pass_by(minutes=30)
    house.hears(alert(starts_at=house.clock.at))

    incident = house.incident()
    assert (incident.status, incident.owner, incident.total) == (Status.OPEN, None, 2)
    assert whats(house)[-1] == "incident.reopened"


def test_a_second_firing_after_the_hour_opens_a_new_incident(house: House) -> None:
    house.hears(alert())
    house.hears(alert(firing=False))

    house.clock.pass_by(minutes=61)
    house.hears(alert(starts_at=house.clock.at))

    assert [(one.id, one.status) for one in house.incidents()] == [(2, Status.OPEN), (1, Status.RESOLVED)]


def test_an_alert_that_fires_on_stays_in_its_incident_when_routing_renames_its_group(house: House) -> None:
    house.hears(alert(group="{}/old:{api}"))

    house.hears(alert(group="{}/new:{api}"))
    house.hears(alert(group="{}/new:{api}", firing=False))

    assert [one.status for one in house.incidents()] == [Status.RESOLVED]


def test_what_a_person_resolved_and_goes_on_firing_is_opened_again_but_not_at_the_next_copy(house: House) -> None:
    house.hears(alert())
    house.says("resolve 1")

    house.clock.pass_by(minutes=1)
    copy = house.hears(alert())
    quiet = house.incident().status
    house.clock.pass_by(hours=4)
    house.hears(alert())

    assert (copy.code, quiet) == ("duplicate", Status.RESOLVED)
    assert house.incident().status is Status.OPEN
    assert "still firing" in house.story()[-1].text


def test_a_worse_alert_raises_the_severity_and_names_the_incident(house: House) -> None:
    house.hears(alert("SlowQueries", fingerprint="a", severity="warning"))

    house.hears(alert("DatabaseDown", fingerprint="b", severity="critical"))

    incident = house.incident()
    assert (incident.severity, incident.title) == (Severity.CRITICAL, "DatabaseDown")
    assert EventType.SEVERITY_RAISED in {event.type for event in house.story()}


def test_what_the_sender_left_out_is_said_on_the_incident_and_is_not_an_end(house: House) -> None:
    house.hears(alert("A", fingerprint="a"), alert("B", fingerprint="b"))

    house.hears(alert("A", fingerprint="a"), alert("C", fingerprint="c"), truncated=900)

    assert (house.incident().truncated, house.incident().firing) == (900, 3)


def test_severities_that_no_rule_knows_count_as_error_and_none_at_all_as_warning(house: House) -> None:
    house.hears(alert(severity="SEV0!!"))
    house.hears(alert(severity=" ", group="b", fingerprint="b"))

    assert [one.severity for one in house.incidents()] == [Severity.WARNING, Severity.ERROR]


def test_what_cannot_be_read_is_kept_whole_and_opens_an_incident_once(house: House) -> None:
    taken = house.cannot_read(b"{", "Not JSON at offset 1.")
    house.cannot_read(b"{", "Not JSON at offset 1.")

    assert taken.code == "set_aside"
    [incident] = house.incidents()
    assert "could not be read" in incident.title
    assert (incident.severity, incident.total) == (Severity.ERROR, 1)
    with house.store.begin() as tx:
        rows = tx.sql.rows("SELECT body, code FROM quarantine")
    assert [(bytes(row[0]), row[1]) for row in rows] == [(b"{", "bad_json")]


def test_other_unreadable_bodies_join_the_incident_that_says_so(house: House) -> None:
    house.cannot_read(b"{")
    house.clock.pass_by(minutes=5)
    house.cannot_read(b"{{")

    [incident] = house.incidents()
    assert (incident.firing, incident.total) == (1, 2)


def test_one_bad_alert_of_many_is_kept_and_the_others_are_taken(house: House) -> None:
    taken = house.hears(alert(), rejected=(("alerts[1].labels", "not an object"),))

    assert (taken.code, taken.accepted) == ("accepted", 1)
    assert {one.title.split(":")[0] for one in house.incidents()} == {"HighErrorRate", "UnreadableAlerts"}


def test_a_fault_of_ours_in_one_delivery_sets_it_aside_and_takes_the_others_of_its_commit(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = Correlator.add

    def stumble(fold: Correlator, delivered: AlertBatch) -> list[int]:
        if delivered.group == "poison":
            raise ZeroDivisionError
        return take(fold, delivered)

    monkeypatch.setattr(Correlator, "add", stumble)
    good = AlertBatch(source="alertmanager", group="api", alerts=(alert(),), body=b"good")
    bad = AlertBatch(source="alertmanager", group="poison", alerts=(alert(group="poison"),), body=b"bad")

    taken = house.hears_all(good, bad)

    assert [one.code for one in taken] == ["accepted", "set_aside"]
    assert {one.title.split(":")[0] for one in house.incidents()} == {"HighErrorRate", "UnreadableAlerts"}


def test_a_row_that_the_database_refuses_does_not_lose_those_that_share_its_commit(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = timeline.write

    def refuse(tx: object, changes: object, *more: object) -> object:
        if any(change.incident.key == "poison" for change in changes):  # type: ignore[attr-defined]
            raise DataError("a character the database cannot hold")
        return write(tx, changes, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(timeline, "write", refuse)
    good = AlertBatch(source="alertmanager", group="api", alerts=(alert(),), body=b"good")
    bad = AlertBatch(source="alertmanager", group="poison", alerts=(alert(group="poison"),), body=b"bad")

    taken = house.hears_all(bad, good)

    assert [one.code for one in taken] == ["set_aside", "accepted"]
    assert {one.key for one in house.incidents()} == {"api", "vakhta/unreadable/alertmanager"}


def test_a_database_in_trouble_stores_nothing_says_so_and_takes_the_next_delivery(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> object:
        raise Unavailable("database or disk is full")

    with monkeypatch.context() as trouble:
        trouble.setattr(timeline, "write", full)
        with pytest.raises(NotStored, match="disk is full"):
            house.hears(alert())

    assert house.incidents() == []
    assert house.hears(alert()).code == "accepted"


def test_a_storm_of_a_thousand_alerts_is_one_card_for_each_group_and_chat(house: House) -> None:
    storm = [
        AlertBatch(
            source="alertmanager",
            group=f"group-{number % 10}",
            alerts=tuple(
                alert(fingerprint=f"{number}-{one}", group=f"group-{number % 10}", severity="warning")
                for one in range(20)
            ),
        )
        for number in range(50)
    ]

    taken = house.hears_all(*storm)

    assert {one.code for one in taken} == {"accepted"}
    assert [one.firing for one in house.incidents()] == [100] * 10
    assert [str(one.kind) for one in house.deliveries(1)].count("card") == 2
    assert [str(one.kind) for one in house.deliveries(1)].count("page") == 1


def test_an_old_episode_heard_of_late_belongs_to_the_incident_and_changes_nothing_else(house: House) -> None:
    house.hears(alert(starts_at=NOON + timedelta(minutes=5)))

    house.hears(alert(starts_at=NOON))

    assert (house.incident().firing, house.incident().total) == (1, 2)
