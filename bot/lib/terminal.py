"""The one way out for text to a terminal: stdout and stderr of every command.

Names, reasons and refusals come from outside (alerts, clusters, files, databases), and a terminal obeys what it is
shown: escape sequences move the cursor, set the title or the clipboard, marks of direction turn a line around. So each
character that is not printable is spelled out, as in the log; the ends of lines stay, because answers have several.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any, NoReturn, TextIO


def printable(text: str) -> str:
    """On one line, every character of it one that is seen."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def shown(text: str) -> str:
    """As it may be shown, in the lines that it has."""
    return "\n".join(map(printable, text.split("\n")))


def out(text: str, *, end: str = "\n") -> None:
    """What was asked for, on stdout."""
    _write(sys.stdout, text + end)


def err(text: str, *, end: str = "\n") -> None:
    """What is said beside it, on stderr."""
    _write(sys.stderr, text + end)


class Parser(argparse.ArgumentParser):
    """Says what it does not understand without obeying it: the words may have been pasted, or come from a script.

    `fill` adds what it consists of, once, when it is used: what one command needs is not loaded for the others.
    """

    fill: Callable[[], None] | None = None

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As in argparse, which declares it in many shapes. Any: those."""
        fill, self.fill = self.fill, None
        if fill is not None:
            fill()
        return super().parse_known_args(args, namespace)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        if message:
            err(message, end="")
        sys.exit(status)


def _write(stream: TextIO, text: str) -> None:
    """A terminal that cannot show a letter is shown its number; nothing is lost for it."""
    encoding = stream.encoding or "ascii"
    stream.write(shown(text).encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()
