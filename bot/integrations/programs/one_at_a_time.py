"""A lock on a folder of this machine, so that one of all processes changes what is in it.

The promise: the kernel ends it with the process, so a crash leaves none behind, and a process that is frozen keeps it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[bool]:
    """False: another process, or another thread, has it. Raises `OSError`: the folder cannot be opened."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(held)
