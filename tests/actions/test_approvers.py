"""A plan says who can approve it, and says it loudly where nobody can, or too few."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.access import decision
from bot.access.conditions import Conditions, Context, Impact
from bot.access.decision import Able
from bot.access.policy import Freeze, Policy, Role, Rule
from bot.actions import approval
from bot.core.access import Permission
from bot.core.plan import Plan, PlanState, Proposal, Risk
from bot.core.request import Principal
from tests.house import ACCOUNTS, ANA, BO, NOON, House
from tests.runs import handle

_HINT = "An admin has to give somebody a role that allows `yes` on prod/api."
_PROPOSAL = Proposal(
    handle="0123456789abcdef",
    verb="restore",
    command="restore prod/api",
    requester="ana",
    channel="slack",
    incident_id=None,
    at=NOON,
    approvals_needed=1,
    state=PlanState.SHOWN,
    plan=Plan(target="prod/api", effect=("a copy",), blast_radius="nothing"),
    digest="",
)


def able(*names: str, roles: tuple[str, ...] = ()) -> Able:
    return Able(people=tuple(Principal(id=one.lower(), name=one) for one in names), roles=roles)


@pytest.mark.parametrize(
    ("who", "missing", "said"),
    [
        (able("Cy"), 1, "Can approve: Cy."),
        (able("Cy", "Di", "Ed", "Flo", "Gus"), 1, "Can approve: Cy, Di, Ed, Flo or Gus."),
        (able("Cy", "Di", "Ed", "Flo", "Gus", "Hal"), 2, "Can approve: Cy, Di, Ed, Flo, Gus or others."),
        (able(), 1, f"NOBODY ELSE can approve this. {_HINT}"),
        (able("Cy"), 2, f"TOO FEW people can approve this: 2 are needed, and only Cy can. {_HINT}"),
        (able("Cy", roles=("dba",)), 2, "Can approve: Cy or people whom a group gives the role dba."),
        (able(roles=("dba", "lead")), 1, "Can approve: people whom a group gives the role dba or lead."),
    ],
)
def test_the_sentence_names_up_to_five_and_is_loud_where_they_are_too_few(who: Able, missing: int, said: str) -> None:
    assert approval.describe_approvers(_PROPOSAL, who, missing) == said


def test_only_those_are_named_whose_yes_the_policy_would_take_now() -> None:
    yes = (Rule(do="yes prod/*"),)
    roles = (
        Role(name="lead", allow=yes),
        Role(name="barred", allow=yes, deny=(Rule(do="yes prod/api"),)),
        Role(name="elsewhere", allow=(Rule(do="yes staging/*"),)),
        Role(name="duty", allow=(Rule(do="yes", when=Conditions(on_call=True)),)),
        Role(name="glass", allow=yes, break_glass=True),
    )
    held = {
        "lea": "lead",
        "bar": "barred",
        "els": "elsewhere",
        "dut": "duty",
        "idl": "duty",
        "gla": "glass",
        "ana": "lead",
    }
    everything = Freeze(name="sale", since=NOON, until=NOON + timedelta(hours=1), targets=("*",))
    policy = Policy(
        roles,
        people=[Principal(id=one, roles=frozenset({role})) for one, role in held.items()],
        on_call={"prod/api": ["dut"]},
        freezes=[everything],
    )
    context = Context(now=NOON, impact=Impact.INCIDENT, service="prod/api")

    found = decision.able_others(
        Principal(id="ana"), Permission(verb="yes", target="prod/api"), policy, context, most=9
    )

    assert [one.id for one in found] == ["dut", "lea"], "a freeze holds the run, not the approval"


def test_the_card_and_the_refusal_of_the_own_yes_name_them(house: House) -> None:
    house.action(risk=Risk.IRREVERSIBLE)

    shown = house.says("turn prod/api 6")
    own = house.says(f"yes {handle(shown.text)}")

    assert shown.card is not None
    assert shown.card.lines[-2] == "Can approve: Cy."
    assert own.text == "You asked for this; another person must approve. Can approve: Cy. Nothing was done."


def test_where_nobody_else_can_approve_the_card_and_the_refusal_say_so(house: House) -> None:
    house.action(risk=Risk.IRREVERSIBLE)
    house.settle({("slack", "U1"): ANA, ("slack", "U2"): BO})

    shown = house.says("turn prod/api 6")
    own = house.says(f"yes {handle(shown.text)}")

    nobody = f"NOBODY ELSE can approve this. {_HINT}"
    assert nobody in shown.text
    assert own.text == f"You asked for this; another person must approve. {nobody} Nothing was done."


def test_a_role_that_a_group_of_slack_gives_is_named_for_its_members_are_not_in_the_settings(house: House) -> None:
    house.action(risk=Risk.IRREVERSIBLE)
    house.settle({("slack", "U1"): ANA}, {"approver": frozenset({"S1"}), "responder": frozenset({"S2"})})

    shown = house.says("turn prod/api 6")

    assert "Can approve: people whom a group gives the role approver." in shown.text


def test_a_plan_that_its_requester_confirms_names_nobody(house: House) -> None:
    house.settle(ACCOUNTS)

    assert "approve" not in house.says("turn prod/api 6").text.replace("Approve", "")
