"""Named places where a crash test may stop the process; without VAKHTA_FAILPOINT they cost one comparison.

`VAKHTA_FAILPOINT=delivery.sent=kill` at the process's start arms one: `kill` is SIGKILL at once, `raise` an exception,
`stall` a hold that outlasts every lease. `name=kill@3` waits for the third time the place is reached.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from dataclasses import dataclass, field

_logger = logging.getLogger(__name__)


class FailpointError(Exception):
    """What an armed `raise` raises. Not one of the errors that any path expects."""


@dataclass
class _Armed:
    name: str = ""
    how: str = ""
    left: int = 1
    guard: threading.Lock = field(default_factory=threading.Lock)


_armed = _Armed()


def arm(setting: str) -> None:
    """`setting`: "<name>=<kill|raise|stall>[@<which time>]", or "" for none."""
    if not setting:
        return
    name, _, how = setting.partition("=")
    how, _, at = how.partition("@")
    if how not in {"kill", "raise", "stall"}:
        raise ValueError(f"VAKHTA_FAILPOINT: {how!r} is not kill, raise or stall")
    _armed.name, _armed.how, _armed.left = name, how, int(at or 1)


def failpoint(name: str) -> None:
    """Die here, if this is the place and the time."""
    if name != _armed.name:
        return
    with _armed.guard:
        _armed.left -= 1
        if _armed.left != 0:
            return
    # A crash test waits for this line; the process that is killed next has it written already.
    _logger.warning("failpoint reached", extra={"failpoint": name, "how": _armed.how})
    if _armed.how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if _armed.how == "raise":
        raise FailpointError(name)
    threading.Event().wait(_STALL_S)
    _logger.warning("failpoint left", extra={"failpoint": name})


_STALL_S = 120
