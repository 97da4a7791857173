"""The clock goes ahead by an hour between the import of the tests and the first of them, where `.ci/late` runs them.

What it preloads into the tests, and into all that they start, reads the seconds from a file.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

#: Why a test that compares times with such a program is skipped; empty in an ordinary run.
GO_IS_BEHIND = "a program written in Go asks the kernel for the time" if "VAKHTA_TESTS_LATE" in os.environ else ""
ENGINE_IS_BEHIND = "its engine asks the kernel for the time" if "VAKHTA_TESTS_LATE" in os.environ else ""

_HOUR = timedelta(hours=1)


def go_ahead(file: Path) -> None:
    """Every worker of pytest-xdist may call it: the first one does so when all of them have imported everything."""
    if not any(file.read_bytes()):
        before = datetime.now(UTC)
        with file.open("r+b") as opened:  # it is mapped into every process, so it may at no time be empty
            opened.write(int(_HOUR.total_seconds()).to_bytes(8, "little"))
        assert datetime.now(UTC) - before >= _HOUR, "the clock stayed, so that this run would show nothing"
