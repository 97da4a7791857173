"""help: by topic, for a phone, without what this installation cannot do or the asker may not use."""

from __future__ import annotations

from dataclasses import replace

import pytest

import commands
from bot.access.conditions import Conditions
from bot.access.policy import Role, Rule
from bot.core.manual import EVERY_FACILITY, Facility, Topic
from bot.core.request import Principal
from bot.integrations.slack.blocks import escape
from bot.integrations.telegram.html import TEXT_UNITS, flatten
from tests.house import ACCOUNTS, ANA, CY, House, alert, verbs_listed
from tests.runs import handle

ROOT = Principal(id="root", name="Root", roles=frozenset({"admin"}))
#: What a phone shows on one line of a message, and a little more.
_LINE = 62
_ON_CLUSTERS = {
    "abort", "autosync", "cordon", "pause", "promote", "restart", "resume", "retry", "rollback", "scale", "status",
    "uncordon",
}  # fmt: skip
_ON_STORES = {verb for verb, one in commands.actions().items() if one.manual.topic is Topic.BACKUPS}


def set_up(house: House, *has: Facility) -> House:
    """The bot as it is where the settings provide only this."""
    house.verbs = replace(house.verbs, facilities=frozenset(has))
    house.settle(ACCOUNTS)
    return house


def with_roles(house: House, *roles: Role) -> None:
    house.roles = roles
    house.settle(ACCOUNTS)


def helped(house: House, about: str = "", by: Principal = ROOT) -> list[str]:
    reply = house.says(f"help {about}".strip(), by=by)
    assert reply.ok, reply.text
    return reply.text.splitlines()


def test_alone_it_lists_every_verb_once_below_its_topic(house: House) -> None:
    lines = helped(house)

    headings = [line for line in lines if line.isupper()]
    verbs = [line.partition(":")[0] for line in lines if ": " in line]
    assert headings == [topic.heading.upper() for topic in Topic]
    assert sorted(verbs) == sorted({*commands.find(), *commands.actions(), "turn"})
    assert lines.index("INCIDENTS") < lines.index("ack: take an incident; its pages stop") < lines.index("SILENCES")


def test_all_of_it_is_one_message_of_short_lines_in_any_chat(house: House) -> None:
    text = "\n".join(helped(house))

    assert max(map(len, text.splitlines())) <= _LINE
    assert escape(text).count("\n") == text.count("\n")
    assert not escape(text).endswith("…")
    assert flatten(text, TEXT_UNITS) == text


@pytest.mark.parametrize("about", sorted({*commands.find(), *commands.actions(), *Topic}))
def test_each_topic_and_each_command_is_one_message_in_any_chat(house: House, about: str) -> None:
    text = "\n".join(helped(house, about))

    assert not escape(text).endswith("…")
    assert flatten(text, TEXT_UNITS) == text


def test_without_clusters_and_alertmanagers_api_nothing_is_listed_that_needs_them(house: House) -> None:
    listed = verbs_listed("\n".join(helped(set_up(house))))

    gone = {*_ON_CLUSTERS, *_ON_STORES, "turn", "silence", "silences", "unsilence", "link", "unlink"}
    gone |= {"break-glass", "glass", "review-glass", "oncall", "override", "remove-override"}
    gone |= {"approvals", "keep", "no", "runs", "settle", "undo", "yes"}  # no action, so no plan and no run
    assert listed == {*commands.find(), *commands.actions()} - gone
    assert "ACTIONS ON WORKLOADS" not in helped(house)


