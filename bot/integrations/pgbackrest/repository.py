"""pgBackRest's program: what it is called with, what it says, and what its refusals mean.

The traps: `verify` of 2.45 ends with 0 though files are damaged, so nothing here rests on it; and hints of pgBackRest
and PostgreSQL tell how to make a corrupt cluster start (delete backup_label, remove postmaster.pid). No hint is shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from bot.core.errors import OutcomeUnknown, Rejected
from bot.core.programs import Ended, Program, Programs
from bot.integrations.pgbackrest.info import Stanza, damaged_files, stanza_of
from bot.integrations.pgbackrest.settings import PgBackRestSettings
from bot.integrations.pgbackrest.wal import WalArchive, archive_of, history_files
from bot.lib.text import spell_duration

_READ_LIMIT = timedelta(minutes=5)
#: A restore or a backup that takes longer than this is ended.
LONGEST = timedelta(hours=48)
#: A line of a listing is some 120 bytes: 500,000 segments, 8 TB of WAL.
_LISTING = 64 * 1024 * 1024
#: A manifest is some 250 bytes a file; a larger one is not compared.
MANIFEST_LIMIT = 64 * 1024 * 1024
_ERROR = re.compile(r"ERROR: \[(\d+)\]: (.*)")
#: The annotation of a backup that was asked for; its value is the run's id.
RUN_ANNOTATION = "vakhta-run"

#: Codes of pgBackRest's errors, from build/error.yaml, with what to do.
_CURES = {
    27: "Correct its configuration.",
    29: "A file of the repository is damaged: restore from another backup.",
    31: "The program is too old for this; version 2.41 or newer is needed.",
    50: "Another pgBackRest works on this stanza; wait until it has ended.",
    55: "A file of the repository is missing: restore from another backup.",
    56: "PostgreSQL does not answer pgBackRest; check that it runs.",
    82: "WAL does not reach the archive; check archive_command and the space of the repository.",
}


class Repository:
    """One stanza in one repository. Every call may raise `Rejected`: what failed, and what to do."""

    def __init__(self, where: PgBackRestSettings, programs: Programs) -> None:
        self._where = where
        self._programs = programs

    def stanza(self) -> Stanza:
        return stanza_of(self._read("info", "--output=json"), self._where.stanza, self._where.repo)

    def damaged_files(self, label: str) -> int | None:
        """How many files of that backup have pages with wrong checksums; None when it is not said."""
        return damaged_files(self._read("info", f"--set={label}", "--output=json"), self._where.stanza)

    def archive(self, archive_id: str, *, segment_size: int | None) -> WalArchive:
        """Every segment that is archived, by listing the repository."""
        if not archive_id:
            return WalArchive()
        place = f"archive/{self._where.stanza}/{archive_id}"
        files = {path: _moment(facts.get("time")) for path, facts in self._list(place, recurse=True).items()}
        histories = {
            timeline: self._read("repo-get", f"{place}/{path}").decode(errors="replace")
            for timeline, path in history_files(files).items()
        }
        return archive_of(files, histories, segment_size=segment_size)

    def folders(self) -> frozenset[str]:
        """The labels of the backups whose folders exist."""
        listed = self._list(f"backup/{self._where.stanza}", recurse=False)
        return frozenset(path for path, facts in listed.items() if facts.get("type") == "path" and path != ".")

    def files(self, label: str) -> Mapping[str, int]:
        """Path -> bytes of all files of that backup's folder."""
        listed = self._list(f"backup/{self._where.stanza}/{label}", recurse=True)
        sizes = {path: facts.get("size") for path, facts in listed.items() if facts.get("type") == "file"}
        return {path: size if isinstance(size, int) else 0 for path, size in sizes.items()}

    def manifest(self, label: str) -> str | None:
        """The text of its manifest; None when it is too large to be compared."""
        place = f"backup/{self._where.stanza}/{label}/backup.manifest"
        try:
            return self._read("repo-get", place, most=MANIFEST_LIMIT).decode(errors="replace")
        except Rejected as refused:
            if refused.code == "too_much_output":
                return None
            raise

    def restore(self, key: str, options: Sequence[str]) -> Program:
        return self._program(key, "restore", options, LONGEST)

    def backup(self, run: str, kind: str) -> Program:
        return self._program(
            f"backup-{run}", "backup", (f"--type={kind}", f"--annotation={RUN_ANNOTATION}={run}"), LONGEST
        )

    def _list(self, place: str, *, recurse: bool) -> Mapping[str, Mapping[str, object]]:
        options = ["--output=json", *(["--recurse"] if recurse else [])]
        output = self._read("repo-ls", *options, place, most=_LISTING)
        try:
            listed = json.loads(output or b"{}")
            return {str(path): dict(facts) for path, facts in listed.items()}
        except (ValueError, AttributeError, TypeError) as error:
            raise Rejected(
                f"pgBackRest's listing of {place} cannot be read ({type(error).__name__}). Nothing was done. Run"
                f" pgbackrest repo-ls {place} by hand.",
                code="unreadable_list",
            ) from None

    def _read(self, command: str, *words: str, most: int = 16 * 1024 * 1024) -> bytes:
        program = self._program(f"pgbackrest-{uuid4().hex}", command, words, _READ_LIMIT, most)
        try:
            ended = self._programs.run(program)
        except OutcomeUnknown:
            raise Rejected(
                f"pgBackRest {command} of stanza {self._where.stanza} did not end within {spell_duration(_READ_LIMIT)}."
                " Nothing was done. Check that the repository answers.",
                code="unreachable",
            ) from None
        if ended.code:
            raise Rejected(
                f"pgBackRest {command} of stanza {self._where.stanza} failed: {explain(ended)} Nothing was done.",
                code="unreachable",
            )
        return ended.stdout

    def _program(
        self, key: str, command: str, words: Iterable[str], limit: timedelta, most: int = 16 * 1024 * 1024
    ) -> Program:
        where = self._where
        named = {"stanza": where.stanza, "log-level-console": "off", "log-level-stderr": "error"}
        if where.config:
            named["config"] = where.config
        named["repo"] = str(where.repo)
        if command != "backup":
            named["log-level-file"] = "off"
        options = [f"--{name}={value}" for name, value in sorted(named.items())]
        flags = [word for word in words if word.startswith("--")]
        places = [word for word in words if not word.startswith("--")]
        argv = [where.program, *options, *flags, command, *places]
        return Program(
            key=key,
            argv=argv,
            environment=environment_of(where),
            secrets=secrets_of(where),
            time_limit=limit,
            output_limit=most,
        )


def environment_of(where: PgBackRestSettings) -> Mapping[str, str]:
    """Options as environment variables: of these, a command ignores what is not its own; of arguments it refuses it."""
    return {_variable(name): value for name, value in where.options.items()}


def secrets_of(where: PgBackRestSettings) -> Mapping[str, str]:
    return {_variable(name): secret.get_secret_value() for name, secret in where.secrets.items()}


def _variable(option: str) -> str:
    return f"PGBACKREST_{option.upper().replace('-', '_')}"


def explain(ended: Ended) -> str:
    """Why it failed, a sentence or two, without hints."""
    found = _ERROR.search(ended.stderr) or _ERROR.search(ended.stdout.decode(errors="replace"))
    if found is None:
        last = (ended.stderr.strip().splitlines() or [""])[-1]
        return f"it ended with {ended.code}{f': {last}' if last else ''}."
    code, message = int(found[1]), found[2].strip().rstrip(".")
    return f"{message} [{code:03d}]. {_CURES.get(code, '')}".strip()


def _moment(seconds: object) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int | float) else None
