"""Alert sources: one file reads one kind of sender, and is found by being here."""

from __future__ import annotations

import importlib
import pkgutil

from bot.core.source import Source


def find_sources() -> dict[str, type[Source]]:
    """Every source by its name: the class whose `name` is the name of its module.

    A module without such a class is shared ground between sources, not a source.
    """
    found: dict[str, type[Source]] = {}
    for module_name in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        module = importlib.import_module(f"{__name__}.{module_name}")
        for thing in vars(module).values():
            if isinstance(thing, type) and vars(thing).get("name") == module_name:
                found[module_name] = thing
    return found
