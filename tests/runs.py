"""Plans and runs as a test follows them through the House: the handle in an answer, and the end of what was begun."""

from __future__ import annotations

from bot.core.request import Reply
from bot.store import runs
from tests.house import House
from tests.running import until

#: The thread of the chat in which a run is asked for, so that its end is told there.
SPOT = "C1:1.5"


def handle(said: str) -> str:
    """The handle of the plan that this answer shows."""
    return said.rpartition("`yes ")[2].partition("`")[0]


def run_of(reply: Reply) -> str:
    """The handle of the run that this answer says has begun: "`runs` shows how run 5f5f5f5f goes"."""
    return reply.text.partition("how run ")[2].split()[0]


def wait_until_ended(house: House) -> None:
    """Returns when no run is going on."""

    def ended() -> bool:
        with house.store.read() as seen:
            return all(run.ended_at for run in runs.runs(seen.sql, 20))

    until(ended, "every run has ended")


def wait_until_told(house: House) -> None:
    """Returns when no run is going on and the ends are told. It takes two ticks: one makes an end due, one says it."""
    wait_until_ended(house)
    house.tends()
    house.tends()


def done(house: House, words: str) -> Reply:
    """Asked, agreed to by the asker, ended and told. The answer is the one to the yes."""
    shown = house.says(words, spot=SPOT)
    reply = house.says(f"yes {handle(shown.text)}", spot=SPOT)
    wait_until_told(house)
    return reply
