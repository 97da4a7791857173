"""`vakhta audit verify` and `vakhta audit export`: read the audit log independently of the bot.

The exit codes of `verify` are a promise (docs/audit.md), and 2 means altered: so a wrong command line ends with 1 here,
and not with argparse's 2.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import IO

from bot.app.cli import audit_admin
from bot.audit.verify import export as exporting
from bot.audit.verify import open_log
from bot.audit.verify.log_reader import LogRange, LogReader, UnreadableLog
from bot.audit.verify.outside_anchors import check_anchors
from bot.audit.verify.parallel import WorkerPool
from bot.audit.verify.report import VerificationReport
from bot.audit.verify.signed_note import MalformedNote, VerifierKey, key_of
from bot.audit.verify.verifier import verify_log
from bot.config.settings import Settings, read_settings
from bot.core.errors import Rejected
from bot.lib import terminal

_REFUSED = 1
#: With more processes, the work of the one process that joins their results takes the time.
_MOST_PROCESSES = 8
_KEY_FILE = "vakhta-audit.key"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Parser(terminal.Parser):
    refused_with = _REFUSED


def add_to(audit: terminal.Parser, where: argparse.ArgumentParser) -> None:
    """Add the verbs of the command `audit`. `where` has the option that names the settings."""
    audit.refused_with = _REFUSED
    verbs = audit.add_subparsers(metavar="VERB", required=True, parser_class=_Parser)
    mine = _Parser(add_help=False, parents=[where])
    _add_verify(verbs, mine)
    _add_export(verbs, mine)

    def add(name: str, says: str, command: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        verb = verbs.add_parser(name, help=says, description=says, parents=[mine])
        verb.set_defaults(command=command, parser=verb)
        return verb

    audit_admin.add_custody_commands(add)
    _add_verify_options(audit_admin.add_prune_command(add, _verified))


def _add_verify(verbs: argparse._SubParsersAction[_Parser], where: _Parser) -> None:
    says = (
        "Verify the log: find entries that were altered, deleted, cut off, signed by another key, or left unfinished."
    )
    verify = verbs.add_parser("verify", help=says, description=says, parents=[where])
    verify.add_argument(
        "--from", dest="source", type=Path, metavar="EXPORT", help="an export or a copy of the database"
    )
    _add_verify_options(verify)
    verify.add_argument("--json", action="store_true", help="print one JSON object")
    verify.set_defaults(command=_verify, parser=verify)


def _add_verify_options(verb: argparse.ArgumentParser) -> None:
    """The options for anchors and keys."""
    verb.add_argument(
        "--anchors",
        type=Path,
        action="append",
        default=[],
        metavar="PATH",
        help="a file or folder of anchors: lines SIZE ROOT, or signed checkpoints",
    )
    verb.add_argument(
        "--public-key",
        action="append",
        default=[],
        metavar="VKEY",
        help="trust the verifier key NAME+HASH+KEY, and no key of the settings",
    )


def _add_export(verbs: argparse._SubParsersAction[_Parser], where: _Parser) -> None:
    says = "Write the log as JSON lines."
    export = verbs.add_parser("export", help=says, description=says, parents=[where])
    export.add_argument("--since", type=_time, metavar="T", help="entries from then on, such as 2026-11-23T12:00Z")
    export.add_argument("--until", type=_time, metavar="T", help="entries before then")
    export.add_argument("--incident", type=int, metavar="N", help="entries about that incident")
    export.add_argument("--to", type=Path, metavar="FILE", help="write to this file instead of stdout")
    export.set_defaults(command=_export, parser=export)


def _verify(given: argparse.Namespace) -> int:
    report = _verified(given)
    terminal.out(report.json() if given.json else report.text_lines(), end="")
    return report.exit_code


def _verified(given: argparse.Namespace) -> VerificationReport:
    alone = given.source is not None and given.public_key
    settings = None if alone else read_settings(given.config, os.environ)[0]
    keys = [_pinned(text) for text in given.public_key] if settings is None or given.public_key else _held(settings)
    with _log(given, settings) as log:
        outside = audit_admin.seen_outside(given.anchors, settings)
        pool = WorkerPool(processes=min(_MOST_PROCESSES, len(os.sched_getaffinity(0))))
        report = verify_log(log, keys=keys, verify=_signing().signed_by, anchors=outside.anchors, pool=pool)
        check_anchors(outside, log, report, datetime.now(UTC))
    report.pinned = bool(given.public_key)
    return report


def _export(given: argparse.Namespace) -> int:
    part = LogRange(since=given.since, until=given.until, incident=given.incident)
    with _log(given, read_settings(given.config, os.environ)[0]) as log, _written_to(given.to) as to:
        count = exporting.write_export(log, part, to)
    terminal.err(f"{count} entries written{f' to {given.to}' if given.to else ''}.")
    return 0


@contextmanager
def _log(given: argparse.Namespace, settings: Settings | None) -> Iterator[LogReader]:
    """The log that the command line names. Raises `Rejected` where it cannot be read."""
    source: Path | None = getattr(given, "source", None)
    try:
        if source is not None or settings is None:
            opened = open_log.check_exists(source or Path())
        else:
            opened = open_log.open_log(settings.store.url.get_secret_value())
        with opened as log:
            yield log
    except UnreadableLog as reason:
        raise Rejected(
            f"The audit log was not read: {reason}. Name a readable database or export of this version."
        ) from None


def _pinned(text: str) -> VerifierKey:
    try:
        return key_of(text)
    except MalformedNote as reason:
        raise Rejected(f"The audit log was not verified: {text!r} {reason}. Correct --public-key.") from None


def _held(settings: Settings) -> list[VerifierKey]:
    """The keys that the settings trust, and the one that the bot signs with, if this machine has it."""
    section = settings.audit
    keys = [key_of(text) for text in section.public_keys]
    seed = section.key.get_secret_value() if section.key is not None else _beside(settings.store.url.get_secret_value())
    if seed:
        keys.append(VerifierKey(name=section.origin, public=_public_of(seed)))
    return keys


def _public_of(seed: str) -> bytes:
    signing = _signing()
    try:
        public: bytes = signing.public_key(signing.seed_of(seed))
    except ValueError as bad_key:
        raise Rejected(str(bad_key)) from None
    return public


def _beside(url: str) -> str:
    """The content of the key file beside a SQLite database, "" where there is none. No file is created here."""
    if not url.startswith(open_log.SQLITE_URL):
        return ""
    path = open_log.sqlite_path(url).with_name(_KEY_FILE)
    try:
        return path.read_text(encoding="ascii") if path.exists() else ""
    except (OSError, ValueError) as error:
        raise Rejected(f"The key file {path} cannot be read ({error}). Name the key with --public-key.") from None


@contextmanager
def _written_to(path: Path | None) -> Iterator[IO[bytes]]:
    """Stdout, or a file that only its owner can read and that exists only once it is complete."""
    if path is None:
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the rest must not be written at exit
            raise Rejected("The export is not complete: the program that read it has stopped.") from None
        return
    part = path.with_name(f"{path.name}.part")
    try:
        with open(part, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise Rejected(f"{path} was not written: {error.strerror}. Name another place with --to.") from None
    finally:
        part.unlink(missing_ok=True)


def _time(text: str) -> int:
    """Microseconds since 1970; a time without a zone is UTC."""
    at = datetime.fromisoformat(text)
    return (at.replace(tzinfo=at.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1)


def _signing() -> ModuleType:
    """Loaded only where a key is needed: it takes as long as everything else together."""
    return importlib.import_module("bot.lib.crypto")
