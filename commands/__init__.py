"""Every command and action: one file for each verb, found without a list to edit."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from types import ModuleType
from typing import Any

from bot.core.action import Action
from bot.core.command import Command


def find() -> dict[str, Command[Any]]:
    """Verb -> command, from each module here that has a `command`."""
    commands: list[Command[Any]] = [module.command for module in _modules() if hasattr(module, "command")]
    return {command.verb: command for command in sorted(commands, key=lambda one: one.verb)}


def actions() -> dict[str, Action[Any]]:
    """Verb -> action, from each module here that has an `action`.

    Raises:
        TypeError: an action lacks an attribute or method that the dispatcher needs.
    """
    found: list[Action[Any]] = [whole(module.action) for module in _modules() if hasattr(module, "action")]
    return {action.verb: action for action in sorted(found, key=lambda one: one.verb)}


def whole(action: Action[Any]) -> Action[Any]:
    """The action itself, if it has everything that the dispatcher needs.

    Raises:
        TypeError: it does not; the message names what is missing.
    """
    lacking = [name for name in ("target", "plan", "run", "probe") if not callable(getattr(action, name, None))]
    lacking += [name for name in ("read_only", "long_running") if not hasattr(action, name)]
    declared = ("verb", "usage", "summary", "manual", "args", "risk", "limits")
    lacking += [name for name in declared if not getattr(action, name, None)]
    if lacking:
        raise TypeError(f"{type(action).__name__} is not an action: it has no {', '.join(lacking)}")
    return action


def _modules() -> list[ModuleType]:
    return [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
