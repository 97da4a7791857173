"""`vakhta audit prune`: the oldest part of the log goes into a file, and then out of the database.

The promise: nothing is taken out that was not found as it was written, is not in a file that was read back, and is not
said, sealed and signed to go. Where it ends in between, nothing is lost, and doing it again goes on.
"""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING

from bot.app.cli import custody as custody_cli
from bot.audit.verify import export as exporting
from bot.audit.verify import open_log
from bot.audit.verify.export import ExportedLog
from bot.audit.verify.log_reader import LogRange, LogReader, UnreadableLog
from bot.audit.verify.merkle import MerkleTree
from bot.audit.verify.pruned_log import root_behind
from bot.audit.verify.report import VerificationReport
from bot.core.errors import Rejected
from bot.lib import terminal

if TYPE_CHECKING:
    from bot.audit.custody import Prunable

#: Looks at the whole log, with the keys and anchors that were given.
Inspected = Callable[[argparse.Namespace], VerificationReport]

_CHUNK = 1 << 20


def add_to(add: custody_cli.Add, inspected: Inspected) -> argparse.ArgumentParser:
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
    with custody_cli.opened_store(given) as (settings, store):
        signer = custody_cli.parts().build_signer(settings, store)
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


def _custody() -> ModuleType:
    """Loaded by what needs it: it takes longer than all the rest."""
    return importlib.import_module("bot.audit.custody")
