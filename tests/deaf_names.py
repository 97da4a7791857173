"""The real bot, run as `python -m tests.deaf_names`, on a machine whose name service does not answer.

As the real one does, it keeps the thread that asks, and lets no exception in.
"""

from __future__ import annotations

import socket
import sys
import threading
from typing import Any

_LASTS_S = 120.0
_ask = socket.getaddrinfo


def _unanswered(host: Any, *more: Any, **named: Any) -> Any:
    if host in (None, "localhost") or str(host).startswith("127."):
        return _ask(host, *more, **named)
    threading.Event().wait(_LASTS_S)
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


if __name__ == "__main__":
    socket.getaddrinfo = _unanswered
    from bot import __main__

    sys.exit(__main__.main())