@pytest.mark.parametrize(
    ("has", "listed", "missing"),
    [
        (Facility.SILENCES, {"silence", "unsilence", "silences", "yes", "undo"}, _ON_CLUSTERS | {"link", "glass"}),
        (Facility.CLUSTER, {"cordon", "uncordon", "runs"}, {"scale", "status", "pause", "abort", "silence"}),
        (
            Facility.WORKLOAD,
            {"scale", "rollback", "restart", "status", "promote"},
            {"pause", "retry", "abort", "cordon"},
        ),
        (Facility.BACKUPS, {"restore", "cutover", "backup", "runs", "yes", "undo"}, {"scale", "silence"}),
        (Facility.ROLLOUT, {"pause", "resume", "retry", "abort"}, {"cordon", "silence"}),
        (Facility.FLAGGER, {"abort"}, {"pause", "cordon"}),
        (Facility.ON_CALL, {"oncall"}, {"silence"}),
        (Facility.ACCOUNTS, {"link", "unlink"}, {"silence"}),
        (Facility.BREAK_GLASS, {"break-glass", "glass", "review-glass"}, {"silence"}),
    ],
)
def test_each_thing_that_is_set_up_adds_its_verbs(
    house: House, has: Facility, listed: set[str], missing: set[str]
) -> None:
    found = verbs_listed("\n".join(helped(set_up(house, has))))

    assert listed <= found
    assert not missing & found


def test_a_mistyped_verb_is_not_taken_for_one_that_cannot_be_used_here(house: House) -> None:
    there, nowhere = house.says("sclae prod/api 3", by=ROOT), set_up(house).says("sclae prod/api 3", by=ROOT)

    assert "Did you mean `scale`?" in there.text
    assert "`scale`" not in nowhere.text


def test_the_menu_of_a_chat_leaves_out_the_same(house: House) -> None:
    offered = {one.verb for one in set_up(house).dispatcher.menu()}

    assert offered == verbs_listed("\n".join(helped(house)))


def test_a_command_is_explained_with_examples_that_can_be_sent_as_they_are(house: House) -> None:
    house.hears(alert())
    house.environments = {"shop/cart": "production"}
    house.settle(ACCOUNTS)

    assert helped(house, "page") == [
        "page: page the on-call responder. It opens a new critical incident, and says who is paged.",
        "Usage: `page <incident|service|anyone> <text>`",
        "Examples:",
        "`page shop/cart the checkout hangs`",
        "`page 1 please join`",
        "`page anyone the office has no network`",
        "Undo: `resolve` the new incident.",
    ]


def test_examples_name_the_newest_plan_and_run(house: House) -> None:
    plan = handle(house.says("turn prod/api 6").text)
    waiting = helped(house, "yes")
    house.says(f"yes {plan}")
    run = house.says("runs").text.split()[0]

    assert f"`yes {plan}`" in waiting
    assert f"`undo {run}`" in helped(house, "undo")


def test_an_action_says_who_approves_and_how_it_is_undone(house: House) -> None:
    with_roles(
        house,
        Role(name="turner", allow=(Rule(do="scale staging/*"), Rule(do="scale prod/*", approvals=1))),
    )

    lines = helped(house, "scale", by=ANA)

    assert lines[0].startswith("scale: set the replicas of a service. ")
    assert lines[1].startswith("Usage: `scale <service> <replicas 0-")
    assert lines[2:6] == ["Examples:", "`scale prod/api 6`", "`scale prod/api 6 for 2h`", "`scale prod/api 4 max 12`"]
    assert lines[6] == (
        "Approval: staging/*: you confirm the plan yourself; prod/*: 1 other person approves, such as Cy."
        " 0 in production needs another person, who types the name."
    )
    assert lines[7] == "Undo: `undo` and the run sets the earlier count again."
    assert lines[8].startswith("Limits: replicas: within ")


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ((Rule(do="turn *"),), "you confirm the plan yourself."),
        ((Rule(do="turn *"), Rule(do="turn prod/*", approvals=1)), "you confirm the plan yourself."),
        ((Rule(do="turn *", approvals=2),), "2 other people approve, such as Cy."),
        (
            (Rule(do="turn *", approvals=1), Rule(do="turn", when=Conditions(environment=("staging",)))),
            "in staging: you confirm the plan yourself; otherwise: 1 other person approves, such as Cy.",
        ),
        (
            (Rule(do="turn prod/*", when=Conditions(on_call=True)),),
            "prod/* while you are on call: you confirm the plan yourself.",
        ),
    ],
)
def test_who_approves_is_what_the_rules_say(house: House, rules: tuple[Rule, ...], said: str) -> None:
    with_roles(house, Role(name="turner", allow=rules))

    assert f"Approval: {said}" in helped(house, "turn", by=ANA)


