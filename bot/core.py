"""The one processor core that the web's thread and the intake's may share.

Only one of them runs Python at a time, whatever the machine has. Each time the lock of the interpreter goes from one
core to another, the other core has to be woken and what it needs fetched (decision 0015). Every other thread goes
where the system likes.
"""

from __future__ import annotations

import os
import sys
import threading


def pick() -> int | None:
    """A core for this process, another one for the next process; None where there is no choice."""
    if sys.platform != "linux":
        return None
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[os.getpid() % len(allowed)] if len(allowed) > 1 else None


def stay_on(core: int | None) -> None:
    """Keep the calling thread there; None: wherever it is."""
    if core is not None and sys.platform == "linux":
        os.sched_setaffinity(threading.get_native_id(), {core})
