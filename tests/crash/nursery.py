"""A process that has imported what the bot imports, and forks into one bot after another: `python -m ... FD`.

For each order that arrives at the socket FD it forks, answers with the child's pid and a pidfd, and writes into the
order's pipe how the child ended. The child goes on to be what `python -m MODULE ...` is: its own environment and log,
the module run from its first line. So nothing may be imported here that reads the environment while it is imported,
nothing may be open, and no thread may run. The kernel ends the children with the nursery, and the nursery with the
test run.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import warnings
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module

import commands

#: What a bot with the crash tests' settings has imported by the time it watches; its commands come on top.
_WANTED = (
    "bot.__main__",
    "bot.app.bot",
    "bot.integrations.pagerduty.channel",
    "bot.integrations.slack.channel",
    "pydantic.v1",  # FastAPI looks for its models at the first route
    "uvicorn.loops.uvloop",
)
_LONGEST = 1 << 20
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class _Order:
    """`module` and what follows it on the command line."""

    module: str
    words: list[str]
    environment: dict[str, str]


class _Nursery:
    def __init__(self, door: socket.socket) -> None:
        self._door = door
        self._pid = os.getpid()
        self._children: dict[int, tuple[int, int]] = {}  #: pidfd -> pid, the pipe into which its end is written

    def serve(self) -> _Order | None:
        """Returns in each child, with its order; here when nobody can order any more, with None."""
        while True:
            waiting = select.poll()
            for one in (self._door.fileno(), *self._children):
                waiting.register(one, select.POLLIN)
            for ready, _ in waiting.poll():
                if ready in self._children:
                    self._bury(ready)
                    continue
                order, fds, _, _ = socket.recv_fds(self._door, _LONGEST, 2)
                if not order:
                    return None
                if not self._bear(*fds):
                    return _Order(**json.loads(order))

    def _bear(self, log: int, report: int) -> bool:
        """False in the child."""
        pid = os.fork()
        if not pid:
            os.close(report)
            self._leave(log)
            return False
        os.close(log)
        pidfd = os.pidfd_open(pid)
        self._children[pidfd] = pid, report
        socket.send_fds(self._door, [str(pid).encode()], [pidfd])
        return True

    def _bury(self, pidfd: int) -> None:
        pid, report = self._children.pop(pidfd)
        _, status = os.waitpid(pid, 0)
        with suppress(BrokenPipeError):
            os.write(report, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(report)
        os.close(pidfd)

    def _leave(self, log: int) -> None:
        """In the child: keep nothing of the nursery."""
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._pid:
            os._exit(1)
        self._door.close()
        for pidfd, (_, report) in self._children.items():
            os.close(pidfd)
            os.close(report)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)


def main(door: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in _WANTED:
            import_module(name)
        commands.find()
        commands.actions()
    assert threading.active_count() == 1, f"a fork would not have them: {threading.enumerate()}"
    gc.collect()
    gc.freeze()  # or each child's first collection would copy all of it
    order = _Nursery(socket.socket(fileno=door)).serve()
    if order is None:
        return
    os.environ.clear()
    os.environ.update(order.environment)
    sys.argv[1:] = order.words
    runpy.run_module(order.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
