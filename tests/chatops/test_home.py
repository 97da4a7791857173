"""The overview of a person: incidents, plans to approve, plans of their own, runs, and who is on call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from bot.access.policy import Role, Rule
from bot.alerts.classification import AlertRules
from bot.core.alert import AlertBatch, Severity
from bot.core.catalog import Catalog, Service
from bot.core.plan import Risk
from bot.core.request import Principal, Reply
from tests.house import ANA, BO, CY, ROLES, SEVERITIES, House, alert
from tests.runs import handle

_RULES = AlertRules(
    severities=SEVERITIES,
    catalog=Catalog(
        services=(
            Service(name="prod/api", match={"service": "api"}),
            Service(name="prod/db", match={"service": "db"}),
        )
    ),
)
_WEB = Role(name="web", allow=(Rule(do="home"), Rule(do="yes prod/web")))


@pytest.fixture
def house(store_url: str) -> Iterator[House]:
    made = House(store_url, rules=_RULES, roles=(*ROLES, _WEB))
    made.on_call = {"prod/db": ["bo"], "prod/api": ["cy", "ana"]}
    made.settle({("slack", "U1"): ANA, ("slack", "U2"): BO, ("slack", "U3"): CY})
    yield made
    made.close()


def fires(house: House, service: str, *, severity: str = "critical") -> None:
    house.hears(alert(f"{service}Down", group=service, severity=severity, labels={"service": service}))


def _delivered(number: int, severity: str) -> AlertBatch:
    one = alert(f"A{number}", group=f"g{number}", severity=severity, labels={"service": "api"})
    return AlertBatch(source="alertmanager", group=one.group, alerts=(one,), body=one.group.encode())


def of(house: House, who: Principal) -> Reply:
    return house.says("home", by=who)


def buttons(reply: Reply) -> dict[str, str]:
    assert reply.card is not None
    return dict(reply.card.buttons)


def test_mine_are_those_i_have_and_those_of_services_that_i_am_on_call_for(house: House) -> None:
    fires(house, "web")
    fires(house, "api", severity="warning")
    fires(house, "db")
    house.says("ack 1", by=ANA)

    reply = of(house, ANA)

    assert reply.text.splitlines()[:5] == [
        "Overview for Ana",
        "Your unresolved incidents: 2",
        "#1 critical acknowledged, Ana has it: webDown web (1 firing)",
        "#2 warning open: apiDown api (1 firing)",
        "Other unresolved incidents: 1; `incidents` lists all.",
    ]
    assert buttons(reply) == {"Acknowledge #2": f"ack {house.incident(2).marked}"}
    assert reply.card is not None
    assert reply.card.severity is Severity.CRITICAL


def test_what_is_resolved_is_nobodys(house: House) -> None:
    fires(house, "api")
    house.says("ack 1", by=ANA)
    house.says("resolve 1", by=ANA)

    reply = of(house, ANA)

    assert "You have no unresolved incidents." in reply.text
    assert "Others" not in reply.text


def test_in_a_storm_the_worst_of_mine_are_shown_and_all_are_counted(house: House) -> None:
    house.hears_all(*(_delivered(number, "info" if number < 15 else "error") for number in range(30)))
    fires(house, "db")

    reply = of(house, ANA)

    lines = [line for line in reply.text.splitlines() if line.startswith("#")]
    assert "Your unresolved incidents: 30" in reply.text
    assert [line.split()[1] for line in lines] == ["error"] * 10
    assert "... and 20 more of yours." in reply.text
    assert "Other unresolved incidents: 1;" in reply.text
    assert len(buttons(reply)) == 10


def test_a_plan_waits_for_those_whose_yes_would_count_and_tells_them_what_it_does(house: House) -> None:
    house.action(risk=Risk.IRREVERSIBLE)
    shown = house.says("turn prod/api 5")
    assert shown.card is not None

    approver, asker, other = of(house, CY), of(house, ANA), of(house, BO)

    (words,) = [words for label, words in buttons(approver).items() if label.startswith("Approve ")]
    assert words == shown.card.buttons["Approve"]
    assert shown.card.lines[0] in approver.text
    assert "Touches: one dial" in approver.text
    assert "ana asks: turn prod/api 5" in approver.text
    assert "Your own plans that wait: 1" in asker.text
    assert "waits for approval by others: turn prod/api 5" in asker.text
    assert [label.split()[0] for label in buttons(asker)] == ["Drop"]
    assert "turn prod/api 5" not in other.text
    assert buttons(other) == {}


def test_what_the_asker_alone_confirms_waits_for_nobody_else(house: House) -> None:
    house.says("turn prod/api 5")

    asker, approver = of(house, ANA), of(house, CY)

    assert "waits for you to confirm: turn prod/api 5" in asker.text
    assert [label.split()[0] for label in buttons(asker)] == ["Do", "Drop"]
    assert "turn prod/api 5" not in approver.text


def test_a_plan_that_i_approved_waits_for_me_no_longer(house: House) -> None:
    house.roles = (Role(name="turner", allow=(Rule(do="turn *", approvals=2),)),)
    house.settle({("slack", "U1"): ANA, ("slack", "U3"): CY})
    plan = handle(house.says("turn prod/api 5").text)
    before = of(house, CY)

    house.says(f"yes {plan}", by=CY)

    assert plan in before.text
    assert plan not in of(house, CY).text


@pytest.mark.parametrize(
    ("roles", "service", "waits"),
    [
        ({"approver"}, "prod/api", 1),
        ({"web"}, "prod/web", 1),
        ({"web"}, "prod/api", 0),
        ({"viewer"}, "prod/api", 0),
    ],
)
def test_a_plan_waits_for_nobody_whose_rights_do_not_allow_their_yes(
    house: House, roles: set[str], service: str, waits: int
) -> None:
    house.action(risk=Risk.IRREVERSIBLE)
    house.says(f"turn {service} 5")
    cy = house.people["cy"] = replace(CY, roles=frozenset(roles))

    reply = of(house, cy)

    assert reply.ok
    assert reply.text.count(f"turn {service} 5") == waits


def test_a_plan_that_expired_waits_for_nobody(house: House) -> None:
    house.action(risk=Risk.IRREVERSIBLE)
    house.says("turn prod/api 5")
    house.clock.pass_by(minutes=16)

    replies = of(house, CY), of(house, ANA)

    assert all("No plan waits for your approval, and none of your own plans waits." in reply.text for reply in replies)


def test_of_many_plans_some_are_shown_and_all_are_counted(house: House) -> None:
    house.action(risk=Risk.IRREVERSIBLE)
    for number in range(6):
        house.says(f"turn prod/web {number}")

    approver, asker = of(house, CY), of(house, ANA)

    assert "Plans that wait for your approval: 6" in approver.text
    assert "... and 2 more; `approvals` lists them." in approver.text
    assert len(buttons(approver)) == 8
    assert "... and 3 more; `approvals` lists them." in asker.text
    assert len(buttons(asker)) == 3


def test_who_is_on_call_is_told_with_my_own_services_first(house: House) -> None:
    lines = {who.id: of(house, who).text.splitlines()[-3:] for who in (ANA, BO)}

    assert lines == {
        "ana": ["On call:", "prod/api: Ana, Cy", "prod/db: Bo"],
        "bo": ["On call:", "prod/db: Bo", "prod/api: Ana, Cy"],
    }


def test_it_is_for_the_asker_alone_and_changes_nothing(house: House) -> None:
    fires(house, "api")
    before = house.incident(), house.story(), house.deliveries()

    reply = of(house, ANA)

    assert reply.card is not None
    assert (reply.requester_only, reply.visible_to_all) == (True, False)
    assert (house.incident(), house.story(), house.deliveries()) == before


def test_every_button_of_it_does_what_it_says(house: House) -> None:
    fires(house, "api")
    house.action(risk=Risk.IRREVERSIBLE)
    house.says("turn prod/web 5", by=ANA)

    replies = [house.says(words, by=CY) for words in buttons(of(house, CY)).values() if not words.startswith("no ")]

    assert [reply.ok for reply in replies] == [True, True]
    assert house.dials.values["prod/web"] == 5
    assert house.incident().owner == "cy"


@pytest.mark.parametrize("place", ["slack", "telegram", "console", "cli"])
def test_it_is_answered_in_words_in_every_place(house: House, place: str) -> None:
    fires(house, "api")

    reply = house.says("home", place=place)

    assert "#1 critical open: apiDown api (1 firing)" in reply.text
