"""show: an incident as one message of a chat: its alerts, their texts and links, who was notified, events and runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as structs_replace

from bot.core.alert import Alert, AlertView, Severity
from bot.core.incident import Event, EventType, Incident, Status
from bot.core.incident_detail import IncidentDetail
from bot.core.message import Contact, MessageKind
from bot.integrations.slack.blocks import escape
from bot.integrations.telegram.html import TEXT_UNITS, flatten, utf16_length
from bot.notifications.card import CardSettings, incident_card
from bot.notifications.places import PLACE_ORDER
from commands.show import shown
from tests.house import ACCOUNTS, NOON, House, alert, down

#: The longest text of a message in Slack: what `escape` cuts at.
SLACK_TEXT = 3900
_ANY = 1_000_000
_RUNBOOK = "https://runbooks.example.com/kubepodcrashlooping"


def crash(pod: str, *, value: str = "", description: str = "", **more: str) -> Alert:
    """A crash loop as kube-prometheus reports it, with labels that only say who counted it."""
    of_it = alert(
        "KubePodCrashLooping",
        fingerprint=pod,
        severity="warning",
        labels={
            "cluster": "prod-eu", "namespace": "payments", "pod": pod, "container": "app", "job": "kube-state-metrics",
            "instance": "10.0.0.9:8080", "prometheus": "monitoring/k8s", **more,
        },
    )  # fmt: skip
    notes = {"summary": "Pod is crash looping.", "runbook_url": _RUNBOOK}
    notes |= {"description": description or f"Pod payments/{pod} is in waiting state."} | (
        {"value": value} if value else {}
    )
    return structs_replace(of_it, annotations=notes, link="https://prometheus.example.com/graph?g0.expr=up")


def sections(house: House, words: str = "show 1") -> list[list[str]]:
    reply = house.says(words)
    assert reply.ok, reply.text
    return [part.splitlines() for part in reply.text.split("\n\n")]


def section(house: House, heading: str) -> list[str]:
    return next((one[1:] for one in sections(house) if one[0] == heading), [])


def test_the_first_lines_say_what_where_how_bad_who_has_it_and_since_when(house: House) -> None:
    house.hears(crash("checkout-a"), crash("checkout-b"))
    house.says("ack 1")
    house.clock.pass_by(minutes=23)

    assert sections(house)[0] == [
        "#1 KubePodCrashLooping prod-eu/payments/checkout-a: Pod is crash looping.",
        "ACKNOWLEDGED (warning): Ana has it",
        "2 firing, since 12:00 UTC (23 min ago)",
    ]


def test_what_all_alerts_have_is_said_once_and_each_by_what_tells_it_apart(house: House) -> None:
    house.hears(crash("checkout-a", value="7"), crash("checkout-b", value="9"))

    _, texts, firing, *_ = sections(house)

    assert texts == [
        "Pod payments/checkout-a is in waiting state.",
        "cluster: prod-eu, namespace: payments, container: app",
    ]
    assert firing == ["Firing:", "- checkout-a (7), since 12:00", "- checkout-b (9), since 12:00"]


def test_texts_of_alerts_are_shown_where_they_say_more_than_the_alerts_name(house: House) -> None:
    house.hears(crash("checkout-a"), crash("checkout-b", description="The image of checkout-b cannot be pulled."))

    assert section(house, "Firing:") == [
        "- checkout-a, since 12:00",
        "  Pod payments/checkout-a is in waiting state.",
        "- checkout-b, since 12:00",
        "  The image of checkout-b cannot be pulled.",
    ]


def test_one_alert_alone_is_not_listed_again(house: House) -> None:
    house.hears(crash("checkout-a", value="7"))

    head, texts, *_ = sections(house)

    assert "Value: 7" in head
    assert texts == [
        "Pod payments/checkout-a is in waiting state.",
        "cluster: prod-eu, namespace: payments, pod: checkout-a, container: app",
    ]
    assert section(house, "Firing:") == []


def test_many_alerts_are_named_in_one_line_after_the_first(house: House) -> None:
    house.hears(*(crash(f"checkout-{number:02}") for number in range(1, 13)))

    firing = section(house, "Firing:")

    assert firing[0] == "- checkout-01, since 12:00"
    assert firing[8:] == ["and checkout-09, checkout-10, checkout-11, checkout-12"]


def test_alerts_that_have_no_room_are_counted(house: House) -> None:
    house.hears(*(crash(f"checkout-{'x' * 30}-{number:03}") for number in range(1, 301)))

    *_, named, counted = section(house, "Firing:")

    listed = named.removeprefix("and ").split(", ")
    assert counted == f"and {300 - 8 - len(listed)} more"


def test_what_has_ended_is_listed_once_nothing_fires(house: House) -> None:
    house.hears(crash("checkout-a"), crash("checkout-b"))
    house.clock.pass_by(minutes=30)
    ended = [
        structs_replace(crash(pod), firing=False, ends_at=NOON + timedelta(minutes=29))
        for pod in ("checkout-a", "checkout-b")
    ]
    house.hears(*ended)

    head = sections(house)[0]

    assert head[1].startswith("RESOLVED (warning): resolved by ")
    assert head[2] == "2 ended, since 12:00 UTC until 12:30 UTC"
    assert section(house, "Ended:") == ["- checkout-a, ended 12:30", "- checkout-b, ended 12:30"]


def test_links_are_said_once_and_only_those_that_a_reader_can_open(house: House) -> None:
    inside = structs_replace(crash("checkout-b"), link="http://prometheus-k8s-0:9090/graph")
    house.hears(crash("checkout-a"), inside)

    links = next(part for part in sections(house) if part[0].startswith("Runbook"))

    assert links == [
        f"Runbook: {_RUNBOOK}",
        "Query: https://prometheus.example.com/graph?g0.expr=up",
        f"Board: http://vakhta.example/incidents/1?mark={house.incident().mark}",
    ]


def test_a_link_of_another_kind_of_alert_is_named_after_it(house: House) -> None:
    other = alert("KubeJobFailed", fingerprint="j", severity="warning", labels={"namespace": "payments"})
    other = structs_replace(other, annotations={"runbook_url": "https://runbooks.example.com/kubejobfailed"})
    house.hears(crash("checkout-a"), other)

    links = next(part for part in sections(house) if part[0].startswith("Runbook"))

    assert f"Runbook (KubePodCrashLooping): {_RUNBOOK}" in links
    assert "Runbook (KubeJobFailed): https://runbooks.example.com/kubejobfailed" in links


def test_a_link_longer_than_a_phones_screen_is_left_to_the_board(house: House) -> None:
    house.hears(structs_replace(crash("checkout-a"), link=f"https://prometheus.example.com/graph?g0.expr={'x' * 400}"))

    assert "Query:" not in house.says("show 1").text


def test_a_board_that_only_this_machine_can_open_is_no_link(house: House) -> None:
    house.cards = CardSettings(public_url="http://127.0.0.1:8080")
    house.settle(ACCOUNTS)
    house.hears(crash("checkout-a"))

    assert "Board:" not in house.says("show 1").text


def test_who_was_notified_is_said_for_each_channel_pagers_first(house: House) -> None:
    house.hears(crash("checkout-a"))
    house.drain()
    house.clock.pass_by(minutes=5)

    assert section(house, "Notified:") == [
        "PagerDuty: paged 12:00",
        "Slack: posted, as of 12:00",
        "Telegram: posted, as of 12:00",
    ]


def test_whoever_a_chat_mentions_is_named_where_they_have_an_account(house: House) -> None:
    contact = {"slack": Contact(id="bo", name="Bo", account="U2"), "telegram": Contact(id="bo", name="Bo")}
    house.cards = replace(house.cards, on_call=lambda _, channel: (contact[channel],) if channel in contact else ())
    house.settle(ACCOUNTS)
    house.hears(crash("checkout-a"))
    house.drain()

    assert section(house, "Notified:")[1:] == [
        "Slack: posted, as of 12:00, mentions Bo",
        "Telegram: posted, as of 12:00",
    ]


def test_a_message_that_does_not_arrive_says_why_and_when_it_is_tried_again(house: House) -> None:
    house.hears(crash("checkout-a"))
    house.pagerduty.fail_with = [down("PagerDuty failed (503)", after=timedelta(minutes=2))]
    house.slack.fail_with = [down("channel_not_found", permanent=True)]
    house.drain(house.pagerduty)
    house.drain(house.slack)

    assert section(house, "Notified:") == [
        "PagerDuty: page NOT DELIVERED yet, next try 12:01: PagerDuty failed (503)",
        "Slack: card NOT DELIVERED, and is not tried again: channel_not_found",
        "Telegram: card not sent yet, it waits since 12:00",
    ]


def test_a_card_that_is_out_of_date_says_so(house: House) -> None:
    house.hears(crash("checkout-a"))
    house.drain()
    house.says("ack 1")
    house.slack.fail_with = [down("is_archived", permanent=True)]
    house.drain(house.slack)

    (said,) = [line for line in section(house, "Notified:") if line.startswith("Slack")]
    assert said.startswith("Slack: posted, but its newest state was NOT DELIVERED, and is not tried again: is_archived")


def test_a_pager_that_does_not_take_it_says_that_it_is_not_paged(house: House) -> None:
    house.mouths = [
        replace(one, accepts=lambda _: False) if MessageKind.PAGE in one.kinds else one for one in house.mouths
    ]
    house.settle(ACCOUNTS)
    house.says("page prod/api it hangs")
    with house.store.begin() as tx:
        tx.sql.run("DELETE FROM delivery WHERE kind = 'page'")

    assert section(house, "Notified:")[0] == "PagerDuty: not paged: it takes no critical incidents"


def test_without_any_channel_nobody_was_notified(house: House) -> None:
    house.hears(crash("checkout-a"))
    with house.store.begin() as tx:
        tx.sql.run("DELETE FROM delivery")
    house.mouths = []
    house.settle(ACCOUNTS)

    assert section(house, "Notified:") == ["nobody: no chat and no pager is set up"]


def test_the_last_events_are_what_people_did_and_not_counts_of_alerts(house: House) -> None:
    house.hears(crash("checkout-a"))
    for number in range(1, 10):
        house.says(f"note 1 step {number}")
        house.hears(crash(f"checkout-{number}"))

    assert section(house, "Last events (UTC):") == [f"12:00 Ana: step {number}" for number in range(2, 10)]


def test_events_of_another_day_have_their_date(house: House) -> None:
    house.hears(crash("checkout-a"))
    house.clock.pass_by(days=1)
    house.says("note 1 still there")

    assert section(house, "Last events (UTC):")[0].startswith("11-23 12:00 KubePodCrashLooping")
    assert section(house, "Last events (UTC):")[-1] == "12:00 Ana: still there"
    assert sections(house)[0][2] == "Since 11-23 12:00 UTC (1 d ago)"


def test_runs_that_were_asked_for_there_are_listed(house: House) -> None:
    house.hears(crash("checkout-a"))
    plan = house.says("turn prod/api 6", here=1)
    assert plan.card is not None
    house.says(next(iter(plan.card.buttons.values())), here=1)

    (run,) = section(house, "Runs:")
    assert " done: turn prod/api 6 (ana, 2026-11-23 12:00 UTC)." in run


def test_a_page_by_hand_has_no_alerts(house: House) -> None:
    house.says("page prod/api the checkout hangs")

    assert sections(house)[0] == [
        "#1 Ana: the checkout hangs",
        "CRITICAL: nobody has it yet",
        "Since 12:00 UTC (just now)",
    ]


_NAMES = st.sampled_from(["alertname", "namespace", "pod", "instance", "service", "value", "description", "summary"])
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=900) | st.sampled_from(
    ["<&>@" * 200, "\n" * 700, "https://x.example/" + "y" * 220, "🔥" * 500]
)
_MAPPINGS = st.dictionaries(_NAMES | st.text(min_size=1, max_size=60), _TEXT, max_size=8)


@given(st.lists(st.tuples(_MAPPINGS, _MAPPINGS), max_size=40), st.lists(_TEXT, max_size=8), _TEXT)
def test_whatever_the_alerts_contain_it_is_one_message_in_every_chat(
    alerts: Sequence[tuple[Mapping[str, str], Mapping[str, str]]], events: Sequence[str], title: str
) -> None:
    text = shown(*incident_of(alerts, events, title))

    assert len(escape(text, _ANY)) <= SLACK_TEXT
    assert utf16_length(flatten(text, _ANY)) <= TEXT_UNITS
    assert text.startswith("#7")


def incident_of(
    alerts: Sequence[tuple[Mapping[str, str], Mapping[str, str]]], events: Sequence[str], title: str
) -> tuple[Incident, IncidentDetail]:
    incident = Incident(
        id=7, key="k", source="alertmanager", title=title, severity=Severity.WARNING, status=Status.OPEN,
        opened_at=NOON, changed_at=NOON, firing=len(alerts), total=len(alerts),
    )  # fmt: skip
    views = tuple(
        AlertView(
            source="alertmanager", fingerprint=str(number), firing=True, labels=labels, notes=notes, starts_at=NOON,
            ended_at=None, link=notes.get("summary", ""),
        )
        for number, (labels, notes) in enumerate(alerts)
    )  # fmt: skip
    situation = incident_card(incident, CardSettings(), alerts=views).situation
    assert situation is not None
    detail = IncidentDetail(
        situation=situation, alerts=views, place_order=PLACE_ORDER, notified=tuple(f"Slack: {one}" for one in events),
        events=tuple(Event(incident_id=7, at=NOON, type=EventType.NOTED, by="ana", text=one) for one in events),
        runs=(), now=NOON, link="https://vakhta.example.com/incidents/7",
    )  # fmt: skip
    return incident, detail


def test_what_has_no_room_is_said_to_be_on_the_board() -> None:
    alerts = [({"alertname": "X", "pod": f"p{number}"}, {"description": f"{number} " * 200}) for number in range(40)]

    text = shown(*incident_of(alerts, ["e" * 900] * 8, "X"))

    assert text.splitlines()[-1] == "There is more than fits here: the board has all of #7."
    assert len(text) > 3000
    assert all(heading in text for heading in ("Firing:", "Notified:", "Last events (UTC):"))


@pytest.mark.parametrize("number", [1, 2])
def test_an_incident_that_does_not_exist_is_refused(house: House, number: int) -> None:
    assert house.says(f"show {number}").text == f"Incident {number} does not exist. Nothing was done."
