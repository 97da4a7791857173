"""What logs in somewhere may be a program of the user's (a kubeconfig's `exec`); its package waits for it for ever."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TypeVar

from bot.ports import Rejected

Made = TypeVar("Made")

_WITHIN_S = 20.0
#: So many may hang before nobody logs in any more.
_THREADS = ThreadPoolExecutor(16, thread_name_prefix="login")


def in_time(make: Callable[[], Made]) -> Made:
    """What `make` returns or raises, on a thread of its own. Raises `Rejected` where that takes too long."""
    promised = _THREADS.submit(make)
    try:
        return promised.result(_WITHIN_S)
    except TimeoutError:
        if promised.done():
            raise  # its own
        said = (
            f"No login came within {_WITHIN_S:g} s: the program that gives it hangs. Nothing was done. Run it by hand."
        )
        raise Rejected(said, code="unreachable", status=HTTPStatus.SERVICE_UNAVAILABLE) from None
