"""`vakhta audit rotate` and `restored`: what a person does to the audit log, beside looking at it."""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from bot.audit.verify.log_reader import UnreadableLog
from bot.audit.verify.outside_anchors import ExternalAnchors, external_anchors
from bot.config.settings import Settings, read_settings
from bot.core.errors import Rejected
from bot.lib import logs, terminal

if TYPE_CHECKING:
    from bot.store.engine import Store

#: Adds one verb: its name, what it says of itself, and what does it.
Add = Callable[[str, str, Callable[[argparse.Namespace], int]], argparse.ArgumentParser]


def add_to(add: Add) -> None:
    """The verbs that write."""
    add("rotate", "Hand over from audit.previous_key to audit.key: both sign.", _rotate)
    restored = add("restored", "Say that a copy was put back, and what is lost with it.", _restored)
    restored.add_argument("--because", required=True, metavar="WORDS", help="why, for whoever verifies")
    restored.add_argument(
        "--anchors", type=Path, action="append", default=[], metavar="PATH", help="what was seen outside"
    )


def _rotate(given: argparse.Namespace) -> int:
    with opened_store(given) as (settings, store):
        old, new = parts().build_previous_signer(settings), parts().build_signer(settings, store)
        if old is None:
            raise Rejected("No key was handed over: audit.previous_key does not name the one that signs now. Set it.")
        if new is None:
            raise Rejected("No key was handed over: audit.key does not name the new one. Set it.")
        made = _custody().rotate(store, old, new)
    terminal.out(f"From {made.tree.size} entries on, checkpoints are signed by {new.verifier_key}.")
    terminal.out(f"{old.key_id} has vouched for it, and signs no more.")
    terminal.out("Write the new key down where you verify, and take audit.previous_key out of the settings.")
    return 0


def _restored(given: argparse.Namespace) -> int:
    with opened_store(given) as (settings, store):
        outside = seen_outside(given.anchors, settings)
        if not outside.anchors:
            message = "; ".join(outside.problem) or "none is named"
            raise Rejected(
                f"Nothing was written: without an anchor nobody knows what is lost ({message}). Use --anchors."
            )
        signer = parts().build_signer(settings, store)
        if signer is None:
            raise Rejected("Nothing was written: it must be signed, and audit.key does not name a key. Set it.")
        lost = _custody().record_restore(
            store, signer, [(one.size, one.root) for one in outside.anchors], given.because
        )
    terminal.out(f"Of {lost.size} entries that had been anchored, those behind the first {lost.kept} are lost.")
    terminal.out("The log says so from now on, and so does `vakhta audit verify`. Start the bot, all of its processes.")
    return 0


def seen_outside(named: Sequence[Path], settings: Settings | None) -> ExternalAnchors:
    """What was named, else what the settings put outside and can be read from here.

    Raises:
        Unreadable: something that was named cannot be read.
    """
    if settings is None:
        return external_anchors(named, None, ())
    section = settings.audit.anchors
    others = [name for name, one in (("audit.anchors.s3", section.s3), ("audit.anchors.chat", section.chat)) if one]
    return external_anchors(named, section.file, others)


@contextmanager
def opened_store(given: argparse.Namespace) -> Iterator[tuple[Settings, Store]]:
    """Open while something is done. Raises `Rejected` where the database does not take it."""
    settings, _ = read_settings(given.config, os.environ)
    logs.start(confidential=settings.confidential)
    store: Store = parts().open_store(settings)
    unavailable: type[Exception] = importlib.import_module("bot.store.engine").Unavailable
    try:
        yield settings, store
    except UnreadableLog as why:
        raise Rejected(f"Nothing was written: {why}.") from None
    except unavailable as trouble:
        raise Rejected(
            f"The database did not take it: {trouble}. Look with `vakhta audit verify`, and try again."
        ) from None
    finally:
        store.close()


def parts() -> ModuleType:
    """Loaded by what needs it: it takes longer than all the rest."""
    return importlib.import_module("bot.app.build")


def _custody() -> ModuleType:
    return importlib.import_module("bot.audit.custody")
