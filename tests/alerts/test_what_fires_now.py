"""Title, severity and texts of an incident are those of the alerts that fire now."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from bot.core.alert import Alert, AlertBatch, Severity
from bot.core.incident import EventType, Status
from tests.house import NOON, House, alert


def down(**changed: object) -> Alert:
    return alert("Down", severity="critical", **changed)  # type: ignore[arg-type]  # as in `alert`


def slow(**changed: object) -> Alert:
    return alert("Slow", severity="warning", **changed)  # type: ignore[arg-type]  # as in `alert`


def saying(one: Alert, summary: str, link: str = "") -> Alert:
    return replace(one, annotations={"summary": summary}, link=link)


def shown(house: House, number: int = 1) -> tuple[Severity, str, Status]:
    one = house.incident(number)
    return one.severity, one.title, one.status


def told(house: House) -> list[EventType]:
    return [event.type for event in house.story()]


def pages(house: House) -> list[EventType]:
    house.drain()
    return [notice.event.type for notice in house.pagerduty.given if notice.event]


def test_when_the_critical_alert_ends_and_a_warning_fires_on_the_severity_eases_and_the_title_is_the_warnings(
    house: House,
) -> None:
    house.hears(down(), slow())
    house.hears(down(firing=False), slow())

    assert shown(house) == (Severity.WARNING, "Slow", Status.OPEN)
    assert told(house)[-2:] == [EventType.ALERTS_ENDED, EventType.SEVERITY_LOWERED]
    assert house.story()[-1].text == "Now warning, was critical: Slow."
    assert house.incident().worst is Severity.CRITICAL
    assert pages(house) == [EventType.OPENED]


def test_what_eased_and_ends_is_resolved_in_the_pager_as_well_and_is_called_what_it_was(house: House) -> None:
    house.hears(down(), slow())
    house.hears(down(firing=False), slow())
    house.hears(slow(firing=False))

    assert shown(house) == (Severity.CRITICAL, "Down", Status.RESOLVED)
    assert pages(house) == [EventType.OPENED, EventType.RESOLVED]


def test_a_milder_alert_within_the_hour_reopens_it_as_what_it_is(house: House) -> None:
    house.hears(down())
    house.hears(down(firing=False))
    house.clock.pass_by(minutes=20)
    house.hears(slow(starts_at=house.clock.at))

    assert shown(house) == (Severity.WARNING, "Slow", Status.OPEN)
    assert told(house)[-1] is EventType.REOPENED
    assert house.incident().worst is Severity.CRITICAL


def test_a_critical_alert_that_fires_after_it_eased_raises_it_and_pages_again(house: House) -> None:
    house.hears(down(), slow())
    house.hears(down(firing=False), slow())
    house.clock.pass_by(minutes=20)
    house.hears(down(starts_at=house.clock.at), slow())

    assert shown(house) == (Severity.CRITICAL, "Down", Status.OPEN)
    assert pages(house) == [EventType.OPENED, EventType.SEVERITY_RAISED]


def test_the_next_of_equal_severity_names_it_without_a_line_of_its_own(house: House) -> None:
    house.hears(down(), alert("Full", starts_at=NOON + timedelta(seconds=1)))
    house.hears(down(firing=False))

    assert shown(house) == (Severity.CRITICAL, "Full", Status.OPEN)
    assert told(house)[-1] is EventType.ALERTS_ENDED


def test_the_worst_of_many_that_fire_on_names_it(house: House) -> None:
    rest = [slow(fingerprint=f"s{n}", starts_at=NOON + timedelta(minutes=n)) for n in range(1, 5)]
    house.hears(down(), *rest, alert("Failing", severity="error", starts_at=NOON + timedelta(minutes=9)))
    house.hears(rest[0], down(firing=False))

    assert shown(house) == (Severity.ERROR, "Failing", Status.OPEN)


def test_a_new_firing_of_the_alert_that_named_it_is_only_one_of_those_that_fire(house: House) -> None:
    house.hears(slow(), slow(fingerprint="s2", starts_at=NOON + timedelta(minutes=1), labels={"pod": "two"}))
    house.hears(slow(starts_at=NOON + timedelta(minutes=2)))

    assert house.incident().title == "Slow two"


def test_ends_and_starts_that_share_a_commit_name_it_as_those_that_do_not(house: House) -> None:
    def of(*alerts: Alert) -> AlertBatch:
        return AlertBatch(source="alertmanager", group="api", alerts=alerts)

    full = alert("Full", severity="error", starts_at=NOON + timedelta(minutes=1))
    house.hears_in_one_commit(
        of(down()), of(slow(), full), of(down(firing=False)), of(replace(full, firing=False)), of(down(firing=False))
    )

    assert shown(house, 2) == (Severity.WARNING, "Slow", Status.OPEN)


def test_a_severity_that_a_person_set_holds_when_another_alert_names_it(house: House) -> None:
    house.hears(down(), slow())
    house.says("severity 1 error")
    house.hears(down(firing=False), slow())

    assert shown(house) == (Severity.ERROR, "Slow", Status.OPEN)
    assert EventType.SEVERITY_LOWERED in told(house)
    assert told(house)[-1] is EventType.ALERTS_ENDED


def test_what_a_person_eased_is_not_raised_by_the_same_alert_when_it_fires_again(house: House) -> None:
    house.hears(down())
    house.says("severity 1 info")
    house.hears(down(firing=False))
    house.clock.pass_by(minutes=20)
    house.hears(down(starts_at=house.clock.at))

    assert shown(house) == (Severity.INFO, "Down", Status.OPEN)


def test_what_was_resolved_by_hand_and_fires_on_as_a_warning_does_not_reopen_as_critical(house: House) -> None:
    house.hears(down(), slow())
    house.says("resolve 1")
    house.clock.pass_by(minutes=10)
    house.hears(down(firing=False), slow())

    assert shown(house) == (Severity.WARNING, "Slow", Status.OPEN)
    assert told(house)[-2:] == [EventType.REOPENED, EventType.ALERTS_ENDED]


def test_an_alert_that_was_over_when_it_was_first_heard_does_not_name_what_fires(house: House) -> None:
    house.hears(slow())
    house.hears(down(firing=False))
    house.hears(down())
    fires = shown(house)
    house.hears(slow(firing=False))

    assert fires == (Severity.WARNING, "Slow", Status.OPEN)
    assert shown(house) == (Severity.CRITICAL, "Down", Status.RESOLVED)
    assert EventType.SEVERITY_RAISED not in told(house)


def test_a_repeat_with_another_summary_changes_title_and_card_without_a_line_or_a_page(house: House) -> None:
    house.hears(saying(down(), "3% space left"))
    house.drain()
    house.slack.given.clear()
    house.clock.pass_by(minutes=5)
    house.hears(saying(down(), "1% space left", link="http://prometheus.example/g"))
    house.drain()

    assert house.incident().title == "Down: 1% space left"
    assert told(house) == [EventType.OPENED, EventType.ALERTS_CHANGED]
    assert house.slack.said() == ["edit open Down: 1% space left"]
    assert pages(house) == [EventType.OPENED]
    with house.store.read() as reading:
        [stored] = reading.alerts(1)
    assert (stored.notes, stored.link) == ({"summary": "1% space left"}, "http://prometheus.example/g")


def test_a_repeat_with_the_same_texts_is_a_duplicate(house: House) -> None:
    house.hears(saying(down(), "3% space left"))
    again = house.hears(saying(down(), "3% space left"))

    assert (again.code, told(house)) == ("duplicate", [EventType.OPENED])


def test_texts_of_an_alert_that_does_not_name_it_are_stored_and_come_up_when_it_does(house: House) -> None:
    house.hears(down(), saying(slow(), "2 s"))
    house.hears(down(), saying(slow(), "3 s"))
    quiet = told(house)
    house.hears(down(firing=False), saying(slow(), "4 s"))

    assert quiet == [EventType.OPENED]
    assert house.incident().title == "Slow: 4 s"


def test_texts_that_came_while_it_was_resolved_by_hand_are_shown_when_it_reopens(house: House) -> None:
    house.hears(saying(down(), "3% left"))
    house.says("resolve 1")
    house.clock.pass_by(minutes=2)
    house.hears(saying(down(), "2% left"))
    house.clock.pass_by(minutes=10)
    house.hears(saying(down(), "2% left"))

    assert shown(house) == (Severity.CRITICAL, "Down: 2% left", Status.OPEN)


def test_an_alert_stored_by_an_earlier_version_gets_its_texts_once_and_a_title_only_if_it_differs(house: House) -> None:
    house.hears(saying(down(), "3% left"))
    with house.store.begin() as tx:
        tx.sql.run("UPDATE alert SET text_digest = NULL")
    house.hears(saying(down(), "3% left"))
    same = told(house)
    with house.store.begin() as tx:
        tx.sql.run("UPDATE alert SET text_digest = NULL")
        tx.sql.run("UPDATE incident SET title = 'Down'")
    house.hears(saying(down(), "3% left"))

    assert same == [EventType.OPENED]
    assert house.incident().title == "Down: 3% left"
