"""Work on a thread of its own is looked at often while it is young."""

from __future__ import annotations

from datetime import timedelta
from threading import Event

import pytest

from bot.backups.beside import attend
from bot.core.action import Tools
from tests.house import Clock

pytestmark = pytest.mark.waits


def test_work_that_is_short_is_not_kept_waiting_as_long_as_a_look_at_an_engine() -> None:
    pauses, may_end = list[float](), Event()

    def pause(much: timedelta) -> None:
        pauses.append(much.total_seconds())
        may_end.set()

    def work() -> str:
        may_end.wait()
        return "done"

    tools = Tools(now=Clock(), elapsed=lambda: 0.0, pause=pause, poll_interval=timedelta(seconds=2))

    assert attend(work, "work", tools, lambda: None) == "done"
    assert set(pauses) == {0.05}
