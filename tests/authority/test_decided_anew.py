"""Whether an approved plan may still run, by what happened since the request and the approvals. Written by hand.

A cell is `runs`, `stops` (the plan is over), or `waits` (that approval is needed again; if the run
had its intent already, it ends without its call).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bot.core.audit import Code
from bot.core.request import Principal, Reply
from tests.authority.ground import Ground
from tests.authority.table import KINDS
from tests.runs import handle

Happens = Callable[[Ground, Principal], object]


def loses_roles(ground: Ground, who: Principal) -> None:
    ground.house.people[who.id] = replace(who, roles=frozenset())


def is_removed(ground: Ground, who: Principal) -> None:
    del ground.house.people[who.id]


def gives_account_away(ground: Ground, who: Principal) -> None:
    ground.house.accounts["slack", f"U-{who.id}"] = "vic"


def is_resolved(ground: Ground, _: Principal) -> None:
    with ground.house.store.begin() as tx:
        tx.sql.run("UPDATE incident SET status = 'resolved'")


def nothing(_: Ground, __: Principal) -> None: ...


HAPPENS: dict[str, Happens] = {
    "nothing": nothing,
    "loses-roles": loses_roles,
    "is-removed": is_removed,
    "gives-account-away": gives_account_away,
    "is-resolved": is_resolved,
}

#: To the requester. The approver has the role `approver`; with break-glass the requester needs no approval.
_ASKERS = """
                    asker admin on-call glass
nothing             runs  runs  runs    runs
loses-roles         stops stops stops   runs
is-removed          stops stops stops   stops
gives-account-away  stops stops stops   stops
is-resolved         runs  runs  stops   runs
"""

#: To the approver.
_APPROVERS = """
                    approver admin glass
nothing             runs     runs  runs
loses-roles         waits    waits runs
is-removed          waits    waits waits
gives-account-away  waits    waits waits
is-resolved         runs     runs  runs
"""


def cells(written: str) -> list[tuple[str, str, str]]:
    head, *rows = [line.split() for line in written.strip().splitlines()]
    return [(kind, what, cell) for what, *row in rows for kind, cell in zip(head, row, strict=True)]


def test_every_event_has_its_row() -> None:
    for table in (_ASKERS, _APPROVERS):
        assert [what for _, what, _ in cells(table)][:: len(cells(table)) // len(HAPPENS)] == list(HAPPENS)


def runs_with(ground: Ground, asker: Principal, approver: Principal, moment: str, act: Callable[[], object]) -> Reply:
    """A plan of theirs, with the act before the yes, before its intent, or before its call."""
    house = ground.house
    house.dials.others = 1
    plan = handle(ground.says("turn prod/api 9", asker).text)
    read, left = house.dials.read, [act]

    def meanwhile(name: str) -> int:
        if left:
            left.pop()()
        return read(name)

    with pytest.MonkeyPatch.context() as patch:
        if moment == "yes":
            act()
        elif moment == "intent":
            patch.setattr(house.dials, "read", meanwhile)
        else:
            house.while_sealing.append(act)
        return ground.says(f"yes {plan}", approver)


def outcome(ground: Ground, reply: Reply, turned: int, moment: str) -> str:
    if len(ground.house.dials.turned) > turned:
        assert reply.ok
        return "runs"
    assert not reply.ok
    codes = ground.record()
    if moment == "call":
        assert codes[-1] is Code.FAILED
        return "waits" if "The approval of" in reply.text else "stops"
    assert Code.FAILED not in codes[-2:]
    assert reply.plan_closed is ("The approval of" not in reply.text)
    return "stops" if reply.plan_closed else "waits"


#: Whoever confirms alone and has no account any more is nobody to a channel: see `test_outsiders`.
_OF_ASKERS = [
    (*one, moment)
    for one in cells(_ASKERS)
    for moment in ("yes", "intent", "call")
    if (one[0], moment) != ("glass", "yes") or one[1] not in ("is-removed", "gives-account-away")
]


@pytest.mark.parametrize(("kind", "what", "cell", "moment"), _OF_ASKERS)
def test_what_happens_to_whoever_asked(ground: Ground, kind: str, what: str, cell: str, moment: str) -> None:
    asker = KINDS[kind]
    approver = asker if kind == "glass" else KINDS["approver"]
    turned = len(ground.house.dials.turned)

    reply = runs_with(ground, asker, approver, moment, lambda: HAPPENS[what](ground, asker))

    found = outcome(ground, reply, turned, moment)
    assert found == cell, reply.text


@pytest.mark.parametrize("moment", ["intent", "call"])
@pytest.mark.parametrize(("kind", "what", "cell"), cells(_APPROVERS))
def test_what_happens_to_whoever_approved(ground: Ground, kind: str, what: str, cell: str, moment: str) -> None:
    approver, turned = KINDS[kind], len(ground.house.dials.turned)

    reply = runs_with(ground, KINDS["asker"], approver, moment, lambda: HAPPENS[what](ground, approver))

    found = outcome(ground, reply, turned, moment)
    assert found == cell, reply.text


@pytest.mark.parametrize(("kind", "what", "cell"), cells(_APPROVERS))
def test_what_happens_to_whoever_approved_before_the_next_yes(ground: Ground, kind: str, what: str, cell: str) -> None:
    house, approver = ground.house, KINDS[kind]
    last = KINDS["admin" if kind != "admin" else "approver"]
    house.dials.others = 2
    turned = len(house.dials.turned)
    plan = handle(ground.says("turn prod/api 9", KINDS["asker"]).text)
    ground.says(f"yes {plan}", approver)
    HAPPENS[what](ground, approver)

    reply = ground.says(f"yes {plan}", last)

    assert reply.ok
    assert (len(house.dials.turned) > turned) is (cell == "runs"), reply.text
    assert ("no longer counts" in reply.text) is (cell == "waits")
