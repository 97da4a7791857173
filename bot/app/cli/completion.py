"""`vakhta completion bash|zsh|fish`: the script by which that shell completes commands, options, files and verbs.

The script is made of the parser itself, so it knows what the parser knows; it is static, so a press of Tab starts no
program. It completes any verb of a chat, whoever may use it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from bot.app.cli.verbs import chat_verbs
from bot.lib import terminal


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for the shell. The parser cannot be used for anything else afterwards."""
    shtab = import_module("shtab")
    for action in _actions(parser):
        _describe(action, shtab)
    written: str = shtab.complete(parser, shell=shell)
    return written


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Of the parser and of all its commands."""
    if isinstance(parser, terminal.Parser):
        parser.complete()
    for action in parser._actions:  # noqa: SLF001 - argparse has no other list of them
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - its only name
            for one in action.choices.values():
                yield from _actions(one)


def _describe(action: Any, shtab: Any) -> None:
    """Say what completes it, as shtab reads it."""
    if action.type is Path:
        action.complete = shtab.DIRECTORY if action.metavar == "FOLDER" else shtab.FILE
    elif action.dest == "words":
        action.choices = chat_verbs()
