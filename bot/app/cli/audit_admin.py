"""`vakhta audit rotate`, `restored` and `prune`: administration of the audit log. All of them write.

The promise of `prune`: nothing leaves the database that was not verified, is not in a file that was read back, and is
not recorded, sealed and signed as pruned. Where it ends in between nothing is lost, and running it again goes on.
"""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING

from bot.audit.custody import Prunable
from bot.audit.verify import export as exporting
from bot.audit.verify import open_log
from bot.audit.verify.export import ExportedLog
from bot.audit.verify.log_reader import LogRange, LogReader, UnreadableLog
from bot.audit.verify.merkle import MerkleTree
from bot.audit.verify.outside_anchors import ExternalAnchors, external_anchors
from bot.audit.verify.pruned_log import root_behind
from bot.audit.verify.report import VerificationReport
from bot.config.settings import Settings, read_settings
from bot.core.errors import Rejected
from bot.lib import logs, terminal

if TYPE_CHECKING:
    from bot.store.engine import Store

#: Adds one verb: its name, what it says of itself, and what does it.
Add = Callable[[str, str, Callable[[argparse.Namespace], int]], argparse.ArgumentParser]


def add_custody_commands(add: Add) -> None:
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


#: Looks at the whole log, with the keys and anchors that were given.
Inspected = Callable[[argparse.Namespace], VerificationReport]

_CHUNK = 1 << 20


def add_prune_command(add: Add, inspected: Inspected) -> argparse.ArgumentParser:
    """Returns its parser, which wants what `inspected` does."""
    says = "Move what is older than audit.keep_days into a file, once all of the log was verified."
    prune = add("prune", says, lambda given: _prune(given, inspected))
    prune.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where the file is put; not beside it")
    prune.set_defaults(source=None)
    return prune


def _prune(given: argparse.Namespace, inspected: Inspected) -> int:
    report = inspected(given)
    if report.exit_code:
        terminal.out(report.text_lines(), end="")
        terminal.out("Nothing was pruned: first this has to be explained.")
        return report.exit_code
    with opened_store(given) as (settings, store):
        signer = parts().build_signer(settings, store)
        if signer is None:
            raise Rejected("Nothing was pruned: it must be signed, and audit.key does not name a key. Set it.")
        custody = _custody()
        part = custody.prune_point(store, timedelta(days=settings.audit.keep_days))
        with open_log.open_log(settings.store.url.get_secret_value()) as evidence:
            file, digest = _kept(evidence, part, given.to)
        custody.prune(store, signer, part, custody.PrunedFile(file=file.name, sha256=digest))
    terminal.out(f"Entries {part.first} to {part.size - 1} are in {file} now, and no longer in the database.")
    terminal.out(f"sha256 {digest}")
    terminal.out(
        "The log says so from now on, and so does `vakhta audit verify`. Put the file where nobody can change it."
    )
    return 0


def _kept(log: LogReader, part: Prunable, folder: Path) -> tuple[Path, str]:
    """The part in a file of that folder, read back; and its sha256. A file of that name that is there is left alone."""
    if not folder.is_dir():
        raise Rejected(f"Nothing was pruned: {folder} is no folder. Make it, or mount what it should be.")
    path = folder / f"audit-{part.first:012}-{part.size:012}.jsonl"
    draft = path.with_suffix(".part")
    try:
        with _draft(draft) as file:
            exporting.write_export(log, LogRange(end=part.size), file)
        _read_back(draft, log, part)
        digest = _sha256(draft)
        if not path.exists():
            draft.rename(path)
            _sync(folder)
        elif _sha256(path) != digest:
            raise Rejected(f"Nothing was pruned: {path} is there already, and is another one. Name another folder.")
    except OSError as error:
        raise Rejected(f"Nothing was pruned: {path} was not written ({error.strerror}). Name another folder.") from None
    finally:
        draft.unlink(missing_ok=True)
    return path, digest


def _read_back(draft: Path, log: LogReader, part: Prunable) -> None:
    """Whether what is in the file, and nothing else, makes the root that was signed."""
    before = next((one.frontier for one in log.checkpoints() if one.size == part.first), b"")
    tree = MerkleTree.of(part.first, before)
    with ExportedLog(draft) as export:
        if tree is None or root_behind(tree, export.sealed()) != (part.size, part.root):
            raise UnreadableLog("what was exported is not what was signed, so it was altered since it was verified")


@contextmanager
def _draft(path: Path) -> Iterator[IO[bytes]]:
    """On the disk when it ends, for its owner alone."""
    with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _sha256(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
