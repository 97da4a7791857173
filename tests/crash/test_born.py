"""A bot that the nursery bears lives and dies as one that is started by exec."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.crash.born import Nursery, born
from tests.running import TIED, Program, Start, executed, until

pytestmark = [pytest.mark.crash, pytest.mark.skipif(not TIED, reason="without setpriv every bot is started by exec")]

_BOT = [sys.executable, "-m", "tests.crash.unhurried"]
_LASTS = [sys.executable, "-m", "http.server", "0"]


@pytest.mark.parametrize("by", [executed, born])
class TestEither:
    def test_has_its_own_words_environment_log_and_exit_code(self, by: Start, tmp_path: Path) -> None:
        with _program(tmp_path, by) as program:
            program.begin([*_BOT, "check"], VAKHTA_CONFIG=f"{tmp_path}/none.yaml")
            until(lambda: not program.alive(), "it has refused its settings")

            assert program.stop() == 78
        assert f"{tmp_path}/none.yaml" in program.said()
        assert "nothing was started" in program.said()

    def test_is_alive_while_it_is_frozen_and_dead_when_it_is_killed(self, by: Start, tmp_path: Path) -> None:
        with _program(tmp_path, by) as program:
            program.begin()
            program.signal(signal.SIGSTOP)
            assert program.alive()

            program.signal(signal.SIGKILL)

            until(lambda: not program.alive(), "it is dead")
            assert program.stop() == -signal.SIGKILL


def test_whoever_is_born_later_shares_nothing_of_the_others(tmp_path: Path) -> None:
    with _program(tmp_path, born) as one, Program(_LASTS, log=tmp_path / "two.log", ready=lambda: True, by=born) as two:
        one.begin()
        two.begin()

        one.kill()

        assert (one.alive(), two.alive()) == (False, True)


def test_what_the_nursery_has_borne_ends_with_it(tmp_path: Path) -> None:
    nursery = Nursery()
    with (tmp_path / "log").open("wb") as log:
        child = nursery.bear(_LASTS, log, os.environ)
    held = os.pidfd_open(child.pid)

    nursery.close()

    until(lambda: _ended(held), "the kernel has ended the child")
    os.close(held)
    with pytest.raises(AssertionError, match="the nursery is gone"):
        child.poll()


def _program(place: Path, by: Start) -> Program:
    return Program(_LASTS, log=place / "log", ready=lambda: True, by=by)


def _ended(pidfd: int) -> bool:
    try:
        signal.pidfd_send_signal(pidfd, 0)
    except ProcessLookupError:
        return True
    return False
