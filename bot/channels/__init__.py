"""Every chat and pager, one module each; a new one is a new file here and no list to edit.

The names are found without importing anything, because each module pulls in its platform's whole SDK: only what the
settings name is loaded. A name with an underscore is a part of a channel and not one itself: `slack_words` is Slack's.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType


def channel_names() -> list[str]:
    """The names of all channels, sorted; a channel's name is its file's name."""
    return sorted(found.name for found in iter_modules(__path__) if "_" not in found.name)


def load_channel(name: str) -> ModuleType:
    """Import one channel's module, and with it its SDK.

    Raises:
        LookupError: there is no such channel; the text names those there are.
    """
    if name not in channel_names():
        raise LookupError(f"There is no channel {name!r}. Known are: {', '.join(channel_names())}.")
    return import_module(f"{__name__}.{name}")
