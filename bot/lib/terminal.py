"""Output to a terminal: every command writes to stdout and stderr through this module only.

Names, reasons and refusals come from outside (alerts, clusters, files, databases), and a terminal interprets what it
is sent: escape sequences move the cursor or set the title and the clipboard, direction marks reverse a line. So every
character that is not printable is escaped, as in the log. Line ends are kept, because answers have several lines.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any, NoReturn, TextIO


def printable(text: str) -> str:
    """The text on one line, with unprintable characters escaped."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def shown(text: str) -> str:
    """The text with unprintable characters escaped and its line ends kept."""
    return "\n".join(map(printable, text.split("\n")))


def out(text: str, *, end: str = "\n") -> None:
    """Write the answer to stdout."""
    _write(sys.stdout, text + end)


def err(text: str, *, end: str = "\n") -> None:
    """Write warnings and errors to stderr."""
    _write(sys.stderr, text + end)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are escaped too: the arguments may have been pasted, or come from a script.

    `fill` adds the arguments when the parser is first used, so that one command does not load what only others need.
    """

    fill: Callable[[], None] | None = None

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As in argparse, which overloads it; `Any` stands for all its signatures."""
        fill, self.fill = self.fill, None
        if fill is not None:
            fill()
        return super().parse_known_args(args, namespace)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        if message:
            err(message, end="")
        sys.exit(status)


def _write(stream: TextIO, text: str) -> None:
    """A character that the terminal's encoding lacks is written as its code point."""
    encoding = stream.encoding or "ascii"
    stream.write(shown(text).encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()
