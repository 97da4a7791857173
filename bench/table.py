"""The table: what was asked for, what was reached, and what stood in the way; also where it falls short."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path


class Verdict(StrEnum):
    """How a line ended. SKIPPED and FAILED say why in `reached`; SEEN has no target."""

    AIM = "aim"
    MET = "met"
    SHORT = "short"
    SEEN = "-"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(kw_only=True)
class Line:
    """One line of the table."""

    what: str
    least: str = ""
    aim: str = ""
    reached: str
    verdict: Verdict = Verdict.SEEN
    bare: str = ""  #: what the bare prototype reaches in this run, where the target is absolute
    bound: str = ""  #: what bounds it, as far as it was measured
    numbers: dict[str, object] = field(default_factory=dict)  #: the raw ones, for the JSON


def at_least(value: float, least: float, aim: float | None = None) -> Verdict:
    """For numbers of which more is better."""
    if value < least:
        return Verdict.SHORT
    return Verdict.MET if aim is not None and value < aim else Verdict.AIM


def at_most(value: float, least: float, aim: float | None = None) -> Verdict:
    """For numbers of which less is better."""
    return at_least(-value, -least, None if aim is None else -aim)


def worst(*verdicts: Verdict) -> Verdict:
    """What a line of several numbers gets: the least of them."""
    order = [Verdict.FAILED, Verdict.SKIPPED, Verdict.SHORT, Verdict.MET, Verdict.AIM, Verdict.SEEN]
    return min(verdicts, key=order.index)


_WIDTHS = {"what": 44, "least": 16, "aim": 14, "reached": 40, "verdict": 7, "bare": 24, "bound": 40}
_TITLES = {
    "what": "what",
    "least": "at least",
    "aim": "aim",
    "reached": "reached",
    "verdict": "verdict",
    "bare": "bare prototype, this run",
    "bound": "what bounds it",
}


def print_head() -> None:
    _print_cells(_TITLES)
    print("-+-".join("-" * width for width in _WIDTHS.values()))


def print_line(line: Line) -> None:
    """Long cells wrap inside their column."""
    _print_cells({name: str(getattr(line, name)) for name in _WIDTHS})


def print_notes(machine: dict[str, object], notes: Sequence[str]) -> None:
    print()
    print("; ".join(f"{name}: {value}" for name, value in machine.items()))
    for note in notes:
        print(textwrap.fill(note, 170, initial_indent="* ", subsequent_indent="  "))


def write_json(path: Path, lines: Sequence[Line], machine: dict[str, object], notes: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"machine": machine, "lines": [asdict(line) for line in lines], "notes": list(notes)}
    path.write_text(json.dumps(told, indent=2, default=str) + "\n", encoding="utf-8")


def _print_cells(cells: dict[str, str]) -> None:
    wrapped = {name: textwrap.wrap(cells[name], width) or [""] for name, width in _WIDTHS.items()}
    for row in range(max(len(parts) for parts in wrapped.values())):
        told = [(wrapped[name][row : row + 1] or [""])[0].ljust(width) for name, width in _WIDTHS.items()]
        print(" | ".join(told).rstrip(), flush=True)
