"""One folder for each outside system: `source` (alerts in), `channel` (chat or pager), `client` (its API), `settings`.

Channels and sources are found by being there; no list is edited. Channels are found without being imported, because
each pulls in its platform's whole SDK: only those that the settings name are loaded.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

from bot.core.source import Source


def channel_names() -> list[str]:
    """The names of all channels, sorted; a channel's name is its folder's name."""
    return _with("channel")


def load_channel(name: str) -> ModuleType:
    """Import one channel's module, and with it its SDK.

    Raises:
        LookupError: there is no such channel; the text names those there are.
    """
    if name not in channel_names():
        raise LookupError(f"There is no channel {name!r}. Known are: {', '.join(channel_names())}.")
    return import_module(f"{__name__}.{name}.channel")


def find_sources() -> dict[str, type[Source]]:
    """Every source by its name: the class in `source.py` whose `name` is the folder's name."""
    found: dict[str, type[Source]] = {}
    for name in _with("source"):
        for thing in vars(import_module(f"{__name__}.{name}.source")).values():
            if isinstance(thing, type) and vars(thing).get("name") == name:
                found[name] = thing
    return found


def _with(part: str) -> list[str]:
    """The folders that have a module of that name."""
    folders = (Path(folder) for folder in __path__)
    return sorted(
        found.name
        for folder in folders
        for found in iter_modules([str(folder)])
        if found.ispkg and (folder / found.name / f"{part}.py").is_file()
    )
