"""The policy is what the settings say about rights: nothing is lost or reversed on the way."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.access.conditions import Context, Impact
from bot.access.decision import decide
from bot.app.build import build_policy
from bot.config.settings import Settings
from bot.core.access import Decision, Permission
from bot.core.alert import Severity
from bot.core.request import Principal

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)  # A Monday.
SETTINGS = Settings.model_validate(
    {
        "people": [
            {"id": "ana", "name": "Ana", "roles": ["ops"]},
            {"id": "bo", "roles": ["ops", "approver"]},
            {"id": "cy"},
            {"id": "di", "roles": ["fire"]},
        ],
        "roles": {
            "ops": {
                "allow": [
                    "restart staging/*",
                    {"do": "scale prod/*", "approvals": 1, "when": {"on_call": True, "incident": True}},
                    {
                        "do": "drain prod/*",
                        "when": {
                            "environment": "production",
                            "service": "prod/*",
                            "severity": ["critical", "error"],
                            "during": "Mon-Fri 09:00-18:00 Europe/Berlin",
                            "budget": 0.25,
                        },
                    },
                ],
                "deny": [{"do": "* prod/db", "when": {"environment": "production"}}, "drain *"],
            },
            "fire": {"allow": ["*"], "break_glass": True},
            "drainer": {
                "allow": [
                    {
                        "do": "drain prod/*",
                        "when": {
                            "environment": ["production"],
                            "service": "prod/*",
                            "severity": ["critical", "error"],
                            "during": "Mon-Fri 09:00-18:00 Europe/Berlin",
                            "budget": 0.25,
                        },
                    }
                ]
            },
        },
        "freezes": [
            {
                "name": "Sale",
                "from": "2026-11-27T00:00:00Z",
                "until": "2026-11-28 01:00 Europe/Berlin",
                "targets": ["prod/*"],
                "except": ["fire", "admin"],
            }
        ],
        "security": {"contact": "ana"},
        "services": [
            {"name": "prod/api", "match": {"a": "b"}, "environment": "production", "on_call": ["ana"]},
            {"name": "prod/db", "match": {"a": "c"}, "environment": "production"},
        ],
    }
)
BOOK = build_policy(SETTINGS)
ANA = Principal(id="ana", name="Ana", roles=frozenset({"ops"}))
DUTY = frozenset({"prod/api"})
API = Context(
    now=NOON,
    service="prod/api",
    environment="production",
    severity=Severity.ERROR,
    on_call_for=BOOK.on_call_for("ana"),
    open_on=DUTY,
    budget_left=0.5,
)


def may(verb: str, target: str = "prod/api", around: Context = API, *roles: str) -> Decision:
    who = replace(ANA, roles=frozenset(roles)) if roles else ANA
    return decide(who, Permission(verb=verb, target=target), BOOK, around)


def test_a_rule_that_is_text_alone_is_a_rule() -> None:
    staging = Context(now=NOON)

    assert may("restart", "staging/api", staging).rule == "restart staging/*"
    assert not may("restart", "prod/api", staging).allowed


def test_who_is_on_call_is_on_call_for_their_services_only() -> None:
    assert [BOOK.on_call_for(one) for one in ("ana", "bo")] == [DUTY, frozenset()]
    assert (BOOK.on_call("prod/api"), BOOK.on_call("prod/db")) == (frozenset({"ana"}), frozenset())
    assert may("scale").approvals == 1
    assert "bo can" in may("scale").reason
    assert not may("scale", around=replace(API, open_on=frozenset())).allowed
    assert not may("scale", around=replace(API, on_call_for=BOOK.on_call_for("bo"))).allowed


def test_every_condition_arrives_at_its_rule() -> None:
    unmet = {
        "environment": replace(API, environment="staging"),
        "a service": replace(API, service="staging/api"),
        "severity": replace(API, severity=Severity.INFO),
        "Mon-Fri 09:00-18:00 Europe/Berlin": replace(API, now=NOON + timedelta(days=5)),
        "0.25 of the error budget": replace(API, budget_left=0.2),
    }

    assert may("drain", "prod/api", API, "drainer").until == NOON.replace(hour=17)
    for said, around in unmet.items():
        decision = may("drain", "prod/api", around, "drainer")
        assert not decision.allowed
        assert said in decision.reason


def test_what_stands_under_deny_denies() -> None:
    assert may("drain").rule == "drain *"
    assert may("restart", "prod/db", replace(API, service="prod/db")).rule == "* prod/db"
    assert may("drain", "prod/api", API, "ops", "drainer").rule == "drain *"


def test_a_role_behind_glass_sleeps_until_it_is_broken() -> None:
    broken = replace(API, now=NOON, break_glass_until=NOON + timedelta(minutes=30))

    assert not may("delete", "prod/api", API, "fire").allowed
    assert may("delete", "prod/api", broken).allowed


def test_a_freeze_holds_from_its_first_moment_until_before_its_last_and_not_for_the_exempt() -> None:
    sale = datetime(2026, 11, 27, tzinfo=UTC)
    ends = datetime(2026, 11, 28, tzinfo=UTC)  # 01:00 in Berlin.
    frozen = {at: 'freeze "Sale"' in may("scale", around=replace(API, now=at)).reason for at in (sale, ends)}

    assert frozen == {sale: True, ends: False}
    assert may("scale", around=replace(API, now=sale - timedelta(seconds=1))).until == sale
    assert may("scale", around=replace(API, now=sale, impact=Impact.INCIDENT)).allowed
    assert may("scale", "prod/api", replace(API, now=sale), "ops", "admin").allowed
    assert not may("scale", "prod/api", replace(API, now=sale), "ops", "fire").allowed  # It sleeps.
    assert may("scale", around=replace(API, now=sale, break_glass_until=ends)).allowed


def test_a_person_without_roles_is_a_responder_and_built_in_roles_need_no_lines() -> None:
    roles = {one.id: one.roles for one in BOOK.people_of(("ana", "cy", "nobody"))}

    assert roles == {"ana": frozenset({"ops"}), "cy": frozenset({"responder"})}
    assert may("note", "incident/1", API, "responder").allowed


def test_at_a_console_without_people_the_operator_may_all() -> None:
    book = build_policy(Settings())
    (local,) = book.people_of(("local",))

    assert decide(local, Permission(verb="scale", target="prod/api"), book, Context(now=NOON)).allowed
