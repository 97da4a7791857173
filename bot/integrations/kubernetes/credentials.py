"""What logs in somewhere may be a program of the user's (a kubeconfig's `exec`); its package waits for it for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from http import HTTPStatus
from typing import TypeVar

from bot.core.errors import Rejected

Made = TypeVar("Made")

_WITHIN_S = 20.0
#: So many may hang before nobody logs in any more.
_PLACES = threading.BoundedSemaphore(16)


def in_time(make: Callable[[], Made]) -> Made:
    """What `make` returns or raises, on a thread of its own. Raises `Rejected` where that takes too long."""
    promised: Future[Made] = Future()
    if not _PLACES.acquire(timeout=_WITHIN_S):
        raise _too_late()
    # A daemon: a program that hangs must not hold this process at its end.
    threading.Thread(target=_work, args=(make, promised), name="login", daemon=True).start()
    try:
        return promised.result(_WITHIN_S)
    except TimeoutError:
        if promised.done():
            raise  # its own
        raise _too_late() from None


def _work(make: Callable[[], Made], promised: Future[Made]) -> None:
    try:
        promised.set_result(make())
    except Exception as trouble:  # noqa: BLE001 - whoever waits for it raises it
        promised.set_exception(trouble)
    finally:
        _PLACES.release()


def _too_late() -> Rejected:
    message = (
        f"No login came within {_WITHIN_S:g} s: the program that gives it hangs. Nothing was done. Run it by hand."
    )
    return Rejected(message, code="unreachable", status=HTTPStatus.SERVICE_UNAVAILABLE)
