"""Every verb, used by every kind of person: unless the table lists it, it is denied and leaves one audit entry."""

from __future__ import annotations

import pytest

import commands
from bot.core.audit import Code
from tests.authority.ground import ASKER, Ground, Night
from tests.authority.table import KINDS, SAID, Cell, expected
from tests.house import verbs_listed
from tests.runs import handle

_EXPECTED = expected()
_CODES: dict[Cell, Code] = {"no": Code.DENIED, "not": Code.REJECTED}
_QUESTIONS = {verb for verb, command in commands.find().items() if command.read_only}


def test_whatever_can_be_said_is_in_the_table_and_nothing_else_is(ground: Ground) -> None:
    there = {*commands.find(), *commands.actions(), *ground.house.verbs.all}

    assert set(SAID) == there, "a verb without an example, or an example of no verb"
    assert set(_EXPECTED) == {(verb, kind) for verb in there for kind in KINDS}, "a cell is missing, or too much"
    assert {words.split()[0] for words in SAID.values()} == there


def _cells(wanted: Cell) -> list[tuple[str, str]]:
    return [who for who, cell in sorted(_EXPECTED.items()) if cell == wanted]


@pytest.mark.parametrize(("verb", "kind"), _cells("no") + _cells("not"))
def test_what_is_not_listed_is_refused_and_leaves_one_entry_and_nothing_else(
    still: Ground, night: Night, verb: str, kind: str
) -> None:
    stored, recorded, turned = still.rows(), len(still.record()), list(still.house.dials.turned)

    reply = still.says(night.words(verb), KINDS[kind])

    assert not reply.ok, reply.text
    assert still.record(recorded) == [_CODES[_EXPECTED[verb, kind]]], reply.text
    assert still.rows() == stored
    assert still.house.dials.turned == turned


@pytest.mark.parametrize(("verb", "kind"), [cell for cell in _cells("yes") if cell[0] in _QUESTIONS])
def test_a_question_that_is_listed_is_answered_and_changes_nothing(
    still: Ground, night: Night, verb: str, kind: str
) -> None:
    stored, recorded = still.rows(), len(still.record())

    reply = still.says(night.words(verb), KINDS[kind])

    assert reply.ok, reply.text
    assert still.record(recorded) == [Code.ANSWERED]
    assert still.rows() == stored


@pytest.mark.parametrize(("verb", "kind"), [cell for cell in _cells("yes") if cell[0] not in _QUESTIONS])
def test_what_is_listed_is_done_and_on_record(ground: Ground, night: Night, verb: str, kind: str) -> None:
    ground.link_telegram(KINDS[kind])
    recorded = len(ground.record())

    reply = ground.says(night.words(verb), KINDS[kind])

    entries = ground.record(recorded)
    assert reply.ok, reply.text
    assert entries
    assert not {Code.DENIED, Code.REJECTED} & set(entries)


def test_a_plan_that_its_asker_confirms_is_confirmed_by_nobody_else(ground: Ground) -> None:
    plan = handle(ground.says("turn prod/api 6", ASKER).text)
    stored = ground.rows()

    replies = {kind: ground.says(f"yes {plan}", who) for kind, who in KINDS.items() if who is not ASKER}

    assert not any(reply.ok for reply in replies.values())
    assert ground.rows() == stored
    assert ground.says(f"yes {plan}", ASKER).ok


def test_who_was_paged_keeps_the_right_to_acknowledge_only_while_on_call(ground: Ground) -> None:
    off, on = ground.says("ack 1", KINDS["off-call"]), ground.says("ack 1", KINDS["on-call"])

    assert (off.ok, on.ok) == (False, True)


def test_a_right_of_duty_ends_with_the_incident(ground: Ground) -> None:
    before = ground.says("turn prod/api 6", KINDS["on-call"])
    ground.says("resolve 1", KINDS["admin"])

    after = ground.says("turn prod/api 7", KINDS["on-call"])

    assert before.ok
    assert after.text.startswith('Denied: "turn prod/api".')
    assert "needs an open incident" in after.text


def test_who_may_never_say_it_does_not_hear_which_incidents_there_are(still: Ground) -> None:
    there, nowhere = (still.says(words, KINDS["viewer"]).text for words in ("ack 1", "ack 999"))

    assert there.startswith('Denied: "ack incident/1".')
    assert nowhere.startswith('Denied: "ack incident/999".')


def test_whoever_may_do_something_is_offered_the_way_back(still: Ground) -> None:
    listed = still.says("help", KINDS["responder"]).text
    nothing = still.says("help", KINDS["viewer"]).text

    assert "undo" in verbs_listed(listed)
    assert "undo" not in verbs_listed(nothing)


def test_help_names_nothing_that_the_table_never_grants(still: Ground) -> None:
    for kind, who in KINDS.items():
        if not who.id:
            continue
        listed = verbs_listed(still.says("help", who).text)
        granted = {verb for (verb, one), cell in _EXPECTED.items() if one == kind and cell != "no"}
        of_duty = {
            "ack",
            *(("turn", "resolve") if "duty" in who.roles else ()),
            *(("turn",) if kind == "asker" else ()),
        }
        acts = {verb for verb, action in still.house.verbs.actions.items() if not action.read_only}
        of_own = {"undo", "keep"} if (granted | of_duty) & acts else set()
        asleep = {verb for verb, _ in _EXPECTED} if kind == "glass" else set()

        assert listed <= granted | of_duty | of_own | asleep, kind


@pytest.mark.parametrize("words", ["undo {run}", "yes {plan}"])
def test_what_an_older_version_could_do_is_refused_in_words(ground: Ground, night: Night, words: str) -> None:
    del ground.house.verbs.actions["turn"]

    reply = ground.says(words.format(**night.names), KINDS["admin"])

    assert not reply.ok
    assert "no longer has the command 'turn'" in reply.text
    assert ground.house.dials.turned == night.dials.turned
