"""Two threads on one processor core, for as long as a crowd lasts."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from bot import core
from bot.core import Core

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) == 1, reason="there is only one core to be on"
)


class Pair:
    """Two threads that have joined, and wait."""

    def __init__(self, shared: Core) -> None:
        self._go = threading.Event()
        self._joined = threading.Barrier(3)
        self._threads = [threading.Thread(target=self._run, args=(shared,)) for _ in range(2)]
        for thread in self._threads:
            thread.start()
        self._joined.wait(5)

    def _run(self, shared: Core) -> None:
        shared.join()
        self._joined.wait(5)
        self._go.wait(5)

    def cores(self) -> list[set[int]]:
        return [os.sched_getaffinity(thread.native_id or 0) for thread in self._threads]

    def end(self) -> None:
        self._go.set()
        for thread in self._threads:
            thread.join()


def test_a_crowd_brings_the_two_threads_onto_one_core_and_quiet_lets_them_go() -> None:
    everywhere = os.sched_getaffinity(0)
    shared = Core()
    pair = Pair(shared)

    for _ in range(core._IN_A_ROW):
        shared.hear(core._CROWD)
    crowded = pair.cores()
    for _ in range(core._IN_A_ROW):
        shared.hear(core._CROWD - 1)
    quiet = pair.cores()
    pair.end()

    assert crowded[0] == crowded[1]
    assert len(crowded[0]) == 1
    assert quiet == [everywhere, everywhere]
    assert os.sched_getaffinity(0) == everywhere


def test_a_crowd_now_and_then_changes_nothing() -> None:
    shared = Core()
    pair = Pair(shared)

    for _ in range(core._IN_A_ROW):
        for _ in range(core._IN_A_ROW - 1):
            shared.hear(core._CROWD)
        shared.hear(core._CROWD - 1)
    cores = pair.cores()
    pair.end()

    assert cores == [os.sched_getaffinity(0)] * 2
