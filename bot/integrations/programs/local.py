"""Runs programs on the bot's own machine. Implements `bot.core.programs.Programs`.

The promise: a program never outlives the bot, and never its time limit; what it printed is bounded, and shown without
its secrets. The trap: the kernel ends a child when the *thread* that started it ends (prctl(2), PR_SET_PDEATHSIG), so
all children are started by one thread that lives as long as the process.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus

from bot.core.errors import OutcomeUnknown, Rejected
from bot.core.programs import Ended, Program
from bot.integrations.programs.output import Output, said

#: Runs the rest of its arguments in its own place, and is ended with its parent. An own process does it, because what
#: runs between fork and exec in a process with threads can hang for ever. 1 is PR_SET_PDEATHSIG.
_TIED = (
    "import ctypes,os,sys;ctypes.CDLL(None).prctl(1,9);"
    "os.getppid()==int(sys.argv[1]) or sys.exit(1);os.execvp(sys.argv[2],sys.argv[2:])"
)
#: What programs get of the bot's environment: where they, their files (.pgpass) and their libraries are.
_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "TMPDIR")
#: Messages in English and times in UTC, because they are read by this bot.
_FIXED = {"LC_ALL": "C.UTF-8", "TZ": "UTC"}
#: Between asking a program to end and ending it.
_GRACE_S = 5.0
_TIMED_OUT = 124  #: as timeout(1) has it
#: Of the module: an executor that nobody holds ends its thread, and with it every program.
_STARTER = ThreadPoolExecutor(1, thread_name_prefix="programs")


class LocalPrograms:
    """Safe to share between threads. Programs that have ended are known until `stop`, or the end of the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, _Started] = {}

    def run(self, program: Program) -> Ended:
        started = self._get_or_start(program)
        started.done.wait()
        self.stop(program.key)
        if started.timed_out:
            limit = int(program.time_limit.total_seconds())
            raise OutcomeUnknown(f"{_name(program.argv)} did not end within {limit} s, and was stopped.")
        if started.overflow:
            raise Rejected(
                f"{_name(program.argv)} printed more than {program.output_limit} bytes, and was stopped. "
                "Nothing of it was used.",
                code="too_much_output",
            )
        return started.ended()

    def start(self, program: Program) -> None:
        self._get_or_start(program)

    def poll(self, key: str) -> Ended | None:
        with self._lock:
            started = self._known.get(key)
        if started is None:
            raise LookupError(key)
        return started.ended() if started.done.is_set() else None

    def stop(self, key: str) -> None:
        with self._lock:
            started = self._known.pop(key, None)
        if started is not None:
            started.end()

    def _get_or_start(self, program: Program) -> _Started:
        with self._lock:
            found = self._known.get(program.key)
            if found is None:
                found = self._known[program.key] = _STARTER.submit(_start_one, program).result()
            return found


def _start_one(program: Program) -> _Started:
    name = program.argv[0]
    if shutil.which(name) is None:
        raise Rejected(
            f"The program {name} is not installed on the bot's machine. Nothing was done. Install it, or set where "
            "programs run (run) to a Job whose image has it.",
            code="no_program",
            status=HTTPStatus.SERVICE_UNAVAILABLE,
        )
    command = [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), *program.argv]
    try:
        process = subprocess.Popen(  # noqa: S603 (a vector of arguments; no shell)
            command,
            env=_environment(program),
            stdin=subprocess.PIPE if program.stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise Rejected(
            f"{_name(program.argv)} cannot be started ({type(error).__name__}). Nothing was done.", code="no_program"
        ) from None
    return _Started(process, program)


class _Started:
    """One program: its output is read by threads, so that it never waits for us."""

    def __init__(self, process: subprocess.Popen[bytes], program: Program) -> None:
        self._process = process
        self._program = program
        self.done = threading.Event()
        self.timed_out = False
        self._out = Output(process.stdout, most=program.output_limit, on_overflow=self._kill)
        self._err = Output(process.stderr)
        if process.stdin is not None:
            threading.Thread(target=self._feed, daemon=True).start()
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def overflow(self) -> bool:
        return self._out.overflow

    def ended(self) -> Ended:
        text = said(self._err.tail(), self._program.secrets)
        if self.timed_out:
            text = f"stopped at its time limit of {self._program.time_limit}\n{text}"
        if self.overflow:
            text = f"stopped, since it printed more than {self._program.output_limit} bytes\n{text}"
        code = _TIMED_OUT if self.timed_out else self._process.returncode
        return Ended(code=code, stdout=self._out.kept(), stderr=text)

    def end(self) -> None:
        """Also of a program that ended: what it started itself may still run."""
        if not self.done.is_set():
            self._signal(signal.SIGTERM)
            self.done.wait(_GRACE_S)
        self._kill()
        self.done.wait(_GRACE_S)

    def _watch(self) -> None:
        try:
            self._process.wait(self._program.time_limit / timedelta(seconds=1))
        except subprocess.TimeoutExpired:
            self.timed_out = True
            self._signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_S)
        self._kill()
        self._process.wait()
        self._out.finish(_GRACE_S)
        self._err.finish(_GRACE_S)
        self.done.set()

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        """The whole group. Its id is not given anew while one of the group lives; once it is empty, nobody is hit."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _feed(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        with suppress(OSError):  # A program may end without having read all of it.
            pipe.write(self._program.stdin)
        with suppress(OSError):
            pipe.close()


def _environment(program: Program) -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, **_FIXED, **program.environment, **program.secrets}


def _name(argv: Sequence[str]) -> str:
    return argv[0].rpartition("/")[2]
