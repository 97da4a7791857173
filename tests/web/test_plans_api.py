"""The plans that wait, from the API: they are there after a reload, with the buttons that count."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from bot.core.plan import Plan, PlanState, Proposal, plan_bytes, plan_digest
from bot.store import plans
from tests.dials import Dials, Turn
from tests.web.web_house import WebHouse


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebHouse]:
    with WebHouse(tmp_path_factory.mktemp("plans")) as house:
        monkeypatch.setitem(house.dispatcher._registry.actions, "turn", Turn(Dials()))
        yield house


def waiting(house: WebHouse) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = house.http.get("/api/plans").json()["plans"]
    return found


def ask(
    house: WebHouse, handle: str, *, by: str = "ana", needs: int = 0, name: str = "", age_min: int = 0, **said: Any
) -> None:
    plan = Plan(target="prod/api", effect=("it goes from 3 to 6",), blast_radius="one dial", confirm_name=name, **said)
    body = plan_bytes("turn", "turn prod/api 6", plan)
    with house.store.begin() as tx:
        asked = Proposal(
            handle=handle * 32, verb="turn", command="turn prod/api 6", requester=by, channel="slack",
            incident_id=None, at=tx.now - timedelta(minutes=age_min), approvals_needed=needs, state=PlanState.SHOWN,
            plan=plan, digest=plan_digest(body),
        )  # fmt: skip
        plans.put_plan(tx, asked, body)


def test_a_plan_is_listed_with_its_effect_until_it_is_answered(house: WebHouse) -> None:
    number = house.fire("Acted")
    handle = re.findall(r"`yes ([0-9a-f]+)`", house.say("turn prod/api 6", incident=number).json()["said"])[-1]

    (listed,) = waiting(house)

    assert (listed["id"], listed["words"], listed["by"], listed["via"]) == (
        handle,
        "turn prod/api 6",
        "local",
        "console",
    )
    assert listed["incident_id"] == number
    assert "prod/api goes from 3 to 6" in listed["lines"]
    assert "Touches: one dial" in listed["lines"]
    assert f"`yes {handle}`" in listed["waits_for"]
    assert listed["buttons"] == {"Do it": f"yes {handle}", "Drop it": f"no {handle}"}
    house.say(listed["buttons"]["Drop it"])
    assert waiting(house) == []


def test_an_approver_reads_what_moved_by_itself_with_the_time_it_was_read(house: WebHouse) -> None:
    ask(house, "c", moving=("2 clients write to orders",))

    (listed,) = waiting(house)

    assert f"At {listed['asked_at'][11:16]} UTC: 2 clients write to orders" in listed["lines"]


def test_a_plan_says_who_can_approve_it(house: WebHouse) -> None:
    ask(house, "d", needs=1)
    ask(house, "e", needs=1, by="local")
    ask(house, "f", by="local")

    can = {one["id"]: one["can_approve"] for one in waiting(house)}

    assert can["d" * 8] == "Can approve: local."
    assert can["e" * 8].startswith("NOBODY ELSE can approve this.")
    assert can["f" * 8] == ""


def test_a_button_of_the_list_does_it(house: WebHouse) -> None:
    house.say("turn prod/api 6")
    (listed,) = waiting(house)

    answer = house.say(listed["buttons"]["Do it"]).json()

    assert answer["ok"] is True
    assert waiting(house) == []


@pytest.mark.parametrize(
    ("by", "needs", "name", "buttons"),
    [
        ("local", 0, "", ["Do it", "Drop it"]),
        ("local", 1, "", ["Drop it"]),
        ("ana", 1, "", ["Approve", "Drop it"]),
        ("ana", 0, "", ["Drop it"]),
        ("local", 0, "api", ["Drop it"]),
    ],
    ids=["own", "own-that-needs-another", "of-another", "another-confirms", "must-be-typed"],
)
def test_an_answer_that_cannot_count_has_no_button(
    house: WebHouse, by: str, needs: int, name: str, buttons: list[str]
) -> None:
    ask(house, "a", by=by, needs=needs, name=name)

    (listed,) = waiting(house)

    assert list(listed["buttons"]) == buttons
    assert listed["waits_for"].endswith(f"`yes aaaaaaaa{' api' if name else ''}`")


def test_a_plan_that_expired_does_not_wait(house: WebHouse) -> None:
    ask(house, "a", age_min=16)
    ask(house, "b", age_min=14)

    assert [one["id"] for one in waiting(house)] == ["bbbbbbbb"]
