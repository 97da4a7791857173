"""A decision that is used later is taken anew: automatic undos, codes, break-glass, Flagger gates, live answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from bot.access.policy import Role, Rule
from bot.app.build_chatops import is_still_allowed
from bot.chatops.live_answers import Inspect, LiveAnswers
from bot.core.audit import Code
from bot.core.errors import Conflict, Rejected
from bot.core.flagger import Canary, GateCheck, GateHook
from bot.core.plan import Outcome, Risk
from bot.core.request import Principal, Reply, Request
from bot.store.flagger_gates import FlaggerGates
from tests.house import ACCOUNTS, ANA, BO, CY, ROLES, House
from tests.runs import handle


def ran(house: House, words: str) -> str:
    """The run of those words, confirmed by Ana."""
    done = house.says(f"yes {handle(house.says(words).text)}")
    return done.text.partition("`undo ")[2].partition("`")[0]


def once(house: House, act: Callable[[], object]) -> Callable[[str], int]:
    """Reading a dial, with something that happens at the first look."""
    read, left = house.dials.read, [act]

    def look(name: str) -> int:
        if left:
            left.pop()()
        return read(name)

    return look


# What time undoes.


@pytest.mark.parametrize(
    "ends", [lambda house: house.takes_away("turner"), lambda house: house.settle({("slack", "U2"): BO})]
)
def test_what_people_had_approved_to_end_ends_whoever_of_them_is_left(
    house: House, ends: Callable[[House], None]
) -> None:
    ran(house, "turn prod/api 6 for 30m")
    ends(house)
    house.clock.pass_by(minutes=31)

    house.tends()

    assert house.dials.values["prod/api"] == 3


def test_whoever_has_lost_the_right_undoes_and_keeps_nothing(house: House) -> None:
    run = ran(house, "turn prod/api 6 for 30m")
    house.takes_away("turner")
    gone = house.people["ana"]

    undone, kept = house.says(f"undo {run}", by=gone), house.says(f"keep {run}", by=gone)
    house.clock.pass_by(minutes=31)
    house.tends()

    assert undone.text.startswith("Denied: ")
    assert kept.text.startswith("Denied: ")
    assert house.dials.values["prod/api"] == 3


def test_an_undo_that_was_planned_does_not_run_when_its_asker_may_no_longer(house: House) -> None:
    run = ran(house, "turn prod/api 6")
    shown = house.says(f"undo {run}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(house.dials, "read", once(house, lambda: house.takes_away("turner")))
        reply = house.says(f"yes {handle(shown.text)}")

    assert reply.text.startswith("ana may no longer do this:")
    assert house.dials.values["prod/api"] == 6


def test_what_is_kept_while_its_undo_is_being_planned_stays_and_nobody_is_paged(house: House) -> None:
    run = ran(house, "turn prod/api 6 for 30m")
    house.clock.pass_by(minutes=31)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(house.dials, "read", once(house, lambda: house.says(f"keep {run}")))
        house.tends()
    house.clock.pass_by(minutes=5)
    house.tends()

    assert house.dials.values["prod/api"] == 6
    assert len(house.dials.turned) == 1
    assert house.incidents() == []


def test_a_person_whose_id_is_the_watchs_is_no_watch(house: House) -> None:
    watch = Principal(id="watch", name="Wat", roles=frozenset({"turner"}))
    house.settle({**ACCOUNTS, ("slack", "U7"): watch})
    shown = house.says("turn prod/api 6", by=watch)
    house.takes_away("turner", of="watch")

    reply = house.says(f"yes {handle(shown.text)}", by=watch)

    assert (reply.ok, house.dials.turned) == (False, [])


# Accounts that are linked.


def code_of(reply_said: str) -> str:
    return reply_said.splitlines()[0].removeprefix("/link ")


def test_a_code_is_void_once_the_account_that_asked_for_it_is_somebody_elses(house: House) -> None:
    asked = code_of(house.hears_from("slack", "U2", "link").text)
    house.settle({("slack", "U1"): ANA, ("slack", "U2"): CY, ("slack", "U9"): BO})

    reply = house.hears_from("telegram", "7", f"link {asked}")

    assert reply.text == "Code not valid. Nothing was done. Get a new one: `link`."
    assert house.dispatcher.person("telegram", "7") is None


def test_what_an_account_had_vouched_for_ends_when_it_is_no_longer_the_persons(house: House) -> None:
    house.hears_from("telegram", "7", f"link {code_of(house.hears_from('slack', 'U2', 'link').text)}")
    before = house.dispatcher.person("telegram", "7")

    house.settle({("slack", "U1"): ANA, ("slack", "U9"): BO})

    assert before == BO
    assert house.dispatcher.person("telegram", "7") is None
    assert house.audited()[-1] is Code.UNLINKED


# Broken glass.

FIRE = Role(name="fire", allow=(Rule(do="turn *"),), break_glass=True)
WHY = "break-glass because the database is on fire"
LOOKED = "review-glass bo because it was a real fire"


@pytest.fixture
def burning(store_url: str) -> Iterator[House]:
    made = House(store_url, roles=(*ROLES, FIRE))
    made.hears_from("slack", "U2", WHY)
    yield made
    made.close()


def test_what_is_behind_the_glass_is_not_for_the_next_person_of_that_id(burning: House) -> None:
    before = burning.hears_from("slack", "U2", "turn prod/api 6")
    burning.settle({**ACCOUNTS, ("slack", "U2"): CY, ("slack", "U9"): BO})

    after = burning.hears_from("slack", "U9", "turn prod/api 6")

    assert before.ok
    assert after.text.startswith('Denied: "turn prod/api".')


def test_a_plan_behind_the_glass_of_somebody_who_was_removed_does_not_run(burning: House) -> None:
    shown = burning.hears_from("slack", "U2", "turn prod/api 6")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(burning.dials, "read", once(burning, lambda: burning.people.pop("bo")))
        reply = burning.hears_from("slack", "U2", f"yes {handle(shown.text)}")

    assert "bo is no longer in the settings." in reply.text
    assert burning.dials.turned == []


def test_whoever_broke_the_glass_does_not_review_it_under_another_id(burning: House) -> None:
    reviewer = replace(BO, id="robert", roles=frozenset({"approver"}))
    burning.settle({**ACCOUNTS, ("slack", "U2"): reviewer, ("telegram", "1002"): reviewer})

    own = [burning.hears_from(place, account, LOOKED) for place, account in (("slack", "U2"), ("telegram", "1002"))]
    other = burning.hears_from("slack", "U3", LOOKED)

    assert {reply.text for reply in own} == {"You activated it; another person has to review it. Nothing was done."}
    assert other.ok


def test_the_glass_of_somebody_who_was_removed_is_reviewed_by_another_and_may_be_broken_then(burning: House) -> None:
    burning.settle({at: one for at, one in ACCOUNTS.items() if one is not BO})

    reviewed = burning.hears_from("slack", "U3", LOOKED)

    assert reviewed.ok
    assert burning.hears_from("slack", "U1", WHY).ok


# What is delivered again.


def test_what_was_answered_is_shown_again_to_that_person_with_that_account_alone(house: House) -> None:
    def asks(account: str) -> Reply:
        return house.hears_from("slack", account, "turn prod/api 6", once="message:1")

    first, again, other = asks("U1"), asks("U1"), asks("U2")
    house.settle({("slack", "U2"): BO})
    removed = asks("U1")
    house.settle({("slack", "U1"): BO})
    moved = asks("U1")

    assert (again.text, again.repeated) == (first.text, True)
    not_yours = "This was received before, and its answer is not for this account. Nothing was done."
    assert [(one.text, one.ok, one.repeated) for one in (other, removed, moved)] == [(not_yours, False, True)] * 3
    assert house.audited().count(Code.PLANNED) == 1


def test_what_was_answered_before_it_was_kept_to_whom_is_not_shown_again(house: House) -> None:
    house.hears_from("slack", "U1", "turn prod/api 6", once="message:1")
    with house.store.begin() as tx:
        tx.sql.run("UPDATE seen SET person = '', account = ''")

    again = house.hears_from("slack", "U1", "turn prod/api 6", once="message:1")

    assert (again.ok, again.repeated) == (False, True)
    assert "prod/api" not in again.text


def test_a_word_that_is_due_is_not_lost_in_the_answer_to_an_action(house: House) -> None:
    house.hears_from("telegram", "7", f"link {code_of(house.hears_from('slack', 'U2', 'link').text)}")
    house.people["bo"] = replace(BO, roles=ANA.roles)

    reply = house.hears_from("slack", "U2", "turn prod/api 6")

    assert reply.text.splitlines()[0].startswith("The telegram account 7 was linked to you at 2026-11-23 12:00 UTC.")
    assert "prod/api goes from 3 to 6" in reply.text


# Gates of Flagger.


@pytest.mark.parametrize(
    ("ends", "still"),
    [
        (lambda _: None, True),
        (lambda house: house.takes_away("turner"), False),
        (lambda house: house.people.pop("ana"), False),
    ],
    ids=["nothing", "no right", "removed"],
)
def test_a_gate_says_yes_while_those_who_opened_it_may(
    house: House, ends: Callable[[House], object], *, still: bool
) -> None:
    question = GateCheck(
        canary=Canary(cluster="main", namespace="shop", name="api"), hook=GateHook.PROMOTION, revision="aa"
    )
    rights, verbs = house.runs._parts.authorizer, house.verbs
    keeper = FlaggerGates(house.store, partial(is_still_allowed, rights, verbs))
    keeper.answer(question)
    said: list[bool] = []

    def promote() -> None:
        run = house.dials.last_run["prod/api"]
        keeper.open(question, run=run, lasts=timedelta(hours=1))
        said.append(keeper.answer(question))
        ends(house)
        said.append(keeper.answer(question))

    house.dials.after = [promote]
    house.says(f"yes {handle(house.says('turn prod/api 6').text)}")

    assert said == [True, still]


def test_a_gate_that_is_opened_for_a_run_which_has_ended_says_no(house: House) -> None:
    """Its process was frozen in between, and the run judged meanwhile."""
    question = GateCheck(
        canary=Canary(cluster="main", namespace="shop", name="api"), hook=GateHook.PROMOTION, revision="aa"
    )
    keeper = FlaggerGates(house.store, partial(is_still_allowed, house.runs._parts.authorizer, house.verbs))
    keeper.answer(question)
    house.says(f"yes {handle(house.says('turn prod/api 6').text)}")

    keeper.open(question, run=house.dials.last_run["prod/api"], lasts=timedelta(hours=1))

    assert not keeper.answer(question)


# Answers that go on.


@pytest.mark.parametrize(
    "ends",
    [
        lambda house: house.takes_away("turner"),
        lambda house: house.people.pop("ana"),
        lambda house: house.settle({**ACCOUNTS, ("slack", "U1"): BO}),
    ],
    ids=["no right", "removed", "the account is another person's"],
)
def test_an_answer_is_told_again_only_to_whoever_may_still_ask(house: House, ends: Callable[[House], object]) -> None:
    house.action(risk=Risk.NONE, reads=True)
    looks: list[Inspect] = []
    house.dispatcher._live_answers = Kept(looks)
    house.says("turn prod/api 6")
    (look,) = looks
    with pytest.raises(Conflict):  # it looks at the world
        look()
    dispatcher = house.dispatcher
    ends(house)
    dispatcher._authorizer = house.dispatcher._authorizer

    with pytest.raises(Rejected, match="The requester may no longer use this command"):
        look()


class Kept(LiveAnswers):
    """Keeps the functions that would refresh a live answer."""

    def __init__(self, looks: list[Inspect]) -> None:
        super().__init__({})
        self._looks = looks

    def reply(self, request: Request, outcome: Outcome, look: Inspect) -> Reply:
        self._looks.append(look)
        return super().reply(request, outcome, look)
