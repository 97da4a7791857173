"""Finds intents without an outcome, and reads the entries that record a restore of the log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from bot.audit.verify.report import time_of

INTENT = b"VK120I"
OUTCOMES = (b"VK121I", b"VK122E", b"VK123E", b"VK124W")
RESTORED, PRUNED = b"VK006W", b"VK007W"
#: Entries whose content matters to the verifier: those of runs, and those about the log itself.
OF_RUNS = frozenset((INTENT, *OUTCOMES))
OF_ITSELF = frozenset((RESTORED, PRUNED))


class UnfinishedRuns:
    """The intents without an outcome, so far."""

    def __init__(self) -> None:
        self._open: dict[bytes, tuple[int | None, int]] = {}

    def note(self, code: bytes, run: bytes, where: tuple[int | None, int]) -> None:
        """`where`: its position (None if it is unsealed), and when it was written."""
        if code == INTENT:
            self._open.setdefault(run, where)
        else:
            self._open.pop(run, None)

    def unfinished(self, before: int) -> Iterator[tuple[int | None, str]]:
        """The intents that were written before then: the position, and the text of the finding."""
        for run, (pos, at) in self._open.items():
            if at < before:
                message = f"run {run.decode()} was to begin at {time_of(at)}, and no entry records how it ended"
                yield pos, message


@dataclass(frozen=True, kw_only=True, slots=True)
class RestoreEntry:
    """An entry that records: a copy was restored, and of `lost` anchored entries only the first `kept` are here."""

    pos: int
    kept: int
    lost: int
    message: str

    @property
    def line(self) -> str:
        """The line by which a checkpoint states it."""
        return f"restored {self.kept} {self.lost}"

    def text(self) -> str:
        return (
            f"a copy was restored: of {self.lost} anchored entries, all after the first {self.kept} are lost,"
            f" because {self.message}"
        )


def restored(pos: int, body: bytes) -> RestoreEntry | None:
    """None where it does not record a loss. `body` has the format of an entry."""
    entry = json.loads(body)
    kept, lost = number_in(entry["more"].get("kept")), number_in(entry["more"].get("lost"))
    if kept is None or lost is None or lost <= kept:
        return None
    return RestoreEntry(pos=pos, kept=kept, lost=lost, message=f"{entry['said']!a} ({entry['by']!a}, {entry['at']})")


def number_in(text: str | None) -> int | None:
    """The number in plain digits; None for any other text."""
    return int(text) if text and text.isascii() and text.isdigit() else None
