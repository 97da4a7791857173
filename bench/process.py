"""Processes that the bench starts: each is stopped by its own pid, whatever happens, and its CPU and memory counted."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.load import Unmeasurable

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20
_libc = ctypes.CDLL(None)


class Process:
    """One started program. `log`: where its output goes, quoted when it does not come up."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
    ) -> None:
        self._log = log
        with log.open("ab") as out:
            self._popen = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})}, cwd=cwd,
                user=user, group=pwd.getpwnam(user).pw_gid if user else None, extra_groups=[] if user else None,
                start_new_session=True,  # Ctrl-C is for the bench, which then stops them in order.
                preexec_fn=_die_with_parent,  # noqa: PLW1509 (the bench has no threads when it starts something)
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._popen.pid

    def alive(self) -> bool:
        return self._popen.poll() is None

    def wait_for(self, ready: Callable[[], bool], what: str, *, within_s: float = 30.0, every_s: float = 0.02) -> None:
        """Raises: Unmeasurable, with the end of its log, when it ends first or takes too long."""
        deadline = time.monotonic() + within_s
        while not ready():
            if not self.alive() or time.monotonic() > deadline:
                how = "took too long" if self.alive() else f"ended with {self._popen.returncode}"
                raise Unmeasurable(f"{what} {how}: {self.tail()}")
            time.sleep(every_s)

    def tail(self) -> str:
        return " ".join(self._log.read_text(errors="replace").split())[-400:] if self._log.exists() else ""

    def stop(self, signum: signal.Signals = signal.SIGTERM, *, within_s: float = 25.0) -> None:
        """Ask it to end; after `within_s` it is killed."""
        if self.alive():
            self._popen.send_signal(signum)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(within_s)
        self.kill()

    def kill(self) -> None:
        if self.alive():
            self._popen.kill()
        self._popen.wait()

    def end_tree(self) -> None:
        """Kill it and what it started: for programs that leave children behind when killed."""
        for pid in reversed(tree(self.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._popen.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    """Whether a GET of it is answered below 400."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (OSError, urllib.error.URLError):
        return False


def tree(root: int) -> list[int]:
    """`root` and all that descend from it, parents first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        fields = _stat(int(entry.name)) if entry.name.isdigit() else None
        if fields:
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def cpu_s(root: int) -> float:
    """CPU seconds of the whole tree so far, with children that have ended."""
    ticks = 0
    for pid in tree(root):
        fields = _stat(pid)
        if fields:
            ticks += sum(int(fields[n]) for n in (11, 12, 13, 14))  # utime, stime, cutime, cstime
    return ticks / _TICK


def cpu_ns(pid: int) -> int:
    """CPU time of one process in nanoseconds: an idle one uses less in half a minute than `cpu_s` could tell.

    Of the threads that live. Where the kernel keeps no such account, it is what `cpu_s` tells.
    """
    try:
        return sum(int(one.read_text().split()[0]) for one in Path(f"/proc/{pid}/task").glob("*/schedstat")) or (
            round(cpu_s(pid) * 1e9)
        )
    except OSError:
        return round(cpu_s(pid) * 1e9)


def wakes(pid: int) -> int:
    """How often its threads have waited for something and were woken, of those that live."""
    total = 0
    for one in Path(f"/proc/{pid}/task").glob("*/status"):
        with contextlib.suppress(OSError):
            lines = one.read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))
    return total


def rss_mib(root: int) -> float:
    """Resident memory of the whole tree, shared pages counted once a process."""
    total = 0
    for pid in tree(root):
        with contextlib.suppress(OSError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return total * _PAGE_MIB


def busy_s() -> float:
    """Seconds of CPU that the machine's cores have spent on anything at all."""
    fields = [int(n) for n in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return (sum(fields[:8]) - fields[3] - fields[4]) / _TICK


def _stat(pid: int) -> list[str] | None:
    """The fields after the name: state, ppid, ... None when it has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _die_with_parent() -> None:
    """Should the bench itself be killed, the kernel ends what it started (PR_SET_PDEATHSIG)."""
    _libc.prctl(1, signal.SIGKILL)
