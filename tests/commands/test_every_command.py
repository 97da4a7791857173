"""The contract of every command: its name, usage and summary, and that nothing is done unless it is understood."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

import commands
from bot.chatops import parser
from bot.core.action import Action
from bot.core.command import Command
from bot.core.request import split_verb
from tests.house import House, alert

FOUND = commands.find()
ALL: dict[str, Any] = {**FOUND, **commands.actions()}


@pytest.fixture(params=sorted(FOUND))
def command(request: pytest.FixtureRequest) -> Command[Any]:
    return FOUND[request.param]


def test_every_file_is_a_command_or_an_action_and_is_called_as_its_file() -> None:
    files = {path.stem for path in Path(commands.__file__).parent.glob("*.py")} - {"__init__"}

    assert {verb.replace("-", "_") for verb in (*FOUND, *commands.actions())} == files
    assert FOUND.keys().isdisjoint(commands.actions())


def test_its_usage_is_what_its_arguments_make_it_and_it_says_what_it_does(command: Command[Any]) -> None:
    assert is_dataclass(command.args)
    assert command.usage == parser.usage(command.args, command.verb)
    assert command.summary
    assert command.summary[0].islower()
    assert not command.summary.endswith(".")


@pytest.mark.parametrize("verb", sorted(ALL))
def test_each_example_of_its_manual_is_understood_as_it_stands(verb: str) -> None:
    said = ALL[verb]
    names = {
        "service": "prod/api",
        "store": "prod/orders-db",
        "incident": 7,
        "person": "bo",
        "run": "1a2b3c4d",
        "plan": "5e6f7a8b",
    }
    about_one = any(one.name == "incident" for one in fields(said.args))

    assert 1 <= len(said.manual.examples) <= 3
    for example in said.manual.examples:
        given, rest = split_verb(example.format_map(names))
        in_thread = 7 if about_one and "{incident}" not in example else None
        assert given == verb
        parser.parse(said.args, rest, in_thread, said.usage)


@pytest.mark.parametrize("verb", sorted(ALL))
def test_whatever_changes_something_says_how_to_undo_it(verb: str) -> None:
    assert bool(ALL[verb].manual.way_back) == (not ALL[verb].read_only)


@pytest.mark.parametrize("action", commands.actions().values(), ids=lambda one: one.verb)
def test_an_action_s_usage_is_what_its_arguments_make_it_and_it_has_limits(action: Action[Any]) -> None:
    assert action.usage == parser.usage(action.args, action.verb)
    assert action.summary[0].islower()
    assert not action.summary.endswith(".")
    assert action.limits


@pytest.mark.parametrize("rest", ["", "0", "999999999", "-1", "x" * 5000, "1 \x00", "1 \ud800", "; rm -rf /", "１"])
def test_whatever_follows_it_is_answered_and_breaks_nothing(house: House, command: Command[Any], rest: str) -> None:
    house.hears(alert())

    reply = house.says(f"{command.verb} {rest}")

    assert reply.text
    assert reply.ok or "Nothing was done." in reply.text
    assert len(house.incidents()) == 1 + (command.verb == "page" and reply.ok)


def test_what_only_reads_changes_nothing_and_what_it_is_refused_tells_its_usage(
    house: House, command: Command[Any]
) -> None:
    house.hears(alert())
    before = (house.incident(), house.story())

    house.says(command.verb)
    house.says(f"{command.verb} 1")
    refused = house.says(f'{command.verb} "')

    assert not refused.ok
    assert "Nothing was done." in refused.text
    assert f"Usage: {command.usage}" in refused.text or command.verb == "link"  # it has to count whatever is no code
    assert not command.read_only or (house.incident(), house.story()) == before


@pytest.mark.parametrize("verb", ["ack", "resolve", "show"])
@pytest.mark.parametrize("rest", ["is not possible yet, wait", "1 2", "1 please", "it"])
def test_talk_that_begins_like_a_command_does_nothing_and_is_told_what_was_not_understood(
    house: House, verb: str, rest: str
) -> None:
    house.hears(alert())
    before = house.incident()

    reply = house.says(f"{verb} {rest}", here=1)

    assert not reply.ok
    assert rest.removeprefix("1 ") in reply.text
    assert f"Nothing was done. Usage: {verb} <incident>" in reply.text
    assert house.incident() == before


def test_a_note_in_a_thread_may_begin_with_a_number_of_something_else(house: House) -> None:
    house.hears(alert())

    reply = house.says("note 3 pods restarted", here=1)

    assert (reply.ok, reply.text) == (True, "Noted on incident 1.")


@pytest.mark.parametrize("lacking", ["plan", "run", "probe", "target", "limits", "risk", "args", "usage"])
def test_an_action_that_lacks_what_the_gate_needs_is_not_registered(lacking: str) -> None:
    whole = commands.actions()["silence"]
    names = ("verb", "usage", "summary", "args", "risk", "read_only", "limits", "target", "plan", "run", "probe")
    parts = {name: getattr(whole, name) for name in names if name != lacking}

    with pytest.raises(TypeError, match=rf"is not an action: it has no .*{lacking}"):
        commands.whole(type("Half", (), parts)())
