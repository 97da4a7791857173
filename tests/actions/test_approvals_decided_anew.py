"""An approval counts while its approver still has the right: at the moment of the run everybody is decided anew."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from alembic import command

from bot.access.conditions import Conditions
from bot.access.policy import Freeze, Role, Rule
from bot.alerts.classification import AlertRules
from bot.core.access import Account, AccountLink
from bot.core.audit import Code
from bot.core.catalog import Catalog, Service
from bot.core.request import Principal, Reply
from bot.store import account_links, audit_log, migrating, plans
from bot.store.engine import Store
from tests.house import ANA, NOON, ROLES, SEVERITIES, House, alert
from tests.postgres import Postgres
from tests.runs import handle

TWO = Role(name="two", allow=(Rule(do="turn *", approvals=2),))
ASKER = replace(ANA, roles=frozenset({"two"}))
CARA = Principal(id="cara", name="Cara", roles=frozenset({"approver"}))
DAN = Principal(id="dan", name="Dan", roles=frozenset({"approver"}))
EVE = Principal(id="eve", name="Eve", roles=frozenset({"approver"}))
PEOPLE: dict[Account, Principal] = {
    ("slack", "U1"): ASKER,
    ("slack", "U3"): CARA,
    ("slack", "U4"): DAN,
    ("slack", "U5"): EVE,
    ("telegram", "1003"): CARA,
}

Change = Callable[[House], object]


@pytest.fixture
def many(store_url: str) -> Iterator[House]:
    """Two people have to approve, and three could."""
    made = House(store_url, roles=(*ROLES, TWO))
    made.settle(PEOPLE)
    yield made
    made.close()


def asks(house: House, words: str = "turn prod/api 6") -> str:
    return handle(house.hears_from("slack", "U1", words).text)


def yes(house: House, account: str, plan: str, *, place: str = "slack") -> Reply:
    return house.hears_from(place, account, f"yes {plan}")


def turned(house: House) -> list[int]:
    return [value for _, value, _ in house.dials.turned]


def approvals(house: House) -> list[str]:
    with house.store.begin() as tx:
        return [person for (person,) in tx.sql.rows("SELECT person FROM approval ORDER BY person")]


def told(house: House) -> dict[str | None, str]:
    """The message that each Slack account gets."""
    house.tends()
    return dict(house.chat.said)


def leaves(*ids: str) -> Change:
    """They are taken out of `people`, and the bot is started anew."""
    return lambda house: house.settle({at: one for at, one in PEOPLE.items() if one.id not in ids})


def loses_roles(person: str) -> Change:
    return lambda house: house.takes_away("approver", "two", of=person)


def renamed(account: Account, to: str) -> Change:
    return lambda house: house.settle({**PEOPLE, account: replace(PEOPLE[account], id=to)})


#: What ends Cara's yes, and how that is told.
ENDS: list[tuple[str, Change, str]] = [
    ("no right", loses_roles("cara"), 'The approval of cara no longer counts: "yes prod/api" is denied.'),
    (
        "taken out of people",
        leaves("cara"),
        "The approval of cara no longer counts: cara is no longer in the settings.",
    ),
    (
        "the account is another person's",
        renamed(("slack", "U3"), "carla"),
        "The approval of cara no longer counts: the slack account U3 belongs to carla now.",
    ),
    (
        "the account is nobody's",
        lambda house: house.settle({at: one for at, one in PEOPLE.items() if at != ("slack", "U3")}),
        "The approval of cara no longer counts: the slack account U3 belongs to nobody now.",
    ),
]
_ENDS = pytest.mark.parametrize(("ends", "why"), [one[1:] for one in ENDS], ids=[one[0] for one in ENDS])


@_ENDS
def test_a_yes_that_lapsed_before_the_next_one_is_not_counted_and_is_asked_for_again(
    many: House, ends: Change, why: str
) -> None:
    plan = asks(many)
    first = yes(many, "U3", plan)
    ends(many)

    second = yes(many, "U4", plan)

    needs = f"Needs 1 approval from somebody other than ana, until 12:15 UTC: `yes {plan}`"
    assert first.text == f"Approved by cara. {needs}"
    assert turned(many) == []
    assert (second.ok, second.shared, second.plan_closed) == (True, True, False), "its buttons stay"
    assert second.text.startswith(f"Approved by dan. {why}")
    assert second.text.endswith(needs)
    assert approvals(many) == ["dan"]
    assert yes(many, "U5", plan).ok
    assert turned(many) == [6]


def test_whoever_said_a_yes_that_lapsed_and_the_asker_are_told_why(many: House) -> None:
    plan = asks(many)
    yes(many, "U3", plan)
    loses_roles("cara")(many)

    yes(many, "U4", plan)
    lines = told(many)

    assert lines.keys() == {"U1", "U3"}
    assert str(lines["U3"]).startswith('Your approval of turn prod/api 6 no longer counts: "yes prod/api" is denied.')
    assert str(lines["U3"]).endswith(f"It has changed nothing. To approve again: `yes {plan}`")
    assert str(lines["U1"]).startswith("turn prod/api 6: The approval of cara no longer counts:")
    assert many.audited()[4:6] == [Code.NOT_APPROVED, Code.APPROVED]


def test_an_account_that_is_in_other_hands_is_told_nothing(many: House) -> None:
    plan = asks(many)
    yes(many, "U3", plan)
    renamed(("slack", "U3"), "carla")(many)

    yes(many, "U4", plan)

    assert told(many).keys() == {"U1"}


def test_what_an_account_is_to_be_told_is_told_in_its_next_answer_where_that_comes_first(many: House) -> None:
    plan = asks(many)
    yes(many, "U3", plan)
    loses_roles("cara")(many)
    yes(many, "U4", plan)

    told_first = yes(many, "U3", plan).text

    assert told_first.startswith("Your approval of turn prod/api 6 no longer counts: ")
    assert "U3" not in told(many)


def test_somebody_whose_yes_lapsed_says_it_again_when_they_may_again(many: House) -> None:
    plan = asks(many)
    yes(many, "U3", plan)
    loses_roles("cara")(many)
    yes(many, "U4", plan)
    many.people["cara"] = CARA

    reply = yes(many, "U3", plan)

    assert reply.ok
    assert turned(many) == [6]


def test_a_yes_of_somebody_who_left_the_slack_group_since_does_not_count(store_url: str) -> None:
    house = House(store_url, roles=(*ROLES, TWO))
    in_group = replace(CARA, roles=frozenset())
    people = {at: in_group if one is CARA else one for at, one in PEOPLE.items()}
    house.settle(people, {"approver": frozenset({"S1"})})
    house.groups["U3"] = {"S1": True}
    plan = asks(house)
    first = yes(house, "U3", plan)
    house.groups["U3"] = {"S1": False}

    second = yes(house, "U4", plan)

    assert (first.ok, second.ok, turned(house)) == (True, True, [])
    assert "The approval of cara no longer counts:" in second.text
    house.close()


def test_one_slack_account_says_yes_once_under_however_many_ids(many: House) -> None:
    plan = asks(many)
    yes(many, "U3", plan)
    renamed(("slack", "U3"), "carla")(many)

    reply = yes(many, "U3", plan)

    assert reply.text.startswith("Approved by carla. The approval of cara no longer counts:")
    assert approvals(many) == ["carla"]
    assert turned(many) == []


def test_two_accounts_that_were_one_persons_are_one_yes(many: House) -> None:
    plan = asks(many)
    yes(many, "U3", plan)
    many.settle({**PEOPLE, ("telegram", "1003"): replace(CARA, id="carla")})

    reply = yes(many, "1003", plan, place="telegram")

    assert reply.text.startswith("Your approval does not count: cara approved from an account of the same person.")
    assert (approvals(many), turned(many)) == (["cara"], [])


@pytest.mark.parametrize("account", [("slack", "U1"), ("telegram", "1001")])
def test_whoever_asked_does_not_approve_under_another_id(many: House, account: Account) -> None:
    people = {**PEOPLE, ("telegram", "1001"): ASKER}
    many.settle(people)
    plan = asks(many)
    many.settle({**people, account: replace(EVE, id="anna")})

    reply = yes(many, account[1], plan, place=account[0])

    assert not reply.ok
    assert "another person must approve" in reply.text or "U1 belongs to anna now" in reply.text
    assert (approvals(many), turned(many)) == ([], [])


def test_an_account_that_was_linked_after_the_plan_was_asked_for_approves_nothing(many: House) -> None:
    plan = asks(many)
    many.clock.pass_by(minutes=1)
    link(many, "7", "eve")

    reply = yes(many, "7", plan, place="telegram")
    own = yes(many, "U5", plan)

    assert reply.text == (
        "Your approval does not count: the telegram account 7 was linked at 2026-11-23 12:01 UTC, after plan"
        f" {plan} was requested. Plan {plan} is unchanged. Nothing was done."
    )
    assert own.ok
    assert approvals(many) == ["eve"]


def test_a_yes_from_an_account_that_was_unlinked_since_does_not_count(many: House) -> None:
    link(many, "7", "eve")
    plan = asks(many)
    yes(many, "7", plan, place="telegram")
    many.hears_from("slack", "U5", "unlink telegram")

    second = yes(many, "U4", plan)

    assert "The approval of eve no longer counts: the telegram account 7 belongs to nobody now." in second.text
    assert turned(many) == []


def test_a_yes_from_an_account_that_was_unlinked_and_linked_again_does_not_count(many: House) -> None:
    link(many, "7", "eve")
    plan = asks(many)
    yes(many, "7", plan, place="telegram")
    many.hears_from("slack", "U5", "unlink telegram")
    many.clock.pass_by(minutes=1)
    link(many, "7", "eve")

    assert "the telegram account 7 was linked again since." in yes(many, "U4", plan).text
    assert turned(many) == []


def link(house: House, account: str, person: str) -> None:
    with house.store.begin() as tx:
        account_links.put(tx, AccountLink(channel="telegram", account=account, person=person, at=tx.now, by="slack U9"))


# The asker.


@pytest.mark.parametrize(
    ("ends", "why"),
    [
        (loses_roles("ana"), 'ana may no longer do this: "turn prod/api" is denied.'),
        (leaves("ana"), "ana can no longer be identified as the requester: ana is no longer in the settings."),
        (
            lambda house: house.settle({**PEOPLE, ("slack", "U1"): EVE, ("telegram", "1001"): ASKER}),
            "the slack account U1 belongs to eve now.",
        ),
    ],
    ids=["no right", "taken out of people", "another person's account"],
)
@pytest.mark.parametrize("yeses", [0, 1])
def test_a_plan_of_somebody_who_may_no_longer_ask_for_it_is_stopped_for_all(
    many: House, ends: Change, why: str, yeses: int
) -> None:
    plan = asks(many)
    for account in ("U3",)[:yeses]:
        yes(many, account, plan)
    ends(many)

    reply = yes(many, "U4", plan)
    later = yes(many, "U5", plan)

    assert (reply.ok, reply.shared, reply.plan_closed) == (False, True, True)
    assert why in reply.text
    assert reply.text.endswith(f"Nothing was done. Plan {plan} is stopped.")
    assert later.text.startswith(f"Plan {plan} was stopped before its run. Nothing was done.")
    assert many.says("approvals", by=DAN).text == "No plan is waiting for approval."
    assert turned(many) == []
    assert ("U3" in told(many)) == bool(yeses), "who said yes hears of it"


def test_a_plan_that_needs_more_people_by_todays_rights_is_stopped(many: House) -> None:
    many.people["ana"] = replace(ANA, roles=frozenset({"turner"}))
    plan = asks(many)
    many.people["ana"] = ASKER

    reply = yes(many, "U1", plan)

    assert reply.text.startswith(f"Plan {plan} needs more approvals than when it was shown.")
    assert turned(many) == []


# Between the last yes and the call.

DUTY = Role(name="duty", allow=(Rule(do="turn *", when=Conditions(on_call=True, incident=True), approvals=1),))


def resolves(house: House) -> object:
    return house.says("resolve 1", by=replace(ANA, roles=frozenset({"responder"})))


#: What happens to a plan of Ana's, who is on call in an incident, to which Cara has said yes; and what is told.
MEANWHILE: list[tuple[str, Change, str]] = [
    ("the asker loses the right", lambda house: house.takes_away("duty"), "ana may no longer do this:"),
    ("the asker is removed", lambda house: house.people.pop("ana"), "ana is no longer in the settings."),
    ("the approver loses the right", lambda house: house.takes_away("approver", of="cara"), "The approval of cara"),
    ("the approver is removed", lambda house: house.people.pop("cara"), "cara is no longer in the settings."),
    ("the incident is resolved", resolves, "needs an open incident on prod/api; there is none"),
    ("a freeze begins", lambda house: house.clock.pass_by(minutes=10), 'freeze "evening" is on'),
]
_MEANWHILE = pytest.mark.parametrize(
    ("happens", "why"), [one[1:] for one in MEANWHILE], ids=[one[0] for one in MEANWHILE]
)


@pytest.fixture
def night(store_url: str) -> Iterator[House]:
    evening = Freeze(
        name="evening", since=NOON + timedelta(minutes=5), until=NOON + timedelta(hours=2), targets=("prod/*",)
    )
    rules = AlertRules(
        severities=SEVERITIES, catalog=Catalog(services=(Service(name="prod/api", match={"service": "api"}),))
    )
    made = House(store_url, roles=(*ROLES, DUTY), freezes=(evening,), rules=rules)
    made.on_call = {"prod/api": ["ana"]}
    made.environments = {"prod/api": "prod"}
    made.settle({**PEOPLE, ("slack", "U1"): replace(ANA, roles=frozenset({"responder", "duty"}))})
    made.hears(alert(labels={"service": "api"}))
    yield made
    made.close()


@_MEANWHILE
def test_what_ends_a_right_between_the_yes_and_the_intent_stops_the_run(
    night: House, happens: Change, why: str
) -> None:
    plan = asks(night)
    read = night.dials.read

    def meanwhile(name: str) -> int:
        happens(night)
        return read(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(night.dials, "read", meanwhile)
        reply = yes(night, "U3", plan)

    assert not reply.ok
    assert why in reply.text
    assert turned(night) == []
    assert not any("approved_by" in one["more"] for one in record(night)), "no run of it was begun"
    waits = "The approval of" in reply.text
    assert reply.plan_closed is not waits
    assert (plan in night.says("approvals", by=DAN).text) == (waits and "cara" in reply.text)


@_MEANWHILE
def test_what_ends_a_right_between_the_intent_and_the_call_calls_nothing(
    night: House, happens: Change, why: str
) -> None:
    plan = asks(night)
    night.while_sealing.append(lambda: happens(night))

    reply = yes(night, "U3", plan)

    assert night.while_sealing == [], "the intent was sealed"
    assert not reply.ok
    assert why in reply.text
    assert reply.text.endswith("Nothing was changed. Send the command again for a new plan.")
    assert turned(night) == []
    assert night.audited()[-1] is Code.FAILED
    assert "failed: turn prod/api 6" in night.says("runs").text


def test_where_nothing_happens_meanwhile_it_runs(night: House) -> None:
    plan = asks(night)

    assert yes(night, "U3", plan).ok
    assert turned(night) == [6]


def test_a_plan_that_waits_again_runs_when_the_missing_yes_has_come(night: House) -> None:
    plan = asks(night)
    read, first = night.dials.read, [lambda: night.people.pop("cara")]

    def meanwhile(name: str) -> int:
        if first:
            first.pop()()
        return read(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(night.dials, "read", meanwhile)
        waits = yes(night, "U3", plan)
    reply = yes(night, "U4", plan)

    assert (waits.ok, waits.plan_closed) == (False, False)
    assert "Needs 1 approval from somebody other than ana" in waits.text
    assert reply.ok
    assert turned(night) == [6]


def test_a_world_that_moved_shows_no_new_plan_to_somebody_who_may_no_longer(night: House) -> None:
    plan = asks(night)
    night.dials.values["prod/api"] = 4
    read = night.dials.read

    def meanwhile(name: str) -> int:
        night.takes_away("duty")
        return read(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(night.dials, "read", meanwhile)
        reply = yes(night, "U3", plan)

    assert 'Denied: "turn prod/api". No role of ana (responder) allows it.' in reply.text
    assert night.says("approvals", by=DAN).text == "No plan is waiting for approval."


def test_the_record_of_a_run_names_everybody_who_said_yes(many: House) -> None:
    plan = asks(many)
    yes(many, "U3", plan)
    yes(many, "U4", plan)

    assert turned(many) == [6]
    assert more_of(many, Code.INTENT)["approved_by"] == "cara dan"


# What is on record from before.


def test_a_yes_of_before_accounts_were_kept_is_asked_for_again(many: House) -> None:
    plan = asks(many)
    yes(many, "U3", plan)
    with many.store.begin() as tx:
        tx.sql.run("UPDATE approval SET account = '', had = '[]'")

    reply = yes(many, "U4", plan)

    assert "of cara no longer counts: no account was recorded at that time." in reply.text
    assert (approvals(many), turned(many)) == (["dan"], [])


def test_a_plan_of_before_accounts_were_kept_is_stopped(many: House) -> None:
    plan = asks(many)
    with many.store.begin() as tx:
        tx.sql.run("UPDATE plan SET account = '', had = '[]'")

    reply = yes(many, "U3", plan)

    assert reply.plan_closed
    assert "no account was recorded at that time." in reply.text


# Two at once.


@pytest.fixture
def replicas(store_url: str) -> Iterator[tuple[House, House]]:
    """Two bots on one database."""
    pair = (House(store_url, roles=(*ROLES, TWO)), House(store_url, roles=(*ROLES, TWO)))
    for one in pair:
        one.settle(PEOPLE)
    pair[1].dials = pair[0].dials
    for one in pair:
        one.action()
    yield pair
    for one in pair:
        one.close()


def at_once(*acts: Callable[[], object]) -> None:
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], object]) -> None:
        start.wait(60)
        act()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_the_last_two_yeses_at_once_in_two_replicas_run_it_once(replicas: tuple[House, House]) -> None:
    for turn in range(5):
        plan = asks(replicas[0], f"turn prod/api {turn + 10}")
        at_once(partial(yes, replicas[0], "U3", plan), partial(yes, replicas[1], "U4", plan))

    assert turned(replicas[0]) == [10, 11, 12, 13, 14]


def test_one_person_from_two_accounts_at_once_in_two_replicas_counts_once(replicas: tuple[House, House]) -> None:
    plan = asks(replicas[0])

    at_once(lambda: yes(replicas[0], "U3", plan), lambda: yes(replicas[1], "1003", plan, place="telegram"))

    assert (approvals(replicas[0]), turned(replicas[0])) == (["cara"], [])


def test_a_yes_and_the_unlinking_of_the_account_of_another_at_once_never_run_with_a_yes_that_is_void(
    replicas: tuple[House, House],
) -> None:
    for turn in range(5):
        link(replicas[0], "7", "eve")
        plan = asks(replicas[0], f"turn prod/api {turn + 10}")
        yes(replicas[0], "7", plan, place="telegram")
        at_once(
            partial(replicas[0].hears_from, "slack", "U5", "unlink telegram"), partial(yes, replicas[1], "U4", plan)
        )

    order = [one["code"] for one in record(replicas[0]) if one["verb"] == "turn" or one["code"] == Code.UNLINKED]
    for unlinked in [at for at, code in enumerate(order) if code == Code.UNLINKED]:
        assert order[unlinked + 1 : unlinked + 2] != [Code.INTENT], "nothing is begun by a yes that is void"


def record(house: House) -> list[dict[str, Any]]:
    with house.store.read() as reading:
        return [json.loads(one.body) for one in audit_log.entries(reading.sql, audit_log.EntryFilter(), limit=1000)]


def more_of(house: House, code: Code) -> dict[str, str]:
    return dict(next(one["more"] for one in record(house) if one["code"] == code and "approved_by" in one["more"]))


def test_a_database_that_was_filled_before_accounts_were_kept_is_brought_here_whole(empty_url: str) -> None:
    store = Store(empty_url)
    _bring_to(store, "0010")
    body = (
        '{"target":"prod/api","effect":[],"radius":"","seen":{},"undo":"","check":"","within":0,"lasts":0,"private":[]}'
    )
    with store.begin() as tx:
        columns = 'handle, verb, words, "by", place, incident_id, at, needs, state, body, digest, undoes'
        row = ("a1", "turn", "turn prod/api 6", "ana", "slack", None, 1, 2, "shown", body.encode(), "", "")
        tx.sql.run(f"INSERT INTO plan ({columns}) VALUES ({', '.join('?' * len(row))})", *row)
        tx.sql.run("INSERT INTO approval (handle, person, place, at) VALUES ('a1', 'cara', 'slack', 1)")
        tx.sql.run("INSERT INTO seen (place, once, at, said, ok) VALUES ('slack', 'm1', 1, 'ACK', 1)")

    _bring_to(store, "head")

    with store.begin() as tx:
        found = plans.plan(tx.sql, "a1")
        answered = tx.find_reply("slack", "m1")
    store.close()
    assert (found.account, [(one.person, one.account, one.accounts) for one in found.approvals]) == (
        "",
        [("cara", "", frozenset())],
    )
    assert answered is not None
    assert (answered.text, answered.account) == ("ACK", "")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/old.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.url("old")


def _bring_to(store: Store, revision: str) -> None:
    with store.connected() as connection:
        made = migrating.config()
        made.attributes["connection"] = connection
        command.upgrade(made, revision)
