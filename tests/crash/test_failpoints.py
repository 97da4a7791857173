"""Each step of intake, of what people ask and of delivery, at which the bot is killed, breaks or is held up once.

The failpoints are read from the source, so a new one is tested without a list to edit; one that the play does not
reach fails its test.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import bot
from tests.crash.audit import check
from tests.crash.stage import Stage, stage
from tests.postgres import Postgres
from tests.running import until

pytestmark = pytest.mark.crash

_SOURCE = Path(bot.__file__).parent
_CALL = re.compile(r'\bfailpoint\("([a-z_.]+)"\)')
FAILPOINTS = sorted({name for path in _SOURCE.rglob("*.py") for name in _CALL.findall(path.read_text())})
_OF_RUNS = ("gate", "run", "watch", "restore", "cutover", "backup", "drill")
#: What the play reaches; plans and runs have plays of their own (`test_runs`, `test_restores`).
PLAYED = [name for name in FAILPOINTS if name.partition(".")[0] not in _OF_RUNS]

#: Here the message has left, and the bot has not yet written so.
_SENT_NOT_CLOSED = {"delivery.sent", "delivery.closing", "delivery.giving_back"}

#: A lease short enough for a test and long enough for any send to a fake, and a stall that outlasts it.
_HURRIED = {"VAKHTA_LEASE_S": "2", "VAKHTA_STALL_S": "4"}


def test_there_are_failpoints_at_every_path() -> None:
    paths = {name.partition(".")[0] for name in FAILPOINTS}

    assert paths >= {"intake", "desk", "delivery"}


@pytest.mark.parametrize("name", PLAYED)
def test_nothing_is_lost_when_the_bot_is_killed_at(name: str, tmp_path: Path) -> None:
    with stage(tmp_path) as play:
        doubtful = _until_killed(play, name)
        play.bot.start()
        play.finish()

        check(play, doubtful)


@pytest.mark.slow
@pytest.mark.parametrize("name", PLAYED)
def test_nothing_is_lost_when_an_unexpected_error_is_raised_at(name: str, tmp_path: Path) -> None:
    with stage(tmp_path) as play:
        _start(play, f"{name}=raise", **_HURRIED)
        until(play.reached, f"{name} is reached")
        doubtful = play.ledger.leased() if name in _SENT_NOT_CLOSED else set()
        play.finish()

        check(play, doubtful)


@pytest.mark.parametrize("name", PLAYED)
def test_nothing_is_lost_when_a_lease_runs_out_at(name: str, tmp_path: Path) -> None:
    with stage(tmp_path) as play:
        _start(play, f"{name}=stall", **_HURRIED)
        until(play.reached, f"{name} is reached")
        doubtful = play.ledger.leased()
        until(lambda: play.left() or bool(play.ahead()), "the stalled thread has gone on")
        assert not play.ahead(), "accepted before the commit"
        play.finish()

        assert play.bot.stop() == 0
        check(play, doubtful)


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize("name", ["intake.written", "intake.committed", "delivery.claimed", "delivery.sent"])
def test_nothing_is_lost_on_postgresql_when_the_bot_is_killed_at(name: str, tmp_path: Path, postgres: Postgres) -> None:
    with stage(tmp_path, store=postgres.url("crash")) as play:
        doubtful = _until_killed(play, name, **_HURRIED)
        play.bot.start(**_HURRIED)
        play.finish()

        check(play, doubtful)


def _until_killed(play: Stage, name: str, **env: str) -> set[int]:
    """Play until the bot is dead; returns what it was sending at that moment."""
    _start(play, f"{name}=kill@2", **env)
    until(lambda: not play.bot.alive(), f"{name} is reached")
    assert play.reached()
    return play.ledger.leased()


def _start(play: Stage, failpoint: str, **env: str) -> None:
    play.bot.start(VAKHTA_FAILPOINT=failpoint, **env)
    play.begin()
