"""A time limit for logins: a kubeconfig's `exec` may run any program, and the package kubernetes waits without one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from http import HTTPStatus
from typing import TypeVar

from bot.core.errors import Rejected

Made = TypeVar("Made")

_LIMIT_S = 20.0
#: Logins that may hang at the same time; with more, every login fails.
_SLOTS = threading.BoundedSemaphore(16)


def in_time(make: Callable[[], Made]) -> Made:
    """The result of `make`, run on a thread of its own, or what it raises; `Rejected` where it takes too long."""
    promised: Future[Made] = Future()
    if not _SLOTS.acquire(timeout=_LIMIT_S):
        raise _too_late()
    # A daemon: a program that hangs must not keep this process from ending.
    threading.Thread(target=_work, args=(make, promised), name="login", daemon=True).start()
    try:
        return promised.result(_LIMIT_S)
    except TimeoutError:
        if promised.done():
            raise  # raised by `make`
        raise _too_late() from None


def _work(make: Callable[[], Made], promised: Future[Made]) -> None:
    try:
        promised.set_result(make())
    except Exception as error:  # noqa: BLE001 - raised by the caller that waits
        promised.set_exception(error)
    finally:
        _SLOTS.release()


def _too_late() -> Rejected:
    message = f"The login to the cluster took over {_LIMIT_S:g} s: its program hangs. Nothing was done. Run it by hand."
    return Rejected(message, code="unreachable", status=HTTPStatus.SERVICE_UNAVAILABLE)
