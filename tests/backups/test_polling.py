"""The pause between two looks grows with the time that was waited, up to the interval of the tools."""

from __future__ import annotations

from datetime import timedelta

from bot.backups.polling import Polling
from bot.core.action import Tools
from tests.house import Clock


def test_it_looks_often_at_first_and_never_more_rarely_than_the_tools_do() -> None:
    clock, passed, pauses = Clock(), [0.0], list[float]()

    def pause(much: timedelta) -> None:
        pauses.append(much.total_seconds())
        passed[0] += much.total_seconds()

    tools = Tools(now=clock, elapsed=lambda: passed[0], pause=pause, poll_interval=timedelta(seconds=2))
    polling = Polling(tools)
    while passed[0] < 600:
        polling.pause()

    assert pauses[0] == 0.2
    assert pauses == sorted(pauses)
    assert max(pauses) == 2
    assert len(pauses) < 500


def test_an_interval_that_is_shorter_counts() -> None:
    tools = Tools(now=Clock(), elapsed=lambda: 0.0, poll_interval=timedelta(milliseconds=5))

    assert Polling(tools).next_pause() == timedelta(milliseconds=5)
