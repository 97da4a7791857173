"""Who may do what: the decision, its reason, and what no order and no further rule can change."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.access.conditions import Conditions, Context, Impact
from bot.access.decision import decide, policy_input
from bot.access.policy import ALWAYS_ALLOWED, BUILT_IN, Freeze, Policy, Role, Rule
from bot.core.access import Permission
from bot.core.alert import Severity
from bot.core.request import Principal
from bot.lib import time_windows

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)  # A Monday.
ANA, BO, CY = (Principal(id=one, name=one.title(), roles=frozenset({"ops"})) for one in ("ana", "bo", "cy"))
API = Context(now=NOON, service="prod/api", environment="production")
SCALE = Permission(verb="scale", target="prod/api")


def book(*allow: Rule, deny: tuple[Rule, ...] = (), **more: object) -> Policy:
    return Policy([Role(name="ops", allow=allow, deny=deny)], **more)  # type: ignore[arg-type]


def test_what_no_rule_allows_is_denied_and_the_reason_names_who_could() -> None:
    root = Principal(id="root", name="Root", roles=frozenset({"admin"}))

    decision = decide(ANA, SCALE, Policy(people=[ANA, root]), API)

    assert not decision.allowed
    assert decision.reason == (
        '"scale prod/api" is denied. No role of ana (ops) allows it. Role with a rule for it: admin.'
        " Root could do it now."
    )


def test_a_denial_beats_what_allows() -> None:
    decision = decide(ANA, SCALE, book(Rule(do="*"), deny=(Rule(do="scale prod/*"),)), API)

    assert (decision.allowed, decision.rule) == (False, "scale prod/*")


def test_rights_follow_duty_and_end_with_it() -> None:
    rights = book(Rule(do="scale prod/*", when=Conditions(on_call=True, incident=True)))
    on_duty = replace(API, on_call_for=frozenset({"prod/api"}), open_on=frozenset({"prod/api"}))

    during, after = (
        decide(ANA, SCALE, rights, on_duty),
        decide(ANA, SCALE, rights, replace(on_duty, open_on=frozenset())),
    )

    assert during.allowed
    assert not after.allowed
    assert "needs an open incident on prod/api; there is none" in after.reason


UNMET = {
    "environment": (Conditions(environment=("staging",)), "needs environment staging; this is production"),
    "service": (Conditions(service=("staging/*",)), "needs a service staging/*; this is prod/api"),
    "severity": (Conditions(severity=(Severity.ERROR,)), "needs an incident of severity error; there is none"),
    "on call": (Conditions(on_call=True), "needs you on call for prod/api; you are not"),
    "hours": (
        Conditions(during=(time_windows.parse_window("Sat,Sun 00:00-24:00 UTC"),)),
        "holds Sat,Sun 00:00-24:00 UTC; it is 2026-11-23",
    ),
    "budget": (Conditions(budget=0.1), "needs 0.1 of the error budget left; how much is left is not known"),
}


@pytest.mark.parametrize(("when", "said"), UNMET.values(), ids=UNMET.keys())
def test_a_condition_that_does_not_hold_is_told(when: Conditions, said: str) -> None:
    decision = decide(ANA, SCALE, book(Rule(do="scale", when=when)), API)

    assert not decision.allowed
    assert said in decision.reason


def test_where_nobody_knows_the_environment_a_denial_holds_and_a_right_does_not() -> None:
    unknown, when = replace(API, environment=None), Conditions(environment=("production",))

    assert not decide(ANA, SCALE, book(Rule(do="*"), deny=(Rule(do="*", when=when),)), unknown).allowed
    assert not decide(ANA, SCALE, book(Rule(do="*", when=when)), unknown).allowed


def test_a_freeze_holds_actions_only_and_not_the_exempt() -> None:
    freeze = Freeze(
        name="Sale", since=NOON, until=NOON + timedelta(hours=1), targets=("prod/*",), exempt=frozenset({"admin"})
    )
    rights = book(Rule(do="*"), freezes=[freeze])

    frozen = decide(ANA, SCALE, rights, API)

    assert not frozen.allowed
    assert 'freeze "Sale" is on until 2026-11-23 13:00 UTC' in frozen.reason
    assert decide(ANA, SCALE, rights, replace(API, impact=Impact.INCIDENT)).allowed
    assert decide(replace(ANA, roles=frozenset({"admin"})), SCALE, rights, API).allowed
    assert decide(ANA, SCALE, rights, replace(API, now=freeze.until)).allowed


def test_broken_glass_wakes_its_role_until_it_mends() -> None:
    rights, mends = Policy([Role(name="fire", allow=(Rule(do="*"),), break_glass=True)]), NOON + timedelta(minutes=30)
    listed = replace(ANA, roles=frozenset({"fire"}))

    awake = decide(ANA, SCALE, rights, replace(API, break_glass_until=mends))

    assert (awake.allowed, awake.until) == (True, mends)
    assert "break-glass is active until 2026-11-23 12:30 UTC" in awake.reason
    assert not decide(listed, SCALE, rights, API).allowed
    assert not decide(ANA, SCALE, rights, replace(API, now=mends, break_glass_until=mends)).allowed


def test_only_what_would_be_denied_without_it_is_marked_as_behind_broken_glass() -> None:
    fire = Role(name="fire", allow=(Rule(do="*"),), break_glass=True)
    sale = Freeze(name="Sale", since=NOON, until=NOON + timedelta(hours=1), targets=("*",), exempt=frozenset({"fire"}))
    own = Role(name="ops", allow=(Rule(do="scale prod/*"),))
    broken = replace(API, break_glass_until=NOON + timedelta(minutes=30))

    found = [
        decide(ANA, SCALE, Policy([fire]), broken).break_glass,
        decide(ANA, SCALE, Policy([fire, own]), broken).break_glass,
        decide(ANA, SCALE, Policy([fire, own], freezes=[sale]), broken).break_glass,
        decide(ANA, SCALE, Policy([fire, own]), API).break_glass,
    ]

    assert found == [True, False, True, False]


def test_of_several_rules_the_one_with_the_fewest_approvals_counts() -> None:
    decision = decide(ANA, SCALE, book(Rule(do="*", approvals=2), Rule(do="scale prod/*", approvals=1)), API)

    assert (decision.approvals, decision.rule) == (1, "scale prod/*")


def test_who_is_paged_may_acknowledge_whatever_the_rules_say() -> None:
    ack, nothing = Permission(verb="ack", target="incident/42"), replace(ANA, roles=frozenset())
    rights = book(deny=(Rule(do="*"),))

    assert decide(nothing, ack, rights, replace(API, paged=True)).allowed
    assert decide(ANA, ack, rights, replace(API, on_call_for=frozenset({"prod/api"}))).allowed
    assert not decide(ANA, ack, rights, API).allowed


VERBS = sorted({do.split()[0] for rules in BUILT_IN.values() for do in rules} - {"*"} | ALWAYS_ALLOWED | {"scale"})
EXPECTED = {
    "nobody": {"link"},
    "no rights": {"whoami", "help", "link", "unlink"},
    "viewer": {
        "show",
        "incidents",
        "home",
        "approvals",
        "silences",
        "glass",
        "status",
        "backups",
        "dr",
        "oncall",
        "services",
    }
    | ALWAYS_ALLOWED,
    "responder": {
        "show",
        "incidents",
        "home",
        "oncall",
        "services",
        "runs",
        "approvals",
        "silences",
        "status",
        "backups",
        "dr",
        "glass",
        "ack",
        "resolve",
        "unack",
        "reopen",
        "assign",
        "note",
    }
    | {"severity", "page", "resend", "silence", "unsilence", "break-glass", "override", "remove-override"}
    | ALWAYS_ALLOWED,
    "approver": {
        "show",
        "incidents",
        "home",
        "approvals",
        "silences",
        "glass",
        "status",
        "backups",
        "dr",
        "oncall",
        "services",
    }
    | {"yes", "no", "review-glass"}
    | ALWAYS_ALLOWED,
    "admin": set(VERBS),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", EXPECTED)
def test_every_kind_of_person_may_what_is_listed_and_no_more(kind: str, verb: str) -> None:
    who = Principal(id="" if kind == "nobody" else "p", roles=frozenset({kind} & set(BUILT_IN)))

    assert decide(who, Permission(verb=verb, target="incident/1"), Policy(), API).allowed is (verb in EXPECTED[kind])


WHENS = st.builds(
    Conditions, on_call=st.booleans(), incident=st.booleans(), environment=st.sampled_from([(), ("production",)])
)
RULES = st.builds(
    Rule,
    do=st.sampled_from(["*", "scale", "scale prod/*", "s* *api", "ack", "yes"]),
    when=WHENS,
    approvals=st.integers(0, 2),
)
AROUND = st.builds(
    Context,
    now=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    impact=st.sampled_from(Impact),
    service=st.sampled_from([None, "prod/api", "x"]),
    environment=st.sampled_from([None, "production", "staging"]),
    on_call_for=st.frozensets(st.sampled_from(["prod/api", "x"])),
    open_on=st.frozensets(st.sampled_from(["prod/api", "x"])),
    budget_left=st.none() | st.floats(),
)
WANTED = st.builds(
    Permission, verb=st.sampled_from(["scale", "ack", "show"]) | st.text(), target=st.text() | st.just("prod/api")
)
SEVERAL = st.lists(RULES, max_size=6).map(tuple)


@given(SEVERAL, SEVERAL, RULES, WANTED, AROUND)
def test_a_further_denial_never_allows_more(allow, deny, more, wanted, around) -> None:  # type: ignore[no-untyped-def]
    before = decide(ANA, wanted, book(*allow, deny=deny), around).allowed
    after = decide(ANA, wanted, book(*allow, deny=(*deny, more)), around).allowed

    assert before or not after


@given(SEVERAL, SEVERAL, RULES, WANTED, AROUND)
def test_a_further_right_never_denies(allow, deny, more, wanted, around) -> None:  # type: ignore[no-untyped-def]
    before = decide(ANA, wanted, book(*allow, deny=deny), around)
    after = decide(ANA, wanted, book(*allow, more, deny=deny), around)

    assert after.allowed or not before.allowed
    assert not before.allowed or after.approvals <= before.approvals


@given(SEVERAL, SEVERAL, WANTED, AROUND, st.randoms())
def test_the_order_of_rules_does_not_matter(allow, deny, wanted, around, chance: random.Random) -> None:  # type: ignore[no-untyped-def]
    mixed = chance.sample(allow, len(allow)), tuple(chance.sample(deny, len(deny)))

    assert decide(ANA, wanted, book(*mixed[0], deny=mixed[1], people=[BO, CY]), around) == decide(
        ANA, wanted, book(*allow, deny=deny, people=[CY, BO]), around
    )


@given(WANTED, AROUND)
def test_without_rules_only_what_is_free_is_allowed(wanted: Permission, around: Context) -> None:
    paged = wanted.verb == "ack" and around.is_on_call

    assert decide(ANA, wanted, Policy(), around).allowed is (wanted.verb in ALWAYS_ALLOWED or paged)


EVERYTHING = Permission(verb="silence", target="*")


@pytest.mark.parametrize("do", ["silence prod/*", "silence prod/api", "* x", "silence ?"])
def test_a_denial_of_a_part_also_denies_what_touches_everything(do: str) -> None:
    nowhere = Context(now=NOON)

    decision = decide(ANA, EVERYTHING, book(Rule(do="*"), deny=(Rule(do=do),)), nowhere)

    assert (decision.allowed, decision.rule) == (False, do)


@pytest.mark.parametrize(
    ("do", "allowed"), [("*", True), ("silence", True), ("silence prod/*", False), ("s* ?", False)]
)
def test_a_right_to_a_part_is_none_to_everything(do: str, allowed: bool) -> None:  # noqa: FBT001 (a row of the table)
    assert decide(ANA, EVERYTHING, book(Rule(do=do)), Context(now=NOON)).allowed is allowed


def test_a_denial_with_a_condition_of_place_denies_what_touches_everything() -> None:
    deny = Rule(do="silence", when=Conditions(environment=("production",)))

    assert not decide(ANA, EVERYTHING, book(Rule(do="*"), deny=(deny,)), Context(now=NOON)).allowed


def test_a_freeze_of_a_part_freezes_what_touches_everything() -> None:
    freeze = Freeze(name="Sale", since=NOON, until=NOON + timedelta(hours=1), targets=("prod/*",))

    assert not decide(ANA, EVERYTHING, book(Rule(do="*"), freezes=[freeze]), Context(now=NOON)).allowed


def test_a_right_ends_when_its_hours_do_and_where_they_never_do_it_tells_no_end() -> None:
    office = Conditions(during=(time_windows.parse_window("Mon-Fri 09:00-18:00 Europe/Berlin"),))
    two = Conditions(
        during=(
            time_windows.parse_window("09:00-18:00 Europe/Berlin"),
            time_windows.parse_window("18:00-20:00 Europe/Berlin"),
        )
    )
    always = Conditions(during=(time_windows.parse_window("00:00-24:00 UTC"),))

    ends = [decide(ANA, SCALE, book(Rule(do="*", when=when)), API).until for when in (office, two, always)]

    assert ends == [NOON.replace(hour=17), NOON.replace(hour=19), None]


def test_a_right_ends_when_a_freeze_begins_or_its_hours_end_whichever_comes_first() -> None:
    office = Rule(do="*", when=Conditions(during=(time_windows.parse_window("Mon-Fri 09:00-18:00 Europe/Berlin"),)))
    early, late = (
        Freeze(name="Sale", since=NOON + timedelta(hours=n), until=NOON + timedelta(days=2), targets=("prod/*",))
        for n in (2, 9)
    )
    elsewhere = replace(early, targets=("staging/*",))
    exempt = replace(early, exempt=frozenset({"ops"}))

    def until(*freezes: Freeze, around: Context = API) -> datetime | None:
        return decide(ANA, SCALE, book(office, freezes=freezes), around).until

    assert until(early, late) == NOON.replace(hour=14)
    assert until(late) == NOON.replace(hour=17)
    assert until(elsewhere, exempt) == NOON.replace(hour=17)
    assert until(early, around=replace(API, impact=Impact.INCIDENT)) == NOON.replace(hour=17)
    assert "until 2026-11-23 14:00 UTC" in decide(ANA, SCALE, book(office, freezes=[early]), API).reason


def test_the_document_for_a_second_opinion_is_json_and_tells_what_was_the_case() -> None:
    rights = Policy([Role(name="fire", allow=(Rule(do="*"),), break_glass=True)])
    duty = frozenset({"prod/api"})
    around = replace(API, on_call_for=duty, open_on=duty, severity=Severity.ERROR, budget_left=0.25)

    calm = policy_input(replace(ANA, roles=frozenset({"ops", "fire"})), SCALE, rights, around)
    broken = policy_input(ANA, SCALE, rights, replace(around, break_glass_until=NOON + timedelta(minutes=1)))
    nowhere = policy_input(ANA, EVERYTHING, Policy(), Context(now=NOON))

    assert json.loads(json.dumps(calm)) == {
        "person": {"id": "ana", "human": True, "roles": ["ops"]},
        "verb": "scale",
        "target": "prod/api",
        "at": "2026-11-23T12:00:00+00:00",
        "service": "prod/api",
        "environment": "production",
        "severity": "error",
        "on_call": True,
        "open_incident": True,
        "budget_left": 0.25,
        "broken_glass": False,
    }
    assert broken["broken_glass"] is True
    assert broken["person"] == {"id": "ana", "human": True, "roles": ["fire", "ops"]}
    assert [nowhere[key] for key in ("service", "environment", "severity", "budget_left")] == [None] * 4
    assert (nowhere["on_call"], nowhere["open_incident"]) == (False, False)


@pytest.mark.parametrize("verb", ["ack", "unack", "resolve", "reopen", "assign", "note"])
def test_what_has_happened_in_a_pager_is_allowed_to_whoever_did_it_there(verb: str) -> None:
    nobody, wanted = Principal(id="pagerduty:PBOB"), Permission(verb=verb, target="incident/1")

    assert decide(nobody, wanted, Policy(), replace(API, paged=True)).allowed
    assert not decide(nobody, wanted, Policy(), API).allowed


@pytest.mark.parametrize("verb", ["severity", "page", "silence", "scale", "yes", "break-glass"])
def test_a_pager_is_no_way_to_anything_else(verb: str) -> None:
    nobody = Principal(id="pagerduty:PBOB")

    assert not decide(nobody, Permission(verb=verb, target="incident/1"), Policy(), replace(API, paged=True)).allowed
