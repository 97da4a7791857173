"""Tunes the Python interpreter for a process that answers in milliseconds and runs for months."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: A waiting thread gets its turn after this long. The default of 5 ms is as long as sending a page takes.
_SWITCH_S = 0.002
#: New objects until the garbage collector looks at them; a commit of many alerts makes thousands.
_YOUNG = 10_000


def set_up() -> None:
    """Call before anything is loaded or started.

    Modules stay loaded: collecting garbage among them repeatedly took a quarter of the startup time.
    """
    gc.disable()
    sys.setswitchinterval(_SWITCH_S)


def freeze_heap() -> None:
    """Exclude everything loaded so far from garbage collection.

    A full collection over the SDKs stopped the process for 50 ms and more: the slowest webhook in a hundred.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)
    gc.enable()


@contextmanager
def loading() -> Iterator[None]:
    """While a short process loads its modules: collecting garbage among them takes a quarter of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
