"""`vakhta audit rotate`: what a person does to the audit log, beside looking at it."""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING

from bot import logs
from bot.ports import Rejected
from bot.settings import Settings, read

if TYPE_CHECKING:
    from bot.store.engine import Store

#: Adds one verb: its name, what it says of itself, and what does it.
Add = Callable[[str, str, Callable[[argparse.Namespace], int]], argparse.ArgumentParser]


def add_to(add: Add) -> None:
    """The verbs that write."""
    add("rotate", "Hand over from audit.previous_key to audit.key: both sign.", _rotate)


def _rotate(given: argparse.Namespace) -> int:
    with _store(given) as (settings, store):
        parts = _parts()
        old, new = parts.previous_signer_of(settings), parts.signer_of(settings, store)
        if old is None:
            raise Rejected("No key was handed over: audit.previous_key does not name the one that signs now. Set it.")
        if new is None:
            raise Rejected("No key was handed over: audit.key does not name the new one. Set it.")
        made = _custody().rotate(store, old, new)
    print(f"From {made.tree.size} entries on, checkpoints are signed by {new.verifier_key}.")
    print(f"{old.key_id} has vouched for it, and signs no more.")
    print("Write the new key down where you verify, and take audit.previous_key out of the settings.")
    return 0


@contextmanager
def _store(given: argparse.Namespace) -> Iterator[tuple[Settings, Store]]:
    """Open while something is done. Raises `Rejected` where the database does not take it."""
    settings, _ = read(given.config, os.environ)
    logs.start(confidential=settings.confidential)
    store: Store = _parts().open_store(settings)
    unavailable: type[Exception] = importlib.import_module("bot.store.engine").Unavailable
    try:
        yield settings, store
    except unavailable as trouble:
        raise Rejected(
            f"The database did not take it: {trouble}. Look with `vakhta audit verify`, and try again."
        ) from None
    finally:
        store.close()


def _parts() -> ModuleType:
    """Loaded by what needs it: it takes longer than all the rest."""
    return importlib.import_module("bot.from_settings")


def _custody() -> ModuleType:
    return importlib.import_module("bot.custody")
