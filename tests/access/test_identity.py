"""Somebody says something: it happens once, in one commit, and everybody else hears of it."""

from __future__ import annotations

import threading

import pytest

import commands
from bot.access.policy import ALWAYS_ALLOWED
from bot.core.incident import Status
from bot.core.request import Principal, Request
from tests.house import ANA, BO, House, alert, verbs_listed

_VERBS = sorted([*commands.find(), *commands.actions(), "turn"])


def test_an_ack_gives_the_incident_an_owner_and_tells_every_chat_and_the_pager(house: House) -> None:
    house.hears(alert())
    house.drain()

    reply = house.says("ack 1")
    house.drain()

    assert (reply.ok, reply.text) == (True, "Incident 1 is yours: HighErrorRate")
    assert (house.incident().status, house.incident().owner) == (Status.ACKED, "ana")
    assert house.slack.said()[1:] == ["edit acknowledged HighErrorRate", "line incident.acked: Ana has it."]
    assert house.telegram.said()[1:] == ["edit acknowledged HighErrorRate", "line incident.acked: Ana has it."]
    assert house.pagerduty.said()[1:] == ["page incident.acked: Ana has it."]


def test_an_ack_made_in_the_pager_is_shown_in_every_chat_and_not_sent_back(house: House) -> None:
    house.hears(alert())
    house.drain()

    house.says("ack 1", place="pagerduty", once="webhook-1")
    house.drain()

    assert "edit acknowledged HighErrorRate" in house.slack.said()
    assert [one for one in house.pagerduty.said() if "acked" in one] == []


def test_the_pagers_echo_of_our_own_ack_takes_the_incident_from_nobody(house: House) -> None:
    house.hears(alert())
    house.says("ack 1")
    machine = Principal(id="pagerduty", human=False)

    house.says("ack 1", by=machine, place="pagerduty", once="webhook-1")

    assert house.incident().owner == "ana"


def test_the_same_act_delivered_twice_has_one_effect_and_one_answer(house: House) -> None:
    house.hears(alert())

    first = house.says("note 1 looking at it", once="update:7")
    second = house.says("note 1 looking at it", once="update:7")

    assert (first.text, second.text) == ("Noted on incident 1.", "Noted on incident 1.")
    assert (first.repeated, second.repeated) == (False, True)
    assert [str(event.type) for event in house.story()].count("incident.noted") == 1


def test_one_act_delivered_by_eight_threads_at_once_has_one_effect(house: House) -> None:
    house.hears(alert())
    replies: list[bool] = []
    threads = [
        threading.Thread(target=lambda: replies.append(house.says("note 1 me", once="x").repeated)) for _ in range(8)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(replies) == [False] + [True] * 7
    assert len(house.story()) == 2


def test_a_second_person_takes_it_over_and_the_story_says_from_whom(house: House) -> None:
    house.hears(alert())
    house.says("ack 1")

    house.says("ack 1", by=BO)

    assert house.incident().owner == "bo"
    assert house.story()[-1].text == "Bo takes it over from Ana."


def test_in_an_incidents_thread_the_number_may_be_left_out(house: House) -> None:
    house.hears(alert())

    house.says("ack", here=1)
    house.says("note it is the cache", here=1)

    assert [event.text for event in house.story()[1:]] == ["Ana has it.", "Ana: it is the cache"]


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("ack 999", "Incident 999 does not exist. Nothing was done."),
        ("ack", "Which incident? Nothing was done. Usage: ack <incident>"),
        ("ack the db", "'the' is not an incident's number. Nothing was done. Usage: ack <incident>"),
        ("ack 1.5", "'1.5' is not an incident's number. Nothing was done. Usage: ack <incident>"),
        ("akc 1", "No command 'akc'. Did you mean `ack`? Nothing was done."),
        ("note 1", "What should the note say? Nothing was done. Usage: note <incident> <text>"),
        (
            "frobnicate",
            "No command 'frobnicate'. Nothing was done. `help` lists the commands that you may use.",
        ),
    ],
)
def test_what_cannot_be_done_is_said_with_what_to_do_and_changes_nothing(house: House, words: str, answer: str) -> None:
    house.hears(alert())
    before = house.incident()

    reply = house.says(words)

    assert (reply.ok, reply.text) == (False, answer)
    assert house.incident() == before


def test_a_resolved_incident_cannot_be_acked_and_the_answer_says_by_whom_and_when(house: House) -> None:
    house.hears(alert())
    house.says("resolve 1", by=BO)

    reply = house.says("ack 1")

    assert reply.text == "Incident 1 was already resolved by Bo at 12:00 UTC. Nothing was done."


def test_resolving_what_still_fires_says_so(house: House) -> None:
    house.hears(alert())

    assert (
        house.says("resolve 1").text
        == "Incident 1 is resolved. Alerts that still fire: 1. It opens again if they keep firing."
    )
    assert house.story()[-1].text == (
        "Ana resolved it while 1 alert still fired. It opens again, and pages, when it is sent again."
    )


def test_the_list_is_worst_first_and_says_who_has_what(house: House) -> None:
    house.hears(alert("Slow", fingerprint="a", group="a", severity="warning"))
    house.hears(alert("Down", fingerprint="b", group="b", severity="critical"))
    house.says("ack 1")

    assert house.says("incidents").text.splitlines() == [
        "#2 critical open: Down (1 firing)",
        "#1 warning acknowledged, Ana has it: Slow (1 firing)",
    ]


def test_the_menu_of_a_chat_names_every_verb_actions_too(house: House) -> None:
    offered = house.dispatcher.menu()

    assert sorted(one.verb for one in offered) == _VERBS


def test_help_names_what_the_asker_may_say_and_nothing_else(house: House) -> None:
    def offered(who: Principal) -> set[str]:
        return verbs_listed(house.says("help", by=who).text)

    everything = set(commands.find()) | set(commands.actions()) | {"turn"}
    assert offered(Principal(id="root", roles=frozenset({"admin"}))) == everything
    assert offered(Principal(id="guest")) == ALWAYS_ALLOWED & everything
    assert {"ack", "show"} <= offered(BO)
    assert not {"turn", "yes", "settle"} & offered(BO)


def test_people_are_known_by_their_accounts_and_strangers_are_nobody(house: House) -> None:
    assert house.dispatcher.person("slack", "U1") == ANA
    assert house.dispatcher.person("slack", "U9") is None
    assert house.dispatcher.person("telegram", "U1") is None


def test_a_cards_place_and_a_pages_key_lead_back_to_the_incident(house: House) -> None:
    house.hears(alert())
    house.drain()

    assert house.dispatcher.incident_at("slack", "slack:1") == 1
    assert house.dispatcher.incident_at("telegram", "slack:1") is None
    assert house.dispatcher.incident_paged_as(house.incident().page_key) == 1


def test_an_act_that_arrives_hours_late_does_not_close_what_has_opened_again_since(house: House) -> None:
    house.hears(alert())
    house.hears(alert(firing=False))
    said_at = house.clock.at
    house.clock.pass_by(minutes=20)
    house.hears(alert(starts_at=house.clock.at))

    reply = house.dispatcher.handle(
        Request(by=ANA, text="resolve 1", channel="pagerduty", idempotency_key="w1", sent_at=said_at)
    )

    assert (reply.ok, house.incident().status) == (False, Status.OPEN)
    assert reply.text.startswith("That was sent at 12:00 UTC, before incident 1 opened again at 12:20 UTC.")
