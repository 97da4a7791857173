"""Verifies a long log in blocks of equal length, in several processes.

The number of positions in a block is a power of two, so its leaves are one full subtree. If a block has no fault, its
result fits into a few arrays. If it has one, its result is None, and the verifier reads that block itself, row by row.
So the findings, their texts and their order do not depend on the number of processes.
"""

from __future__ import annotations

import signal
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from multiprocessing import get_context
from multiprocessing.connection import Connection

from bot.audit.verify.duplicate_ids import key_of
from bot.audit.verify.entry_format import AT, CODE, RUN, UID, columns_of
from bot.audit.verify.log_reader import LogRange, LogReader, UnreadableLog
from bot.audit.verify.merkle import LeafBlock
from bot.audit.verify.unfinished_runs import OF_ITSELF, OF_RUNS

#: Entries are sealed in about the order in which they were written. If times go back further than this (microseconds),
#: the clock went back.
OUT_OF_ORDER = 60_000_000
#: How many columns of a row come before those of the entry.
SEAL = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerPool:
    """`processes` verify blocks of `block_size` entries (2**n, n > 0), if there are at least `floor` entries."""

    processes: int = 1
    floor: int = 100_000
    block_size: int = 4096


SINGLE_PROCESS = WorkerPool()


@dataclass(frozen=True, kw_only=True, slots=True)
class LogBlock:
    """The result of a block without faults, from position `first` on."""

    first: int
    subtree: LeafBlock
    uids: array[int]  #: their keys, see `duplicate_ids.key_of`
    times: array[int]  #: when each was written
    runs: Sequence[tuple[int, bytes, bytes, int]]  #: (position, code, run, at) of intents and outcomes


#: Opens the same log again, in another process.
Open = Callable[[], LogReader]


def read_in_parallel(log: LogReader, pool: WorkerPool, within: ExitStack) -> Iterator[tuple[LogRange, LogBlock | None]]:
    """All positions in order, as ranges. A range whose block is None has to be verified row by row.

    A log that cannot be divided, or is short, is one such range. The processes end with `within`.
    """
    parts = log.parts()
    if parts is None or parts[0] < max(pool.floor, pool.block_size):
        yield LogRange(), None
        return
    start = max(0, log.start())
    aligned = -(-start // pool.block_size) * pool.block_size
    end = aligned + max(0, start + parts[0] - aligned) // pool.block_size * pool.block_size
    firsts = range(aligned, end, pool.block_size)
    yield LogRange(end=aligned), None
    for first, block in zip(firsts, _blocks(log, parts[1], pool, firsts, within), strict=True):
        yield LogRange(first=first, end=first + pool.block_size), block
    yield LogRange(first=end), None


def _blocks(
    log: LogReader, again: Open, pool: WorkerPool, firsts: range, within: ExitStack
) -> Iterator[LogBlock | None]:
    if pool.processes == 1:
        return (read_block(log, first, pool.block_size) for first in firsts)
    pipes = [
        within.enter_context(_Process(again, firsts[one :: pool.processes], pool.block_size))
        for one in range(pool.processes)
    ]
    return (pipes[turn % pool.processes].next() for turn in range(len(firsts)))


class _Process(AbstractContextManager["_Process"]):
    """Verifies every n-th block, where n is the number of processes. It is at most one block ahead of the reader,
    because a pipe's buffer is smaller than a block.
    """

    def __init__(self, again: Open, firsts: range, length: int) -> None:
        context = get_context("spawn")  # a fork would copy the threads' locks without the threads
        self._results, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=_look_at_all, args=(again, firsts, length, theirs), daemon=True)
        self._process.start()
        theirs.close()  # otherwise the end of the process would not be noticed

    def next(self) -> LogBlock | None:
        try:
            found: LogBlock | UnreadableLog | None = self._results.recv()
        except (EOFError, OSError):
            raise UnreadableLog("a process that read part of it was killed; is there enough memory?") from None
        if isinstance(found, UnreadableLog):
            raise found
        return found

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()
        self._process.close()
        self._results.close()


def _look_at_all(again: Open, firsts: range, length: int, results: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process ends this one
    with suppress(BrokenPipeError):
        try:
            with again() as log:
                for first in firsts:
                    results.send(read_block(log, first, length))
        except UnreadableLog as why:
            results.send(why)


def read_block(log: LogReader, first: int, length: int) -> LogBlock | None:
    """The block's result, or None where any of its rows has a fault. Hot path: ten million rows in a minute or two."""
    leaves: list[bytes] = []
    uids, times = array("q"), array("q")
    runs: list[tuple[int, bytes, bytes, int]] = []
    place, last = first, 0
    for row in chain.from_iterable(log.sealed(LogRange(first=first, end=first + length))):
        leaf, body = row[1], row[3]
        message = columns_of(body) if type(body) is bytes else None
        if row[0] != place or message is None or message != row[SEAL:] or sha256(b"\x00" + body).digest() != leaf:
            return None
        at = message[AT]
        if at < last - OUT_OF_ORDER or message[CODE] in OF_ITSELF:
            return None
        place, last = place + 1, at
        leaves.append(leaf)
        uids.append(key_of(message[UID]))
        times.append(at)
        if message[CODE] in OF_RUNS:
            runs.append((row[0], message[CODE], message[RUN], at))
    if len(leaves) != length:
        return None
    return LogBlock(first=first, subtree=LeafBlock(b"".join(leaves)), uids=uids, times=times, runs=runs)
