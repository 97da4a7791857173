"""The contract of every command found: what it is called, what it says, and that it does nothing it cannot do."""

from __future__ import annotations

from pathlib import Path

import pytest

import commands
from bot.ports import Command
from tests.house import House, alert

FOUND = commands.find()


@pytest.fixture(params=sorted(FOUND))
def command(request: pytest.FixtureRequest) -> Command:
    return FOUND[request.param]


def test_every_file_is_a_command_and_is_called_as_its_file() -> None:
    files = {path.stem for path in Path(commands.__file__).parent.glob("*.py")} - {"__init__"}

    assert set(FOUND) == files


def test_its_usage_begins_with_its_verb_and_it_says_what_it_does(command: Command) -> None:
    assert command.usage.split()[0] == command.verb
    assert command.says
    assert command.says[0].islower()
    assert not command.says.endswith(".")


@pytest.mark.parametrize("rest", ["", "0", "999999999", "-1", "x" * 5000, "1 \x00", "1 \ud800", "; rm -rf /", "１"])
def test_whatever_follows_it_is_answered_and_breaks_nothing(house: House, command: Command, rest: str) -> None:
    house.hears(alert())

    reply = house.says(f"{command.verb} {rest}")

    assert reply.said
    assert len(house.incidents()) == 1


@pytest.mark.parametrize("verb", ["ack", "resolve", "show"])
@pytest.mark.parametrize("rest", ["is not possible yet, wait", "1 2", "1 please", "it"])
def test_talk_that_begins_like_a_command_does_nothing_and_is_told_what_was_not_understood(
    house: House, verb: str, rest: str
) -> None:
    house.hears(alert())
    before = house.incident()

    reply = house.says(f"{verb} {rest}", here=1)

    assert not reply.ok
    assert rest.removeprefix("1 ") in reply.said
    assert f"Nothing was done. Usage: {verb} <incident>" in reply.said
    assert house.incident() == before


def test_a_note_in_a_thread_may_begin_with_a_number_of_something_else(house: House) -> None:
    house.hears(alert())

    reply = house.says("note 3 pods restarted", here=1)

    assert (reply.ok, reply.said) == (True, "Noted on incident 1.")
