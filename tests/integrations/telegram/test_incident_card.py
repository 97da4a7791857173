"""An incident's card in Telegram, as a phone shows it: in HTML that Telegram reads, and within its limits."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bot.core.alert import Severity
from bot.core.incident import Status
from bot.core.message import AlertSummary, Card, Contact, MessageKind, Notification, Situation
from bot.integrations.telegram.channel import Telegram
from bot.integrations.telegram.html import TEXT_UNITS, render_buttons, render_links
from bot.integrations.telegram.incident_card import render_incident
from bot.notifications.card import incident_card
from tests.fakes.door import SmallDoor
from tests.fakes.telegram import FakeTelegram
from tests.fakes.telegram_html import literal_code, read_html
from tests.house import NOON
from tests.integrations.telegram.room import INCIDENT, sent
from tests.notifications.pods import ONE, OPEN, SETTINGS, pod

TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["<b>", "&", "`x`", "😀", "\u202e", "@ana", "x" * 5000, "\n", "a`b"]),
)
MOMENTS = st.just(NOON)
ALERTS = st.builds(AlertSummary, text=TEXTS, firing=st.booleans(), since=MOMENTS, value=TEXTS)
CONTACTS = st.builds(Contact, id=TEXTS, name=TEXTS, account=st.sampled_from(["1001", "", "@ana", "1²"]))
SITUATIONS = st.builds(
    Situation,
    headword=TEXTS,
    holder=TEXTS,
    since=MOMENTS,
    acknowledged_at=st.none() | MOMENTS,
    resolved_at=st.none() | MOMENTS,
    count=TEXTS,
    description=TEXTS,
    facts=st.dictionaries(TEXTS, TEXTS, max_size=6),
    alerts=st.lists(ALERTS, max_size=5).map(tuple),
    more=st.integers(0, 10**6),
    links=st.dictionaries(TEXTS, TEXTS, max_size=4),
    on_call=st.lists(CONTACTS, max_size=3).map(tuple),
    notes=st.lists(TEXTS, max_size=3).map(tuple),
)


def told(card: Card, *, mention: bool = False) -> str:
    assert card.situation is not None
    return render_incident(card, card.situation, mention=mention).html


def test_an_open_incident_can_be_acted_on_by_somebody_who_was_asleep() -> None:
    settings = dataclasses.replace(SETTINGS, on_call=lambda *_: (Contact(id="ana", name="Ana Lima", account="1001"),))
    card = incident_card(ONE, settings, channel="telegram", alerts=[pod(0, value="12 restarts")])

    assert told(card, mention=True).splitlines() == [
        "<b>🔴 CRITICAL #7 KubePodCrashLooping payments/cart-0: Pod is crash looping.</b>",
        'nobody has it yet; on call: <a href="tg://user?id=1001">Ana Lima</a>',
        "since 23 Nov 12:00 UTC",
        "<blockquote>Container app restarts every 40 s.</blockquote>",
        "namespace: <code>payments</code>",
        "pod: <code>cart-0</code>",
        "Value: 12 restarts",
    ]
    assert "tg://" not in told(card), "an edit calls nobody"
    assert render_buttons(card) == [[("Acknowledge", f"ack {ONE.marked}"), ("Resolve", f"?resolve {ONE.marked}")]]
    assert render_links(card) == [
        [
            ("Runbook", "https://runbooks.example.com/loop"),
            ("Board", f"https://vakhta.example/incidents/7?mark={ONE.mark}"),
        ]
    ]


def test_several_alerts_are_listed_and_the_rest_is_a_command_away() -> None:
    card = incident_card(replace(OPEN, firing=7, total=7), SETTINGS, alerts=[pod(number) for number in range(7)])

    lines = told(card).splitlines()

    assert lines[-7:] == [
        "• cart-0", "• cart-1", "• cart-2", "• cart-3", "• cart-4", "and 2 more: <code>show 7</code>",
        "900 more alerts were not sent by am: its <code>max_alerts</code> is too low",
    ]  # fmt: skip


def test_each_state_looks_different_and_a_resolved_one_says_how_long_it_lasted() -> None:
    acked = incident_card(replace(ONE, status=Status.ACKED, owner="ana"), SETTINGS, alerts=[pod(0)])
    over = replace(ONE, status=Status.RESOLVED, firing=0, resolved_by="ana", resolved_at=NOON + timedelta(minutes=90))
    done = incident_card(over, SETTINGS, alerts=[pod(0, firing=False)])

    assert told(acked).splitlines()[:2] == [
        "<b>👀 ACKNOWLEDGED (critical) #7 KubePodCrashLooping payments/cart-0: Pod is crash looping.</b>",
        "Ana Lima has it",
    ]
    assert told(done).splitlines()[:3] == [
        "<b>✅ RESOLVED (critical) #7 KubePodCrashLooping payments/cart-0: Pod is crash looping.</b>",
        "resolved by Ana Lima",
        "23 Nov 12:00 UTC to 23 Nov 13:30 UTC, 1 h 30 min",
    ]
    assert "<blockquote>" not in told(done)
    assert render_buttons(done) == []


def test_a_long_description_is_folded_and_a_command_that_does_not_fit_a_button_is_left_out_where_it_may_be() -> None:
    card = incident_card(
        ONE, dataclasses.replace(SETTINGS, can_silence=True), alerts=[pod(0, description="Look at it. " * 40)]
    )

    assert "<blockquote expandable>" in told(card)
    assert "Silence" not in told(card)


@given(SITUATIONS, TEXTS, st.sampled_from(Status), st.sampled_from(Severity))
def test_any_incident_is_html_that_telegram_reads_and_fits(
    situation: Situation, title: str, status: Status, severity: Severity
) -> None:
    card = Card(title=title, status=status, severity=severity, situation=situation)

    text = render_incident(card, situation, mention=True)

    read = read_html(text.html)
    assert 0 < read.units <= TEXT_UNITS
    assert {tag for tag, _ in read.tags} <= {"b", "a", "code", "blockquote"}
    assert literal_code(read.text) == literal_code(text.plain) == []
    text.plain.encode()


def notice(card: Card, ref: str | None = None) -> Notification:
    return Notification(
        key="7:1", kind=MessageKind.CARD, incident=INCIDENT, event=None, card=card, ref=ref, due_at=NOON
    )


def test_the_buttons_of_links_are_posted_with_the_card_and_stay_when_a_resolve_is_asked_about(
    fake: FakeTelegram, door: SmallDoor, channel: Telegram
) -> None:
    ref = channel.deliver(notice(incident_card(ONE, SETTINGS, alerts=[pod(0)])))
    posted = next(iter(fake.posts.values()))
    door.standing = {("telegram", str(ref)): 7}

    sent(channel, fake.presses_on(posted, f"?resolve {ONE.marked}"))

    asked = next(iter(fake.posts.values()))
    assert door.heard == [], "nothing is done before the second press"
    assert fake.flashes[-1].alert
    assert fake.flashes[-1].text.startswith("Its alerts still fire. Nothing was done yet.")
    assert asked.buttons == {"Acknowledge": f"ack {ONE.marked}", "Resolve all the same": f"resolve {ONE.marked}"}
    assert asked.links == posted.links != {}

    sent(channel, fake.presses_on(asked, f"resolve {ONE.marked}"))

    assert [one.text for one in door.heard] == [f"resolve {ONE.marked}"]


@pytest.mark.parametrize("forged", ["?no-such 7", "?", "?yes 1"])
def test_a_question_that_no_button_asks_is_no_button(
    fake: FakeTelegram, door: SmallDoor, channel: Telegram, forged: str
) -> None:
    channel.deliver(notice(incident_card(ONE, SETTINGS, alerts=[pod(0)])))

    sent(channel, fake.presses_on(next(iter(fake.posts.values())), forged))

    assert door.heard == []
    assert fake.flashes[-1].text == "Unknown or expired button."
