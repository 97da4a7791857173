"""Running the programs of backup tools (pg_restore, pgbackrest), on this machine or as a Kubernetes Job.

The promise: a program is a fixed name with a vector of arguments. No shell reads them, and nothing that a person typed
in a chat is among them but names that were found in an inventory. Secrets reach it by its environment, or by a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """One call. `key`: names it, so that a process that comes after a crash finds it: "restore-<run>"; a program with
    the same key is never started twice where it can be found again.
    """

    key: str
    argv: Sequence[str]
    secrets: Mapping[str, str] = field(default_factory=dict)  #: environment variables; never shown or logged
    environment: Mapping[str, str] = field(default_factory=dict)
    time_limit: timedelta = timedelta(minutes=5)
    stdin: bytes = b""  #: on this machine only
    #: The most of stdout that is kept; more is `Rejected`.
    output_limit: int = 16 * 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How a program ended."""

    code: int
    stdout: bytes
    stderr: str  #: its last lines, without the secrets


class Programs(Protocol):
    """Raises `Rejected` when a program is not installed, refused, or could not be started: nothing was done."""

    def run(self, program: Program) -> Ended:
        """Run it to its end.

        Raises:
            OutcomeUnknown: it was cut off by its time limit, or lost: how far it came is unknown.
        """
        ...

    def start(self, program: Program) -> None:
        """Start it and return. One with the same key that runs or has ended is left as it is."""
        ...

    def poll(self, key: str) -> Ended | None:
        """How it ended; None while it runs.

        Raises:
            LookupError: no program of that key is known, here or in the cluster: it never started, or died with the
                process that had started it.
        """
        ...

    def stop(self, key: str) -> None:
        """End it, and forget it. One that is not known is fine."""
        ...
