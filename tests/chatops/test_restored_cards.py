"""After a restore numbers are given out again: a message sent before it never acts on another incident.

Nobody has to tell the bot about the restore: each message carries its incident's own marker.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from bot.alerts.internal import glass_broken
from bot.core.access import BreakGlassUse
from bot.core.incident import Incident, Status
from bot.core.request import Request
from bot.incidents import undelivered
from bot.integrations.slack.channel import Slack
from bot.integrations.telegram.channel import Telegram
from bot.notifications import card as cards
from bot.notifications.card import CardSettings
from bot.notifications.sender import Backoff, Sender
from tests.fakes.slack import FakeSlack
from tests.fakes.telegram import FakeTelegram
from tests.fakes.telegram_values import Posted
from tests.house import ANA, NOON, House, alert
from tests.integrations.slack.notices import hear, section
from tests.integrations.telegram.room import hears, sent, settings

_OF_INCIDENTS = ("trouble", "delivery", "event", "alert")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


class Chats:
    """The cards of one bot in Slack and Telegram, and a backup of its database that is restored."""

    def __init__(self, house: House, slack: FakeSlack, telegram: FakeTelegram) -> None:
        self.house = house
        self.slack_fake, self.telegram_fake = slack, telegram
        self.slack, self.telegram = Slack(section(slack)), Telegram(settings(telegram))
        self.channels = (self.slack, self.telegram)
        for channel in self.channels:
            channel.start(house.dispatcher)
        telegram.wait(lambda: hears(self.telegram), "Telegram to listen")
        house.delivery = Sender(
            house.store,
            self.channels,
            report_failure=partial(undelivered.report_undelivered, subscriptions=house.mouths),
            report_channel=partial(undelivered.report_channel, subscriptions=house.mouths),
            cards=CardSettings(public_url="http://vakhta.example"),
            on_commit=house.written.append,
            patience=Backoff(initial=timedelta(seconds=1), maximum=timedelta(seconds=1)),
        )

    def close(self) -> None:
        for channel in self.channels:
            channel.stop()

    def fire(self, name: str) -> Incident:
        """One more incident, and its cards."""
        self.house.clock.pass_by(minutes=10)
        number = len(self.house.incidents()) + 1
        self.house.hears(alert(name, group=name))
        self.house.drain(*self.channels)
        return self.house.incident(number)

    def put_back(self, last: int) -> None:
        """The database as it was when that incident was the newest."""
        with self.house.store.begin() as tx:
            for table in _OF_INCIDENTS:
                column = "incident_id"
                tx.sql.run(f"DELETE FROM {table} WHERE {column} > ?", last)
            tx.sql.run("DELETE FROM incident WHERE id > ?", last)
            tx.sql.run("DELETE FROM seen WHERE at > ?", 0)

    def card_in_slack(self, title: str) -> str:
        (found,) = [one for one in self.slack_fake.messages if title in one.text and one.thread_ts is None]
        return f"C1:{found.ts}"

    def card_in_telegram(self, title: str) -> Posted:
        (found,) = [one for one in self.telegram_fake.posts.values() if title in one.text and one.reply_to is None]
        return found

    def press_in_slack(self, title: str, label: str) -> str:
        ref = self.card_in_slack(title)
        words = str(self.slack_fake.message(ref).buttons[label]["value"])
        assert hear(self.slack, self.slack_fake, self.slack_fake.press(words, message=ref)).status == 200
        return self.slack_fake.whispers[-1].text

    def press_in_telegram(self, title: str, label: str, *, reported: bool = True) -> str:
        card = self.card_in_telegram(title)
        buttons = card.buttons
        held = tuple(buttons.values()) if reported else ()
        sent(self.telegram, self.telegram_fake.presses(card.message_id, buttons[label], keyboard=held))
        if buttons[label].startswith("?") and self.telegram_fake.flashes[-1].text.startswith("Its alerts still fire."):
            sure = buttons[label].removeprefix("?")
            sent(self.telegram, self.telegram_fake.presses(card.message_id, sure, keyboard=(sure,) if reported else ()))
        return self.telegram_fake.flashes[-1].text


@pytest.fixture
def chats(house: House) -> Iterator[Chats]:
    with FakeSlack() as slack, FakeTelegram() as telegram:
        made = Chats(house, slack, telegram)
        yield made
        made.close()


def without_marks(incident: Incident, *_: object, **_more: object) -> dict[str, str]:
    """The buttons from before there were markers."""
    return {"Acknowledge": f"ack {incident.id}", "Resolve": f"resolve {incident.id}"}


def test_a_button_of_a_card_does_what_it_says(chats: Chats) -> None:
    chats.fire("DiskFull")

    chats.press_in_slack("DiskFull", "Acknowledge")
    assert chats.house.incident(1).status is Status.ACKED
    chats.press_in_telegram("DiskFull", "Resolve")
    assert chats.house.incident(1).status is Status.RESOLVED


@pytest.mark.parametrize("label", ["Acknowledge", "Resolve"])
@pytest.mark.parametrize("marked", ["with marks", "of before there were marks"])
def test_the_button_of_an_old_card_touches_no_incident_that_has_its_number_now(
    chats: Chats, label: str, marked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        if marked != "with marks":
            before.setattr(cards, "_buttons", without_marks)
        chats.fire("Kept")
        chats.fire("DiskFull")
    chats.put_back(1)
    other = chats.fire("Payments")
    assert other.id == 2

    in_slack, in_telegram = chats.press_in_slack("DiskFull", label), chats.press_in_telegram("DiskFull", label)

    assert chats.house.incident(2) == other
    for told in (in_slack, in_telegram):
        assert "another incident than the one that is #2 now" in told
        assert "Nothing was done." in told


def test_an_old_card_loses_its_buttons_with_the_first_press(chats: Chats) -> None:
    chats.fire("Kept")
    chats.fire("DiskFull")
    chats.put_back(1)
    chats.fire("Payments")

    chats.press_in_slack("DiskFull", "Acknowledge")
    chats.press_in_telegram("DiskFull", "Acknowledge")

    in_slack = chats.slack_fake.message(chats.card_in_slack("DiskFull"))
    in_telegram = chats.card_in_telegram("DiskFull")
    assert "Acknowledge" not in in_slack.buttons
    assert "another incident" in in_slack.shown
    assert in_telegram.buttons == {}
    assert chats.slack_fake.message(chats.card_in_slack("Payments")).buttons


def test_an_incident_that_is_in_the_backup_keeps_its_card(chats: Chats) -> None:
    chats.fire("Kept")
    chats.fire("DiskFull")
    chats.put_back(1)
    chats.fire("Payments")

    chats.press_in_slack("Kept", "Acknowledge")

    assert chats.house.incident(1).owner == "ana"


def test_a_card_of_before_there_were_marks_works_where_it_is_known_to_stand(
    chats: Chats, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(cards, "_buttons", without_marks)
        chats.fire("Kept")

    chats.press_in_slack("Kept", "Acknowledge")
    assert chats.house.incident(1).owner == "ana"
    chats.press_in_telegram("Kept", "Resolve", reported=False)
    assert chats.house.incident(1).status is Status.RESOLVED


def test_a_card_too_old_to_be_reported_is_known_by_its_mark(chats: Chats) -> None:
    chats.fire("Kept")

    chats.press_in_telegram("Kept", "Acknowledge", reported=False)

    assert chats.house.incident(1).owner == "ana"


def test_what_is_said_below_an_old_card_is_about_no_incident_of_now(chats: Chats) -> None:
    chats.fire("Kept")
    chats.fire("DiskFull")
    chats.put_back(1)
    other = chats.fire("Payments")

    said = chats.slack_fake.mention("ack", thread=chats.card_in_slack("DiskFull"))
    hear(chats.slack, chats.slack_fake, said)
    sent(chats.telegram, chats.telegram_fake.says("/ack", to=chats.card_in_telegram("DiskFull").message_id))

    assert chats.house.incident(2) == other
    assert "Which incident?" in chats.slack_fake.whispers[-1].text
    assert "Which incident?" in list(chats.telegram_fake.posts.values())[-1].text


def test_what_somebody_types_is_their_own_view_of_now(chats: Chats) -> None:
    chats.fire("DiskFull")
    chats.put_back(0)
    chats.fire("Payments")

    reply = chats.house.dispatcher.handle(Request(by=ANA, text="ack 1", channel="slack"))

    assert reply.ok
    assert chats.house.incident(1).owner == "ana"


@pytest.mark.parametrize("verb", ["ack", "resolve", "show", "note", "severity"])
def test_a_number_with_a_mark_is_that_incident_or_none_whatever_is_asked(house: House, verb: str) -> None:
    house.hears(alert())
    rest = {"note": " seen", "severity": " critical"}.get(verb, "")
    right, wrong = house.incident(1).marked, "1-000000000000"

    refused = house.dispatcher.handle(Request(by=ANA, text=f"{verb} {wrong}{rest}", channel="slack"))
    nowhere = house.dispatcher.handle(Request(by=ANA, text=f"{verb} 7-000000000000{rest}", channel="slack"))
    taken = house.dispatcher.handle(Request(by=ANA, text=f"{verb} {right}{rest}", channel="slack"))

    assert (refused.ok, nowhere.ok, taken.ok) == (False, False, True)
    assert refused.text.replace("#1", "#7") == nowhere.text  # it tells nobody which numbers there are


def test_a_card_that_was_tried_is_not_taken_for_one_of_before_the_restore(chats: Chats) -> None:
    """The bot died while it posted: the next try looks in the channel for what there may be already."""
    house = chats.house
    chats.fire("DiskFull")
    chats.put_back(0)
    house.clock.pass_by(seconds=30)
    house.hears(alert("Payments", group="Payments"))
    chats.slack_fake.answer_next(reset=True, times=1, path="chat.postMessage")
    house.drain(chats.slack)
    house.clock.pass_by(minutes=2)
    house.drain(chats.slack)

    assert chats.card_in_slack("DiskFull") != chats.card_in_slack("Payments")


def test_a_page_that_a_person_makes_is_not_folded_into_one_of_before_the_restore(chats: Chats) -> None:
    def paged() -> str:
        house = chats.house
        house.clock.pass_by(minutes=1)
        number = len(house.incidents()) + 1
        assert house.dispatcher.handle(Request(by=ANA, text="page the database is gone", channel="slack")).ok
        return house.incident(number).page_key

    before = paged()
    chats.put_back(0)

    assert paged() != before
    assert (
        chats.house.dispatcher.incident_paged_as(before) is None
    )  # what PagerDuty tells of the old one is about none of now


def test_the_word_of_a_broken_glass_is_not_folded_into_one_of_before_the_restore() -> None:
    first = BreakGlassUse(
        id=1, person="ana", reason="the pager is gone", opened_at=NOON, until=NOON + timedelta(minutes=30)
    )
    again = replace(first, opened_at=NOON + timedelta(hours=1), until=NOON + timedelta(minutes=90))

    groups = {glass_broken(one, "Ana", "").group for one in (first, again)}

    assert len(groups) == 2
    assert glass_broken(first, "Ana", "", ended_at=NOON).group in groups


def test_a_mark_is_the_same_for_as_long_as_the_incident_lasts(house: House) -> None:
    house.hears(alert())
    before = house.incident(1).mark
    house.clock.pass_by(minutes=5)
    for words in ("ack 1", "severity 1 warning", "resolve 1", "reopen 1 because it is back"):
        assert house.dispatcher.handle(Request(by=ANA, text=words, channel="slack")).ok, words

    assert house.incident(1).mark == before
    assert len(f"resolve {2**63 - 1}-{before}".encode()) <= 64


def test_the_refusal_is_on_record(house: House) -> None:
    house.hears(alert())
    ask = Request(by=ANA, text="ack 1-000000000000", channel="slack", idempotency_key="press")

    first, second = house.dispatcher.handle(ask), house.dispatcher.handle(replace(ask))

    assert (first.ok, first.plan_closed, second.repeated) == (False, True, True)
    assert "REJECTED" in [code.name for code in house.audited()]
