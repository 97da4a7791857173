"""page: who is paged and by what, or plainly that nobody is; and what a service is that exists."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.incident import EventType
from bot.core.message import Contact, MessageKind
from bot.core.request import Request
from tests.house import ACCOUNTS, ANA, House, alert


def on_call(house: House, *people: str, service: str = "prod/api") -> None:
    house.on_call = {service: list(people)}
    house.settle(ACCOUNTS)


def without_pager(house: House) -> None:
    house.mouths = [one for one in house.mouths if MessageKind.PAGE not in one.kinds]
    house.settle(ACCOUNTS)


def said(house: House, words: str) -> list[str]:
    reply = house.says(words)
    assert reply.ok, reply.text
    return reply.text.splitlines()


def test_it_says_by_what_somebody_is_paged_and_who_is_on_call(house: House) -> None:
    on_call(house, "bo", "cy")

    assert said(house, "page prod/api the checkout hangs") == [
        "Incident 1 is open and pages: the checkout hangs",
        "PagerDuty pages whoever is on call there.",
        "On call for prod/api, by the settings: Bo and Cy.",
        "Posted in Slack and Telegram.",
    ]


def test_a_page_about_an_incident_names_who_is_on_call_for_its_service(house: House) -> None:
    on_call(house, "bo", service="shop")
    house.hears(alert(labels={"service": "shop"}))

    assert "On call for shop, by the settings: Bo." in said(house, "page 1 please join")


def test_without_a_pager_it_says_first_that_nobody_is_paged_and_whom_to_call(house: House) -> None:
    on_call(house, "bo")
    without_pager(house)

    assert said(house, "page prod/api the checkout hangs") == [
        "Nobody is paged. Incident 1 is open: the checkout hangs",
        "No pager is set up under `channels`.",
        "On call for prod/api, by the settings: Bo. Call Bo.",
        "Posted in Slack and Telegram.",
    ]


def test_without_a_pager_and_anybody_on_call_it_says_both(house: House) -> None:
    without_pager(house)

    assert said(house, "page prod/api the checkout hangs")[1:] == [
        "No pager is set up under `channels`.",
        "Nobody is on call for prod/api now, by the settings. Call somebody who can help.",
        "Posted in Slack and Telegram.",
    ]


def test_a_pager_that_takes_no_critical_incidents_pages_nobody(house: House) -> None:
    house.mouths = [
        replace(one, accepts=lambda _: False) if MessageKind.PAGE in one.kinds else one for one in house.mouths
    ]
    house.settle(ACCOUNTS)

    lines = said(house, "page prod/api the checkout hangs")

    assert lines[0].startswith("Nobody is paged. ")
    assert lines[1] == "PagerDuty does not page for critical incidents: see its `severities` in the settings."


def test_a_pager_in_trouble_is_named_with_whom_to_call_meanwhile(house: House) -> None:
    on_call(house, "bo")
    house.pagerduty.problem = "PagerDuty refused the event (403): no such key"

    lines = said(house, "page prod/api the checkout hangs")

    assert lines[0] == "Incident 1 is open and pages: the checkout hangs"
    assert lines[2:4] == [
        "PagerDuty is in trouble, so the page may be late or lost: PagerDuty refused the event (403): no such key",
        "On call for prod/api, by the settings: Bo. Call Bo.",
    ]


def test_who_pages_and_is_on_call_alone_is_not_told_to_call_themselves(house: House) -> None:
    on_call(house, "ana")
    without_pager(house)

    lines = said(house, "page prod/api the checkout hangs")

    assert "On call for prod/api, by the settings: you. Call somebody else if you need help." in lines


def test_whoever_the_chats_mention_is_named(house: House) -> None:
    on_call(house, "bo")
    bo = Contact(id="bo", name="Bo", account="U2")
    house.cards = replace(house.cards, on_call=lambda service, _: (bo,) if service == "prod/api" else ())
    house.settle(ACCOUNTS)

    assert said(house, "page prod/api it hangs")[-1] == "Posted in Slack and Telegram, with a mention of Bo."


def test_without_a_chat_only_the_board_shows_it(house: House) -> None:
    house.mouths = []
    house.settle(ACCOUNTS)

    assert said(house, "page prod/api the checkout hangs")[-1] == "No chat is set up: only the board shows it."


def test_a_service_that_the_catalog_lacks_is_asked_about_and_nothing_is_opened(house: House) -> None:
    house.services = ("prod/api", "prod/apt", "prod/web")
    house.settle(ACCOUNTS)

    reply = house.says("page prod/apj the checkout hangs")

    assert not reply.ok
    assert reply.text == (
        "'prod/apj' is not a known service, so nobody was paged. Did you mean `prod/apt` or `prod/api`?"
        " To page for no service: `page anyone the checkout hangs`. Nothing was done."
        " Usage: page <incident|service|anyone> <text>"
    )
    assert house.incidents() == []


def test_a_service_that_the_catalog_lacks_exists_once_alerts_have_named_it(house: House) -> None:
    house.services = ("prod/api",)
    house.settle(ACCOUNTS)
    house.hears(alert(labels={"service": "Legacy DB"}))

    assert house.says('page "Legacy DB" it hangs').ok
    assert house.incident(2).service == "Legacy DB"


def test_without_a_catalog_the_services_of_alerts_are_those_that_exist(house: House) -> None:
    house.hears(alert(labels={"service": "checkout"}))

    mistyped, right = house.says("page chekout it hangs"), house.says("page checkout it hangs")

    assert (mistyped.ok, right.ok) == (False, True)
    assert "'chekout' is not a known service, so nobody was paged. Did you mean `checkout`?" in mistyped.text
    assert len(house.incidents()) == 2


def test_a_service_like_no_other_is_shown_with_those_that_are_known(house: House) -> None:
    house.hears(alert(labels={"service": "checkout"}))

    reply = house.says("page nobody is here")

    assert "'nobody' is not a known service, so nobody was paged. Known: checkout." in reply.text
    assert "To page for no service: `page anyone nobody is here`" in reply.text


def test_while_no_service_is_known_at_all_a_page_is_never_held_up(house: House) -> None:
    assert house.says("page prod/payments it hangs").ok
    assert house.incident().service == "prod/payments"


def test_a_service_that_only_a_page_has_named_is_not_thereby_known(house: House) -> None:
    house.says("page prod/chekout it hangs")
    house.hears(alert(labels={"service": "checkout"}))

    assert not house.says("page prod/chekout it still hangs").ok


def test_anyone_can_be_paged_for_no_service(house: House) -> None:
    house.hears(alert(labels={"service": "checkout"}))

    lines = said(house, "page Anyone the office has no network")

    assert lines[0] == "Incident 2 is open and pages: the office has no network"
    assert house.incident(2).service is None
    assert not any("On call" in line for line in lines)


def test_in_a_thread_anyone_is_a_word_of_the_text(house: House) -> None:
    house.hears(alert())

    reply = house.says("page anyone awake?", here=1)

    assert reply.text.splitlines()[0] == "Incident 2 is open and pages: anyone awake? (about #1 HighErrorRate)"


def test_a_service_that_begins_with_a_digit_is_no_incident(house: House) -> None:
    house.services = ("3scale",)
    house.settle(ACCOUNTS)

    assert house.says("page 3scale it hangs").ok
    assert house.incident().service == "3scale"


@pytest.mark.parametrize("text", ["with a `backtick`", "x" * 200])
def test_a_text_that_cannot_be_offered_again_is_left_out(house: House, text: str) -> None:
    house.hears(alert(labels={"service": "checkout"}))

    assert "To page for no service: `page anyone <text>`" in house.says(f"page chekout {text}").text


def test_the_form_of_a_page_knows_the_services_of_alerts_as_well(house: House) -> None:
    house.services = ("prod/api",)
    house.settle(ACCOUNTS)
    house.hears(alert(labels={"service": "checkout"}))
    request = Request(by=ANA, text="page", channel="slack", account="U1")

    known, unknown = (
        house.dispatcher.submit_form(request, {"subject": service, "text": "it hangs"})
        for service in ("checkout", "chekout")
    )

    assert known.text == "page checkout it hangs"
    assert "Did you mean `checkout`?" in unknown.errors["subject"]


def test_a_page_is_about_the_event_that_pagers_hear(house: House) -> None:
    """A pager that is not told of openings would page nobody."""
    house.mouths = [
        replace(one, event_types=one.event_types - {EventType.OPENED}) if MessageKind.PAGE in one.kinds else one
        for one in house.mouths
    ]
    house.settle(ACCOUNTS)

    assert said(house, "page prod/api it hangs")[0].startswith("Nobody is paged.")
