"""Output to a terminal: every command writes to stdout and stderr through this module only.

Names, reasons and refusals come from outside (alerts, clusters, files, databases), and a terminal interprets what it
is sent: escape sequences move the cursor or set the title and the clipboard, direction marks reverse a line. So every
character that is not printable is escaped, as in the log. Line ends are kept, because answers have several lines.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn, TextIO

from bot.lib.similar_words import offer, similar


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

    An unknown word is answered with the most similar known one, and nothing is done.
    """

    #: Adds the arguments when the parser is first used, so that one command does not load what only others need.
    fill: Callable[[], None] | None = None
    #: The exit code of a wrong command line.
    refused_with = 2
    #: Words that are known elsewhere: each with what to type instead.
    elsewhere: Mapping[str, str] = MappingProxyType({})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As in argparse, which overloads it; `Any` stands for all its signatures."""
        self.complete()
        return super().parse_known_args(args, namespace)

    def complete(self) -> None:
        """Add the arguments that `fill` adds."""
        fill, self.fill = self.fill, None
        if fill is not None:
            fill()

    def unknown(self, words: Sequence[str]) -> str:
        """The error for arguments that were not understood."""
        flags = [word.partition("=")[0] for word in words if word.startswith("-")]
        if not flags:
            return f"Not understood: {' '.join(words)}. Nothing was done."
        near = similar(flags[0], self._option_string_actions)
        return f"There is no option {flags[0]}.{offer(near)} Nothing was done."

    def has_option(self, word: str) -> bool:
        """Whether it is one of the options here, or the beginning of one."""
        return any(one.startswith(word.partition("=")[0]) for one in self._option_string_actions)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        what, known = (action.metavar or action.dest), [str(one) for one in action.choices]
        offered = offer(self._nearest(value, known)) or f" Known: {', '.join(known)}."
        raise argparse.ArgumentError(None, f"There is no {what} {value!r}.{offered} Nothing was done.")

    def _nearest(self, word: str, known: Sequence[str]) -> list[str]:
        if word in self.elsewhere:
            return [self.elsewhere[word]]
        return similar(word, known) or [self.elsewhere[one] for one in similar(word, self.elsewhere)]

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(self.refused_with, f"{self.prog}: error: {message}\n")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        if message:
            err(message, end="")
        sys.exit(status)


def _write(stream: TextIO, text: str) -> None:
    """A character that the terminal's encoding lacks is written as its code point."""
    encoding = stream.encoding or "ascii"
    stream.write(shown(text).encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()
