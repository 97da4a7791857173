"""Every command of the house: one file, one verb, found without a list to edit."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from bot.ports import Command


def find() -> dict[str, Command]:
    """Verb -> command, from each module here that has a `command`."""
    modules = (import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    commands: list[Command] = [module.command for module in modules]
    return {command.verb: command for command in sorted(commands, key=lambda one: one.verb)}