def test_what_only_break_glass_allows_is_explained_so(house: House) -> None:
    with_roles(house, Role(name="turner", allow=(Rule(do="turn *"),), break_glass=True))

    assert "Approval: only with break-glass." in helped(house, "turn", by=ANA)


@pytest.mark.parametrize("words", ["incidents", "Incidents", "incident", "/incidents", "`incidents`"])
def test_a_topic_is_listed_with_its_usages_however_a_phone_writes_it(house: House, words: str) -> None:
    lines = helped(house, words)

    assert lines[:2] == ["INCIDENTS", "`ack <incident>`: take an incident; its pages stop"]
    assert lines[-1] == "`help ack` says more, with examples."
    assert not any("scale" in line for line in lines)


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("actions on workloads", "ACTIONS ON WORKLOADS"),
        ("rights", "PEOPLE AND RIGHTS"),
        ("runs", "runs: list the last runs and their states."),
        ("break glass", "break-glass: take your emergency rights for 30 minutes."),
        ("Scale", "scale: set the replicas of a service."),
    ],
)
def test_topics_have_other_names_and_a_verb_goes_first(house: House, words: str, first: str) -> None:
    assert helped(house, words)[0].startswith(first)


@pytest.mark.parametrize(
    ("words", "near", "second"),
    [
        ("scael", "scale", "scale: set the replicas of a service."),
        ("incdents", "incidents", "INCIDENTS"),
        ("worklods", "workloads", "ACTIONS ON WORKLOADS"),
    ],
)
def test_an_unknown_word_gets_the_nearest(house: House, words: str, near: str, second: str) -> None:
    lines = helped(house, words)

    assert lines[0] == f"Nothing is called '{words}'. The nearest is `{near}`:"
    assert lines[1].startswith(second)


def test_a_word_like_no_other_is_refused_with_the_topics(house: House) -> None:
    reply = house.says("help xyzzy", by=ROOT)

    assert not reply.ok
    assert reply.text == (
        "There is no command or topic 'xyzzy'. Nothing was done. Topics: incidents, silences, workloads, backups,"
        " approvals and people; `help` lists all commands. Usage: help [<topic|command>]"
    )


def test_a_verb_that_cannot_be_used_here_says_what_to_set_up(house: House) -> None:
    reply = set_up(house).says("help silence", by=ROOT)

    assert not reply.ok
    assert reply.text.startswith(
        "`silence` cannot be used here: this bot needs Alertmanager's API, `sources.alertmanager.api_url`. Nothing was"
        " done."
    )


def test_a_verb_that_the_asker_may_never_use_is_neither_listed_nor_guessed_at(house: House) -> None:
    refused, guessed = house.says("help scale", by=CY), house.says("help scael", by=CY)

    assert refused.text.startswith("No role of yours allows `scale`. Nothing was done. `whoami` shows your roles.")
    assert "`scale`" not in guessed.text
    assert "scale" not in verbs_listed(house.says("help", by=CY).text)


def test_who_may_use_nothing_is_shown_how_to_become_somebody(house: House) -> None:
    guest = Principal(id="guest")

    lines = helped(house, by=guest)

    assert lines[0] == "`help help` explains a command, `help people` lists a topic."
    assert verbs_listed("\n".join(lines)) == {"help", "link", "unlink", "whoami"}


def test_every_facility_is_needed_by_some_verb(house: House) -> None:
    assert {one for said in house.verbs.all.values() for one in said.manual.needs} == EVERY_FACILITY
