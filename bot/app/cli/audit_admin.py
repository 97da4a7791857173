"""`vakhta audit rotate`, `restored` and `prune`: administration of the audit log. All of them write.

The promise of `prune`: an entry is deleted from the database only after it was verified, written to a file, read back
from there, and recorded as pruned by a sealed and signed entry. If it is interrupted, nothing is lost, and running it
again continues.
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
    from bot.audit.custody import Prunable
    from bot.store.engine import Store

#: Adds one verb: (name, help, function).
Add = Callable[[str, str, Callable[[argparse.Namespace], int]], argparse.ArgumentParser]


def add_custody_commands(add: Add) -> None:
    """Add the verbs `rotate` and `restored`."""
    add("rotate", "Hand over from audit.previous_key to audit.key; both sign.", _rotate)
    restored = add(
        "restored", "Record that a copy of the database was restored, and which entries are lost.", _restored
    )
    restored.add_argument("--because", required=True, metavar="WORDS", help="the reason, for those who verify the log")
    restored.add_argument(
        "--anchors", type=Path, action="append", default=[], metavar="PATH", help="a file or folder of anchors"
    )


def _rotate(given: argparse.Namespace) -> int:
    with opened_store(given) as (settings, store):
        old, new = parts().build_previous_signer(settings), parts().build_signer(settings, store)
        if old is None:
            raise Rejected("No key was handed over: audit.previous_key is not set. Set it to the key that signs now.")
        if new is None:
            raise Rejected("No key was handed over: audit.key is not set. Set it to the new key.")
        made = _custody().rotate(store, old, new)
    terminal.out(f"From {made.tree.size} entries on, checkpoints are signed by {new.verifier_key}.")
    terminal.out(f"{old.key_id} has signed the handover, and signs no more.")
    terminal.out("Write the new key down where you verify, and remove audit.previous_key from the settings.")
    return 0


def _restored(given: argparse.Namespace) -> int:
    with opened_store(given) as (settings, store):
        outside = seen_outside(given.anchors, settings)
        if not outside.anchors:
            message = "; ".join(outside.problem) or "none is named"
            raise Rejected(
                f"Nothing was written: only an anchor shows what is lost, and there is none ({message}). Use --anchors."
            )
        signer = parts().build_signer(settings, store)
        if signer is None:
            raise Rejected("Nothing was written: the record must be signed, and audit.key is not set. Set it.")
        lost = _custody().record_restore(
            store, signer, [(one.size, one.root) for one in outside.anchors], given.because
        )
    terminal.out(f"Of {lost.size} anchored entries, all after the first {lost.kept} are lost.")
    terminal.out("The log records this, and vakhta audit verify reports it. Start all processes of the bot.")
    return 0


def seen_outside(named: Sequence[Path], settings: Settings | None) -> ExternalAnchors:
    """The anchors in the files that were named, else those of the settings that can be read from here.

    Raises:
        UnreadableLog: a file that was named cannot be read.
    """
    if settings is None:
        return external_anchors(named, None, ())
    section = settings.audit.anchors
    others = [name for name, one in (("audit.anchors.s3", section.s3), ("audit.anchors.chat", section.chat)) if one]
    return external_anchors(named, section.file, others)


@contextmanager
def opened_store(given: argparse.Namespace) -> Iterator[tuple[Settings, Store]]:
    """The settings and their store, open within the block. Raises `Rejected` where the database fails."""
    settings, _ = read_settings(given.config, os.environ)
    logs.start(confidential=settings.confidential)
    store: Store = importlib.import_module("bot.app.existing_store").open_existing(settings, given.config)
    unavailable: type[Exception] = importlib.import_module("bot.store.engine").Unavailable
    try:
        yield settings, store
    except UnreadableLog as reason:
        raise Rejected(f"Nothing was written: {reason}.") from None
    except unavailable as trouble:
        raise Rejected(
            f"The database failed: {trouble}. Check the log with vakhta audit verify, and try again."
        ) from None
    finally:
        store.close()


def parts() -> ModuleType:
    """Loaded only where it is needed: it takes longer than everything else."""
    return importlib.import_module("bot.app.build")


def _custody() -> ModuleType:
    return importlib.import_module("bot.audit.custody")


#: Verifies the whole log with the keys and anchors of the command line.
VerifyAll = Callable[[argparse.Namespace], VerificationReport]

_CHUNK = 1 << 20


def add_prune_command(add: Add, verify_all: VerifyAll) -> argparse.ArgumentParser:
    """Returns its parser, to which the caller adds the options that `verify_all` needs."""
    says = "Verify the whole log, then move the entries that are older than audit.keep_days into a file."
    prune = add("prune", says, lambda given: _prune(given, verify_all))
    prune.add_argument(
        "--to", type=Path, required=True, metavar="FOLDER", help="the folder for the file; not beside the database"
    )
    prune.set_defaults(source=None)
    return prune


def _prune(given: argparse.Namespace, verify_all: VerifyAll) -> int:
    report = verify_all(given)
    if report.exit_code:
        terminal.out(report.text_lines(), end="")
        terminal.out("Nothing was pruned: the log has faults. Find out why first (docs/audit.md).")
        return report.exit_code
    with opened_store(given) as (settings, store):
        signer = parts().build_signer(settings, store)
        if signer is None:
            raise Rejected("Nothing was pruned: the record must be signed, and audit.key is not set. Set it.")
        custody = _custody()
        part = custody.prune_point(store, timedelta(days=settings.audit.keep_days))
        with open_log.open_log(settings.store.url.get_secret_value()) as log:
            file, digest = _kept(log, part, given.to)
        custody.prune(store, signer, part, custody.PrunedFile(file=file.name, sha256=digest))
    terminal.out(f"Entries {part.first} to {part.size - 1} are in {file} now, and no longer in the database.")
    terminal.out(f"sha256 {digest}")
    terminal.out("The log records this, and vakhta audit verify reports it. Move the file where nobody can change it.")
    return 0


def _kept(log: LogReader, part: Prunable, folder: Path) -> tuple[Path, str]:
    """Write the part to a file in that folder and read it back; returns the file and its sha256.

    An existing file of that name is never overwritten.
    """
    if not folder.is_dir():
        raise Rejected(f"Nothing was pruned: {folder} is not a folder. Create or mount it.")
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
            raise Rejected(f"Nothing was pruned: {path} exists and has other content. Name another folder.")
    except OSError as error:
        raise Rejected(f"Nothing was pruned: {path} was not written ({error.strerror}). Name another folder.") from None
    finally:
        draft.unlink(missing_ok=True)
    return path, digest


def _read_back(draft: Path, log: LogReader, part: Prunable) -> None:
    """Check that the entries in the file have exactly the root that was signed. Raises `UnreadableLog`."""
    before = next((one.frontier for one in log.checkpoints() if one.size == part.first), b"")
    tree = MerkleTree.of(part.first, before)
    with ExportedLog(draft) as export:
        if tree is None or root_behind(tree, export.sealed()) != (part.size, part.root):
            raise UnreadableLog("the exported entries are not those that were signed: they were altered meanwhile")


@contextmanager
def _draft(path: Path) -> Iterator[IO[bytes]]:
    """A file that only its owner can read; it is synced to the disk at the end."""
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
