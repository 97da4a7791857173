"""What Barman's lists say, judged. Pure: it is given the JSON of list-backups, check and check-backup.

The traps: a backup that waits for its WAL is not consistent, whatever its size; times in the list are text, and absent
of a backup that failed; and `check` fails for what no restore minds, such as too few backups, beside what it does.
With PostgreSQL down, the checks of versions fail as well, and restores are possible all the same.
From barman/output.py and barman/server.py of Barman 3.4 to 3.16.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from bot.core.backup import Backup, Continuity, Inventory, Window
from bot.core.errors import Rejected
from bot.integrations.postgres.primary import PrimaryFacts

_DONE = "DONE"
_PROBLEMS = {
    "WAITING_FOR_WALS": "it waits for WAL that it needs, and is not consistent without it",
    "FAILED": "it failed",
    "EMPTY": "it was begun, and has no data",
    "STARTED": "it is being made",
    "SYNCING": "it is being copied from another Barman",
}
#: Checks of what WAL needs to come in, as they are named in JSON.
_WAL_CHECKS = (
    "archive", "wal", "replication_slot", "receive_wal", "postgresql", "streaming", "is_superuser", "superuser",
    "continuous", "pg_basebackup", "pg_receivexlog",
)  # fmt: skip
#: Checks whose failure prevents no restore. Their facts are judged by the store's own promises.
_HARMLESS = ("backup_maximum_age", "backup_minimum_size", "minimum_redundancy", "failed_backups", "retention_policy")
_ID = "%Y%m%dT%H%M%S"


def backups_of(output: bytes, server: str) -> list[Backup]:
    """The newest first. Raises `Rejected`: it is not what Barman writes."""
    given = _given(output, server, "list-backups")
    try:
        return sorted((_backup(one) for one in given), key=lambda one: one.data_at, reverse=True)
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise _unreadable("list-backups", f"{type(error).__name__}: {error}") from None


def failed_checks(output: bytes, server: str) -> Mapping[str, str]:
    """Name -> hint of those that failed. Raises `Rejected`."""
    given = _given(output, server, "check")
    try:
        if not given:
            raise ValueError("no checks")  # noqa: TRY301 (told as any other answer that is not understood)
        return {name: str(one.get("hint") or "") for name, one in given.items() if one["status"] != "OK"}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable("check", f"{type(error).__name__}: {error}") from None


def without_wal(backup: Backup, why: str) -> Backup:
    """That check-backup has refused."""
    return replace(backup, problem=f"WAL that it needs is not complete: {why}")


def judge(backups: Sequence[Backup], failed: Mapping[str, str], primary: PrimaryFacts | None) -> Inventory:
    wal = {name: hint for name, hint in failed.items() if name.startswith(_WAL_CHECKS) or "wal" in name.split("_")}
    other = {name: hint for name, hint in failed.items() if name not in wal and not name.startswith(_HARMLESS)}
    said = [f"barman check: {_spell(wal)}"] if wal else []
    if primary is not None and primary.failing:
        said.append(f"archiving fails: {primary.failures} failures, the last of segment {primary.failed_wal}")
    until = primary.archived_at if primary and not wal else None
    usable = [one for one in backups if one.usable]
    window = Window(earliest=usable[-1].data_at, latest=max(until, usable[-1].data_at)) if usable and until else None
    return Inventory(
        backups=tuple(backups),
        window=window,
        continuity=Continuity(ok_until=until, gap="; ".join(said)),
        blockers=(f"barman check fails: {_spell(other)}.",) if other else (),
    )


def _backup(given: Mapping[str, Any]) -> Backup:
    status, ended = given["status"], given.get("end_time_timestamp")
    began = datetime.strptime(given["backup_id"], _ID).replace(tzinfo=UTC)
    at = datetime.fromtimestamp(int(ended), UTC) if ended else began
    known = _PROBLEMS.get(status, f"its status is {status}")
    return Backup(
        id=given["backup_id"],
        data_at=at,
        finished_at=at if ended else None,
        size_bytes=given.get("size_bytes") or None,
        problem="" if status == _DONE and ended else known if status != _DONE else "it has no end",
        kind=given.get("backup_type") or "",
    )


def _given(output: bytes, server: str, command: str) -> Any:  # Any: JSON
    try:
        return json.loads(output)[server]
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(command, f"{type(error).__name__}: {error}") from None


def _unreadable(command: str, why: str) -> Rejected:
    return Rejected(
        f"What barman {command} printed cannot be read ({why}). Nothing was done. Run it by hand, and see that Barman"
        " is 3.0 or newer.",
        code="unreadable_list",
    )


def _spell(failed: Mapping[str, str]) -> str:
    return ", ".join(f"{name}{f' ({hint})' if hint else ''}" for name, hint in failed.items())
