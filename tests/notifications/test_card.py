"""The card of an incident."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

from msgspec.structs import replace

from bot.core.alert import view_of
from bot.core.catalog import Catalog, Service
from bot.core.incident import Course, Coverage, Status
from bot.core.message import AlertSummary, Card, Contact, Situation
from bot.core.run_state import RunStatus, State
from bot.notifications.card import CardSettings, incident_card
from tests.house import NOON, alert
from tests.notifications.pods import ONE, OPEN, SETTINGS, pod


def situation(card: Card) -> Situation:
    assert card.situation is not None
    return card.situation


def test_a_card_says_how_bad_what_where_since_when_who_and_what_to_do() -> None:
    card = incident_card(ONE, SETTINGS, channel="slack", alerts=[pod(0)])

    assert card.title == "#7 KubePodCrashLooping payments/cart-0: Pod is crash looping."
    assert card.lines == (
        "CRITICAL: nobody has it yet; on call: Ana Lima",
        "Since 2026-11-23 12:00 UTC",
        "Container app restarts every 40 s.",
        "namespace: payments, pod: cart-0",
        "Runbook: https://runbooks.example.com/loop",
    )
    assert card.buttons == {"Acknowledge": f"ack {ONE.marked}", "Resolve": f"resolve {ONE.marked}"}
    assert card.primary == "Acknowledge"
    assert card.confirm == {
        "Resolve": "1 alert still fires. Resolve #7 all the same? If they go on, it opens again and pages."
    }
    assert card.link == f"https://vakhta.example/incidents/7?mark={OPEN.mark}"
    assert situation(card).on_call == (Contact(id="ana", name="Ana Lima", account="payments@slack"),)


def test_several_alerts_are_listed_by_what_tells_them_apart_and_the_one_that_names_it_comes_first() -> None:
    pods = [pod(number, value=f"{number} restarts") for number in reversed(range(8))]

    told = situation(incident_card(replace(OPEN, firing=8, total=9), SETTINGS, alerts=pods))

    assert told.count == "8 firing, 1 ended"
    assert told.alerts[0] == AlertSummary(text="cart-0", firing=True, since=NOON, value="0 restarts")
    assert [one.text for one in told.alerts] == ["cart-0", "cart-7", "cart-6", "cart-5", "cart-4"]
    assert told.more == 3
    assert told.facts == {"namespace": "payments"}
    assert told.since == NOON - timedelta(minutes=7)


def test_alerts_that_have_ended_are_not_listed_beside_those_that_fire() -> None:
    told = situation(incident_card(ONE, SETTINGS, alerts=[pod(1), pod(0, firing=False)]))

    assert told.alerts == ()
    assert told.facts["pod"] == "cart-1"


def test_the_value_of_a_single_alert_and_what_the_source_left_out_are_said() -> None:
    told = situation(incident_card(replace(ONE, truncated=900), SETTINGS, alerts=[pod(0, value="97 %")]))

    assert told.notes == ("Value: 97 %", "900 more alerts were not sent by am: its `max_alerts` is too low")


def test_an_acknowledged_incident_says_who_has_it() -> None:
    card = incident_card(replace(OPEN, status=Status.ACKED, owner="ana"), SETTINGS)

    assert card.lines[0] == "ACKNOWLEDGED (critical): Ana Lima has it"
    assert card.buttons == {"Resolve": f"resolve {OPEN.marked}"}


def test_a_resolved_incident_says_by_whom_and_offers_and_calls_nobody() -> None:
    over = replace(OPEN, status=Status.RESOLVED, resolved_by="alertmanager", resolved_at=NOON, firing=0)

    card = incident_card(over, SETTINGS, alerts=[pod(0, firing=False)])

    assert card.lines[:3] == (
        "RESOLVED (critical): resolved by alertmanager",
        "2 ended, since 2026-11-23 12:00 UTC",
        "Resolved 2026-11-23 12:00 UTC",
    )
    assert (card.buttons, card.confirm, situation(card).on_call) == ({}, {}, ())


def test_of_a_resolved_incident_no_alert_is_listed_as_if_it_fired() -> None:
    over = replace(OPEN, status=Status.RESOLVED, resolved_by="alertmanager", resolved_at=NOON, firing=0)

    assert situation(incident_card(over, SETTINGS, alerts=[pod(0, firing=False), pod(1, firing=False)])).alerts == ()


def test_what_pages_again_asks_for_another_acknowledgement_and_dates_none() -> None:
    covered = Coverage(at=NOON, firing=1, by="Zoe", paged=True)
    again = replace(OPEN, status=Status.ACKED, owner="zoe", course=Course(covered=covered))

    told = situation(incident_card(again, SETTINGS, alerts=[pod(0)]))

    assert told.notes[0] == "More has happened since it was acknowledged: acknowledge it again"
    assert (told.holder, told.acknowledged_at) == ("Zoe has it", None)


def test_an_assigned_incident_says_that_nobody_has_acknowledged_it() -> None:
    card = incident_card(replace(OPEN, owner="ana"), CardSettings(names={"ana": "Ana Lima"}))

    assert card.lines[0] == "CRITICAL: assigned to Ana Lima, who has not acknowledged it"


def test_a_silence_is_offered_where_it_can_be_made_and_names_what_all_alerts_have() -> None:
    can = dataclasses.replace(SETTINGS, can_silence=True)

    offered = incident_card(OPEN, can, alerts=[pod(0), pod(1)]).buttons

    assert offered["Silence 2h"] == "silence alertname=KubePodCrashLooping namespace=payments for 2h"
    assert "Silence 2h" not in incident_card(OPEN, can).buttons
    assert "Silence 2h" not in incident_card(OPEN, SETTINGS, alerts=[pod(0)]).buttons


def test_a_card_says_which_runs_need_somebody_or_go_on_and_is_silent_of_those_that_are_at_rest() -> None:
    one = RunStatus(
        run="1a2b3c4d" * 4, command="scale prod/api 4", by="ana", target="prod/api", state=State.DONE, reason="",
        began_at=NOON,
    )  # fmt: skip
    unwell, running = (
        dataclasses.replace(one, state=State.DEGRADED),
        dataclasses.replace(one, state=State.RUNNING),
    )

    told = incident_card(OPEN, SETTINGS, runs=(running, unwell, one))
    quiet = incident_card(OPEN, SETTINGS, runs=(one,))

    assert situation(told).notes[-1] == "Runs: 1 done but not well, 1 running. Details: `runs`"
    assert quiet.lines == incident_card(OPEN, SETTINGS).lines


_SHOP = Service(
    name="shop",
    owner="team web",
    runbooks=("https://wiki.example.com/shop", "the red folder", "http://localhost/book", "https://wiki.example.com/2"),
    links={
        "Dashboard": "https://grafana.example.com/shop",
        "Traces": "https://traces.example.com/shop",
        "Inside": "http://grafana.monitoring.svc/shop",
        "Never": "https://example.com/never",
    },
)


def of_shop(**notes: str) -> Situation:
    given = view_of(replace(alert(labels={"pod": "shop-1", "owner": "someone"}), annotations=notes))
    known = CardSettings(catalog=Catalog(services=(_SHOP,)))
    return situation(incident_card(replace(ONE, service="shop"), known, alerts=[given]))


def test_the_owner_of_its_service_is_on_the_card_instead_of_a_label_of_that_name() -> None:
    assert list(of_shop().facts.items())[:2] == [("service", "shop"), ("owner", "team web")]


def test_runbooks_and_links_of_its_service_are_few_and_only_such_as_open() -> None:
    assert of_shop().links == {
        "Runbook": "https://wiki.example.com/shop",
        "Runbook 2": "https://wiki.example.com/2",
        "Dashboard": "https://grafana.example.com/shop",
        "Traces": "https://traces.example.com/shop",
    }


def test_they_stand_behind_those_of_the_alert_and_no_address_comes_twice() -> None:
    same = "https://grafana.example.com/shop"
    told = of_shop(runbook_url="https://wiki.example.com/alert", dashboard_url=same)

    assert list(told.links) == ["Runbook", "Dashboard", "Service runbook", "Service runbook 2", "Traces"]
    assert list(told.links.values()).count(same) == 1
