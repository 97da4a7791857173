"""Break-glass: a reason, a page, half an hour, a mark on everything done by it, and a review by another person."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.access.policy import Freeze, Role, Rule
from bot.core.audit import Code
from bot.core.incident import Status
from bot.core.plan import Risk
from bot.core.request import Principal
from bot.store import audit_log, break_glass
from tests.house import ANA, BO, CY, NOON, ROLES, House, alert
from tests.runs import handle

FIRE = Role(name="fire", allow=(Rule(do="turn *"), Rule(do="undo")), break_glass=True)
WHY = "break-glass because the database is on fire"
LOOKED = "review-glass bo because it was a real fire"


@pytest.fixture
def burning(store_url: str) -> Iterator[House]:
    """Bo may turn nothing, except by the rules of a break-glass role."""
    made = House(store_url, roles=(*ROLES, FIRE))
    yield made
    made.close()


def on_record(house: House, code: Code) -> list[dict[str, str]]:
    """The `more` of every entry of that code, with its text."""
    with house.store.read() as reading:
        bodies = [json.loads(one.body) for one in audit_log.entries(reading.sql, audit_log.EntryFilter(code=str(code)))]
    return [{"said": body["said"], "by": body["by"], **body["more"]} for body in bodies]


def test_without_a_reason_the_glass_stays_whole(burning: House) -> None:
    replies = [burning.says(words, by=BO) for words in ("break-glass", "break-glass because", "break-glass because it")]

    assert [reply.ok for reply in replies] == [False] * 3
    assert "Nothing was done" in replies[1].text
    assert replies[2].text == ("The reviewer reads the reason: give at least 10 characters. Nothing was done.")
    assert burning.incidents() == []
    assert Code.GLASS_BROKEN not in burning.audited()


def test_breaking_it_pages_and_is_told_in_every_chat_with_its_reason_and_the_security_contact(burning: House) -> None:
    reply = burning.says(WHY, by=BO)
    burning.drain()

    assert reply.text == (
        "Break-glass is active for you until 12:30 UTC. Incident 1 pages for it, and carla reviews it."
        " Everything that you do by it is marked."
    )
    title = (
        "GlassBroken: Bo activated break glass until 2026-11-23 12:30 UTC. carla, the security contact, reviews it."
        " the database is on fire"
    )
    assert burning.incident().title == title
    assert burning.slack.said() == burning.telegram.said() == [f"post open {title}"]
    assert [line.partition(":")[0] for line in burning.pagerduty.said()] == ["page incident.opened"]
    (entry,) = on_record(burning, Code.GLASS_BROKEN)
    assert (entry["by"], entry["said"]) == ("bo", "Bo activated break-glass: the database is on fire")


def test_row_record_and_page_are_in_one_commit_or_none_of_them_is_there(burning: House) -> None:
    def die(_: str) -> None:
        raise RuntimeError("the process dies here")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bot.chatops.dispatcher.failpoint", die)
        with pytest.raises(RuntimeError):
            burning.says(WHY, by=BO)

    assert burning.incidents() == []
    assert burning.audited() == []
    assert burning.says("glass").text == "Break-glass has not been used."
    assert not burning.says("turn prod/api 6", by=BO).ok


def test_what_was_denied_is_allowed_behind_it_and_the_asker_is_alone_with_it(burning: House) -> None:
    burning.action(risk=Risk.IRREVERSIBLE)
    before = burning.says("turn prod/api 6", by=BO)
    burning.says(WHY, by=BO)

    shown = burning.says("turn prod/api 6", by=BO)
    reply = burning.says(f"yes {handle(shown.text)}", by=BO)

    assert before.text.startswith('Denied: "turn prod/api".')
    assert "Break-glass would allow it." in before.text
    assert reply.ok
    assert [turned[:2] for turned in burning.dials.turned] == [("prod/api", 6)]


def test_everything_that_runs_behind_it_says_so_on_record_and_on_the_incidents(burning: House) -> None:
    burning.hears(alert())
    burning.says(WHY, by=BO)

    burning.says(f"yes {handle(burning.says('turn prod/api 6', by=BO, here=1).text)}", by=BO, here=1)

    for code in (Code.PLANNED, Code.INTENT, Code.DONE):
        assert on_record(burning, code)[-1]["rule"] == "turn * (behind broken glass)"
    done = "bo, with break-glass: turn prod/api 6: done. prod/api is at 6."
    assert burning.story(1)[-2].text.startswith("Bo, with break-glass, asks: turn prod/api 6.")
    assert burning.story(1)[-1].text == done
    assert burning.story(2)[-1].text == done


def test_work_on_an_incident_that_only_the_glass_allows_is_marked_too(store_url: str) -> None:
    own, fire = (
        Role(name="breaker", allow=(Rule(do="break-glass"),)),
        Role(name="fire", allow=(Rule(do="ack"),), break_glass=True),
    )
    house = House(store_url, roles=(*ROLES, own, fire))
    house.hears(alert())
    keen = replace(BO, roles=frozenset({"breaker"}))
    denied = house.says("ack 1", by=keen)
    house.says(WHY, by=keen)

    reply = house.says("ack 1", by=keen)

    assert not denied.ok
    assert reply.ok
    assert house.story(1)[-1].text == "Bo, with break-glass: ack 1"
    assert house.story(2)[-1].text == "Bo, with break-glass: ack 1"
    assert on_record(house, Code.DONE)[-1]["rule"] == "ack (behind broken glass)"
    house.close()


def test_what_ones_own_rights_allow_is_not_marked(burning: House) -> None:
    burning.says("break-glass because the database is on fire", by=ANA)

    burning.says(f"yes {handle(burning.says('turn prod/api 6').text)}")

    assert on_record(burning, Code.DONE)[-1]["rule"] == "turn *"


def test_behind_it_nothing_is_called_without_a_sealed_intent(burning: House) -> None:
    burning.says(WHY, by=BO)
    shown = burning.says("turn prod/api 6", by=BO)
    burning.seals = "disk full"

    reply = burning.says(f"yes {handle(shown.text)}", by=BO)

    assert reply.text == "Refused: the audit log cannot be written (disk full). Nothing was changed."
    assert burning.dials.turned == []


def test_after_thirty_minutes_it_counts_no_longer_whether_or_not_the_watch_has_come_by(burning: House) -> None:
    burning.says(WHY, by=BO)
    burning.clock.pass_by(minutes=30, seconds=-1)
    last = burning.says("turn prod/api 6", by=BO)
    burning.clock.pass_by(seconds=1)

    asked = burning.says("turn prod/web 6", by=BO)
    late = burning.says(f"yes {handle(last.text)}", by=BO)

    assert last.ok
    assert asked.text.startswith('Denied: "turn prod/web".')
    assert late.text.startswith('Denied: "turn prod/api".')
    assert burning.dials.turned == []


def test_a_glass_that_mends_between_the_yes_and_the_intent_stops_the_run(burning: House) -> None:
    burning.says(WHY, by=BO)
    burning.clock.pass_by(minutes=28)
    shown = burning.says("turn prod/api 6", by=BO)
    read = burning.dials.read

    def slowly(name: str) -> int:
        burning.clock.pass_by(minutes=3)
        return read(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(burning.dials, "read", slowly)
        reply = burning.says(f"yes {handle(shown.text)}", by=BO)

    assert reply.text.startswith('bo may no longer do this: "turn prod/api" is denied.')
    assert "Break-glass would allow it." in reply.text
    assert burning.dials.turned == []


def test_a_plan_shown_behind_it_does_not_run_later_by_a_right_that_asks_for_more_people(store_url: str) -> None:
    careful = Role(name="responder", allow=(Rule(do="turn *", approvals=1), Rule(do="break-glass"), Rule(do="yes")))
    house = House(store_url, roles=(*ROLES, careful, FIRE))
    house.says(WHY, by=BO)
    shown = house.says("turn prod/api 6", by=BO)
    house.says(LOOKED, by=CY)

    reply = house.says(f"yes {handle(shown.text)}", by=BO)

    assert reply.text.startswith(f"Plan {handle(shown.text)} needs more approvals than when it was shown. ")
    assert house.dials.turned == []
    house.close()


def test_the_watch_mends_it_once_and_says_that_it_is_to_be_reviewed(burning: House) -> None:
    burning.says(WHY, by=BO)
    burning.clock.pass_by(minutes=31)

    burning.tends()
    burning.tends()

    assert [entry["by"] for entry in on_record(burning, Code.GLASS_MENDED)] == ["watch"]
    assert burning.story()[-1].text == (
        "The scheduler: Break-glass of bo has ended: its time was over. Review it: review-glass bo because <text>"
    )
    assert burning.incident().status is Status.OPEN


@pytest.mark.parametrize("who", [BO, ANA])
@pytest.mark.parametrize("later", [5, 31, 60 * 24 * 30])
def test_nobody_breaks_the_next_one_before_the_last_was_reviewed(burning: House, who: Principal, later: int) -> None:
    burning.says(WHY, by=BO)
    burning.clock.pass_by(minutes=later)
    burning.tends()

    reply = burning.says(WHY, by=who)

    user = "You" if who is BO else "bo"
    assert reply.text == (
        f"{user} used break-glass at 2026-11-23 12:00 UTC, and another person has to review that first:"
        " `review-glass bo because <text>`. Nothing was done."
    )
    assert len(on_record(burning, Code.GLASS_BROKEN)) == 1
    assert len(burning.incidents()) == 1


def test_after_a_review_the_next_one_may_be_broken_and_the_incident_is_over(burning: House) -> None:
    burning.says(WHY, by=BO)
    burning.clock.pass_by(minutes=31)
    burning.tends()

    reply = burning.says(LOOKED, by=CY)
    again = burning.says(WHY, by=BO)
    burning.drain()

    assert reply.text == "The break-glass use of bo is reviewed. Break-glass can be activated again."
    assert again.ok
    assert [burning.incident(number).status for number in (1, 2)] == [Status.RESOLVED, Status.OPEN]
    (entry,) = on_record(burning, Code.GLASS_REVIEWED)
    assert (entry["by"], entry["said"]) == ("cy", "Cy reviewed the break-glass use of bo: it was a real fire")
    assert burning.says("glass").text.splitlines() == [
        "2026-11-23 12:31 UTC bo (#2): the database is on fire; active until 2026-11-23 13:01 UTC",
        "2026-11-23 12:00 UTC bo (#1): the database is on fire; reviewed by cy: it was a real fire",
    ]


def test_a_review_before_its_time_ends_it_at_once(burning: House) -> None:
    burning.says(WHY, by=BO)
    shown = burning.says("turn prod/api 6", by=BO)

    reply = burning.says(LOOKED, by=CY)
    late = burning.says(f"yes {handle(shown.text)}", by=BO)
    burning.clock.pass_by(minutes=31)
    burning.tends()

    assert reply.text == "The break-glass use of bo is reviewed. It has ended. Break-glass can be activated again."
    assert not late.ok
    assert burning.dials.turned == []
    assert [entry["by"] for entry in on_record(burning, Code.GLASS_MENDED)] == ["cy"]


@pytest.mark.parametrize("place", ["slack", "telegram"])
def test_whoever_broke_it_does_not_review_it_from_any_account(store_url: str, place: str) -> None:
    house = House(store_url, roles=(*ROLES, FIRE))
    both = replace(BO, roles=BO.roles | {"approver", "admin"})
    house.says(WHY, by=both)
    house.clock.pass_by(minutes=31)

    reply = house.says(LOOKED, by=both, place=place)

    assert reply.text == "You activated it; another person has to review it. Nothing was done."
    assert not house.says(WHY, by=both).ok
    house.close()


def test_who_may_not_review_is_denied_and_what_sleeps_behind_the_glass_is_no_help(store_url: str) -> None:
    house = House(store_url, roles=(*ROLES, Role(name="fire", allow=(Rule(do="*"),), break_glass=True)))
    house.says(WHY, by=BO)

    replies = [house.says(LOOKED, by=ANA), house.says(LOOKED, by=BO)]

    assert [reply.text.partition(":")[0] for reply in replies] == [
        "Denied",
        "You activated it; another person has to review it. Nothing was done.",
    ]
    assert house.says("review-glass ana because it was nothing at all", by=CY).text == (
        "ana has no use of break-glass to review. Nothing was done. `glass` lists the last ones."
    )
    house.close()


@pytest.mark.parametrize(
    ("who", "said"),
    [
        (Principal(id="bot", roles=frozenset({"admin"}), human=False), "You are not listed"),
        (Principal(id="bo", roles=frozenset({"admin"}), human=False), "Only a person can activate break-glass."),
        (Principal(id="eve", roles=frozenset({"admin"})), "You are not listed"),
        (Principal(id="bo", roles=frozenset({"viewer"})), "Denied: "),
        (Principal(id="bo", roles=frozenset()), "Denied: "),
        (Principal(id=""), "Link your account first"),
    ],
)
def test_who_is_nobody_or_no_person_or_only_looks_on_cannot_break_it(burning: House, who: Principal, said: str) -> None:
    reply = burning.says(WHY, by=who)

    assert not reply.ok
    assert reply.text.startswith(said)
    assert burning.incidents() == []


def test_where_nothing_sleeps_behind_it_nobody_is_woken_for_nothing(house: House) -> None:
    reply = house.says(WHY, by=BO)

    assert (
        reply.text
        == "No role in the settings has `break_glass: true`, so break-glass gives no rights. Nothing was done."
    )
    assert house.incidents() == []


@pytest.mark.parametrize(("exempt", "allowed"), [(frozenset[str](), False), (frozenset({"fire"}), True)])
def test_a_freeze_holds_behind_it_unless_it_spares_the_sleeping_role(
    store_url: str, exempt: frozenset[str], *, allowed: bool
) -> None:
    frozen = Freeze(name="gala", since=NOON, until=NOON + timedelta(days=1), targets=("*",), exempt=exempt)
    house = House(store_url, roles=(*ROLES, FIRE), freezes=(frozen,))
    house.says(WHY, by=ANA)

    reply = house.says("turn prod/api 6", by=ANA)

    assert reply.ok is allowed
    rule = on_record(house, Code.PLANNED if allowed else Code.DENIED)[-1].get("rule", "")
    assert rule == ("turn * (behind broken glass)" if allowed else "")
    house.close()


def test_what_is_denied_stays_denied_behind_it(store_url: str) -> None:
    never = Role(name="responder", allow=(Rule(do="break-glass"),), deny=(Rule(do="turn prod/web"),))
    house = House(store_url, roles=(*ROLES, FIRE, never))
    house.says(WHY, by=BO)

    assert not house.says("turn prod/web 6", by=BO).ok
    assert house.says("turn prod/api 6", by=BO).ok
    house.close()


def test_the_glass_of_one_person_is_no_help_to_another(burning: House) -> None:
    burning.says(WHY, by=ANA)

    assert not burning.says("turn prod/api 6", by=BO).ok


def test_the_same_click_twice_breaks_it_once(burning: House) -> None:
    first = burning.says(WHY, by=BO, once="m1")
    second = burning.says(WHY, by=BO, once="m1")

    assert (second.text, second.repeated) == (first.text, True)
    assert len(on_record(burning, Code.GLASS_BROKEN)) == 1


def test_a_secret_in_the_reason_reaches_neither_the_incident_nor_the_record(burning: House) -> None:
    secret = "xoxb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx"

    burning.says(f"break-glass because the token {secret} leaked", by=BO)

    assert secret not in burning.incident().title
    assert all(secret not in json.dumps(entry) for entry in on_record(burning, Code.GLASS_BROKEN))
    assert secret not in burning.says("glass").text


def test_who_has_broken_it_and_until_when_can_be_asked(burning: House) -> None:
    burning.says(WHY, by=BO)

    with burning.store.begin() as tx:
        found = break_glass.active(tx.sql, "bo", tx.now)
        other = break_glass.active(tx.sql, "ana", tx.now)

    line = "Break-glass is active for you until 2026-11-23 12:30 UTC: the database is on fire"
    assert line in burning.says("whoami", by=BO).text.splitlines()
    assert line not in burning.says("whoami", by=ANA).text.splitlines()
    assert found is not None
    assert (found.person, found.until, found.reason) == ("bo", NOON + timedelta(minutes=30), "the database is on fire")
    assert other is None
