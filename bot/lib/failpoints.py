"""Failpoints: named places where a crash test stops the process. Unarmed, each costs one comparison.

`VAKHTA_FAILPOINT=delivery.sent=kill` in the environment at the start arms one: `kill` sends SIGKILL, `raise` raises an
exception, `stall` pauses for longer than any lease. `name=kill@3` acts when the place is reached the third time.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from dataclasses import dataclass, field

_logger = logging.getLogger(__name__)

_STALL_S = 120  #: longer than any lease


class FailpointError(Exception):
    """Raised by an armed `raise`. No path expects it."""


@dataclass
class _Armed:
    name: str = ""
    how: str = ""
    left: int = 1
    guard: threading.Lock = field(default_factory=threading.Lock)


_armed = _Armed()


def arm(setting: str) -> None:
    """`setting`: "<name>=<kill|raise|stall>[@<count>]", or "" for none."""
    if not setting:
        return
    name, _, how = setting.partition("=")
    how, _, at = how.partition("@")
    if how not in {"kill", "raise", "stall"}:
        raise ValueError(f"VAKHTA_FAILPOINT: {how!r} is not kill, raise or stall")
    _armed.name, _armed.how, _armed.left = name, how, int(at or 1)


def failpoint(name: str) -> None:
    """Act here if this failpoint is armed and its count is reached."""
    if name != _armed.name:
        return
    with _armed.guard:
        _armed.left -= 1
        if _armed.left != 0:
            return
    # A crash test waits for this line, so it has to be written before the process is killed.
    _logger.warning("failpoint reached", extra={"failpoint": name, "how": _armed.how})
    if _armed.how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if _armed.how == "raise":
        raise FailpointError(name)
    threading.Event().wait(_STALL_S)
    _logger.warning("failpoint left", extra={"failpoint": name})
