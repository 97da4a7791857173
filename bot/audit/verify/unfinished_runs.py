"""Which runs were to begin and have no outcome; and the entries in which the log speaks of itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from bot.audit.verify.report import time_of

INTENT = b"VK120I"
OUTCOMES = (b"VK121I", b"VK122E", b"VK123E", b"VK124W")
RESTORED, PRUNED = b"VK006W", b"VK007W"
#: Entries that have to be looked at for more than whether they are whole.
OF_RUNS = frozenset((INTENT, *OUTCOMES))
OF_ITSELF = frozenset((RESTORED, PRUNED))


class UnfinishedRuns:
    """The intents without an outcome, so far."""

    def __init__(self) -> None:
        self._open: dict[bytes, tuple[int | None, int]] = {}

    def note(self, code: bytes, run: bytes, where: tuple[int | None, int]) -> None:
        """`where` is its position, None of what is not sealed, and when it was written."""
        if code == INTENT:
            self._open.setdefault(run, where)
        else:
            self._open.pop(run, None)

    def unfinished(self, before: int) -> Iterator[tuple[int | None, str]]:
        """Those that were written before then: position, and what is to be said of it."""
        for run, (pos, at) in self._open.items():
            if at < before:
                message = f"run {run.decode()} was to begin at {time_of(at)}, and nothing tells how it ended"
                yield pos, message


@dataclass(frozen=True, kw_only=True, slots=True)
class RestoreEntry:
    """An entry that says: a copy was put back, and of `lost` entries that were anchored only `kept` are here."""

    pos: int
    kept: int
    lost: int
    message: str

    @property
    def line(self) -> str:
        """How the checkpoint says it."""
        return f"restored {self.kept} {self.lost}"

    def text(self) -> str:
        return (
            f"a copy was put back: of {self.lost} entries that were anchored, those behind the first {self.kept} are"
            f" lost, because {self.message}"
        )


def restored(pos: int, body: bytes) -> RestoreEntry | None:
    """None where it does not say what is lost. `body` is of the form of an entry."""
    told = json.loads(body)
    kept, lost = number_in(told["more"].get("kept")), number_in(told["more"].get("lost"))
    if kept is None or lost is None or lost <= kept:
        return None
    return RestoreEntry(pos=pos, kept=kept, lost=lost, message=f"{told['said']!a} ({told['by']!a}, {told['at']})")


def number_in(text: str | None) -> int | None:
    """None where it is none, as a person would write it."""
    return int(text) if text and text.isascii() and text.isdigit() else None
