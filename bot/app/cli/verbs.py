"""The verbs of chat commands, by the names of their files: importing them all would take longer than `vakhta check`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def chat_verbs() -> list[str]:
    """Sorted. A test compares them with the commands themselves."""
    found = find_spec("commands")
    folders = found.submodule_search_locations if found is not None else None
    files = [file for folder in folders or () for file in Path(folder).glob("[a-z]*.py")]
    return sorted(file.stem.replace("_", "-") for file in files)
