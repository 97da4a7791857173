"""The console says lines of its own into the log of the boards that are open."""

from __future__ import annotations

import pytest

from bot.core.channel import Messenger
from bot.core.errors import Undelivered
from bot.integrations.console.channel import Console
from bot.integrations.console.settings import ConsoleSettings


def test_a_line_has_a_name_and_the_next_one_may_take_its_place() -> None:
    console = Console(ConsoleSettings())
    said: list[tuple[str, str]] = []

    def aloud(name: str, text: str) -> bool:
        said.append((name, text))
        return True

    console.print_line = aloud

    first = console.post("1 of 2 is done", "log")
    again = console.post("2 of 2 are done", "log", instead_of=first)
    other = console.post("something else", None)

    assert isinstance(console, Messenger)
    assert said == [(first, "1 of 2 is done"), (first, "2 of 2 are done"), (other, "something else")]
    assert again == first != other


def test_while_no_board_is_open_a_line_is_not_delivered_and_may_be_later() -> None:
    with pytest.raises(Undelivered) as caught:
        Console(ConsoleSettings()).post("prod/api is at 6.", "log")

    assert not caught.value.permanent
