"""One folder for each outside system: `source` (alerts in), `channel` (chat or pager), `client` (its API), `settings`.

A channel or a source is found because its file exists; there is no list to edit. Channels are found without being
imported, because each imports its platform's whole SDK: only those that the settings name are loaded.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

from bot.core.live_check import LiveCheck
from bot.core.source import Source


def channel_names() -> list[str]:
    """The names of all channels, sorted; a channel's name is its folder's name."""
    return _folders_with("channel")


def load_channel(name: str) -> ModuleType:
    """Import one channel's module, and with it its SDK.

    Raises:
        LookupError: there is no such channel; the text names the existing ones.
    """
    if name not in channel_names():
        raise LookupError(f"There is no channel {name!r}. Known are: {', '.join(channel_names())}.")
    return import_module(f"{__name__}.{name}.channel")


def load_unloaded(name: str) -> ModuleType | None:
    """Import what stands in for a channel without its SDK; None for a channel that has no SDK, and so needs none."""
    return import_module(f"{__name__}.{name}.unloaded") if name in _folders_with("unloaded") else None


def find_sources() -> dict[str, type[Source]]:
    """Every source by its name: the class in `source.py` whose `name` is the folder's name."""
    found: dict[str, type[Source]] = {}
    for name in _folders_with("source"):
        for thing in vars(import_module(f"{__name__}.{name}.source")).values():
            if isinstance(thing, type) and vars(thing).get("name") == name:
                found[name] = thing
    return found


def load_live_check(section: type[object]) -> LiveCheck | None:
    """The live check of that section's class, loaded with its SDK; None for a section without one.

    It is in `live_check.py` beside the section's `settings.py`: the class whose `section` it is.
    """
    folder, _, part = section.__module__.rpartition(".")
    if part != "settings" or folder not in {f"{__name__}.{name}" for name in _folders_with("live_check")}:
        return None
    for thing in vars(import_module(f"{folder}.live_check")).values():
        if isinstance(thing, type) and vars(thing).get("section") is section:
            made: LiveCheck = thing()
            return made
    return None


def _folders_with(part: str) -> list[str]:
    """The names of the folders that have a module `part`, sorted."""
    folders = (Path(folder) for folder in __path__)
    return sorted(
        found.name
        for folder in folders
        for found in iter_modules([str(folder)])
        if found.ispkg and (folder / found.name / f"{part}.py").is_file()
    )
