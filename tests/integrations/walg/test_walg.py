"""WAL-G's documented output is judged; the program itself is played, over real pipes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.core.backup import BackupReader, EngineParts, Restorer
from bot.core.errors import Rejected
from bot.integrations.programs.local import LocalPrograms
from bot.integrations.walg.backups import WalgEngine
from bot.integrations.walg.settings import WalgSettings
from tests.integrations.told import Say, ToldProgram

pytestmark = pytest.mark.waits

_SEGMENT = 16 * 1024 * 1024
_BASE = "base_0000000100000000000000D1"
_DELTA = "base_0000000100000000000000D4_D_0000000100000000000000D1"


def _listed(name: str, segment: int, hour: int, **changes: object) -> dict[str, object]:
    """As backup-list --detail --json writes it (docs of WAL-G, internal/databases/postgres/backup.go)."""
    return {
        "backup_name": name,
        "time": f"2026-11-30T{hour:02}:05:00Z",
        "wal_file_name": f"0000000100000000{segment:08X}",
        "storage_name": "default",
        "start_time": f"2026-11-30T{hour:02}:00:00.5Z",
        "finish_time": f"2026-11-30T{hour:02}:05:00.25Z",
        "date_fmt": "%Y-%m-%dT%H:%M:%S.%fZ",
        "hostname": "db1",
        "data_dir": "/var/lib/postgresql/15/main",
        "pg_version": 150018,
        "start_lsn": segment * _SEGMENT + 40,
        "finish_lsn": segment * _SEGMENT + 312,
        "is_permanent": False,
        "system_identifier": 7714106784465202051,
        "uncompressed_size": 60_000_000,
        "compressed_size": 9_000_000,
        **changes,
    }


def _verified(*rows: tuple[str, str, int, str], integrity: str = "OK", timeline: str = "OK") -> str:
    details = [
        {"timeline_id": 1, "start_segment": first, "end_segment": last, "segments_count": count, "status": status}
        for first, last, count, status in rows
    ]
    return json.dumps(
        {
            "integrity": {"status": integrity, "details": details},
            "timeline": {
                "status": timeline,
                "details": {"current_timeline_id": 1, "highest_storage_timeline_id": 1 if timeline == "OK" else 2},
            },
        }
    )


_FOUND = _verified(("0000000100000000000000D1", "0000000100000000000000D8", 8, "FOUND"))
_TWO = json.dumps([_listed(_BASE, 0xD1, 1), _listed(_DELTA, 0xD4, 2)])


def _engine(folder: Path, listed: Say, verified: Say) -> WalgEngine:
    program = ToldProgram(folder, {"backup-list --detail --json": listed, "wal-verify integrity timeline": verified})
    where = WalgSettings.model_validate({"program": str(program.path), "secrets": {"PGPASSWORD": "s3cret-word"}})
    parts = EngineParts(store="orders", now=lambda: datetime.now(UTC), pause=lambda _: None, programs=LocalPrograms())
    return WalgEngine(where, parts)


def test_backups_with_complete_wal_are_usable_and_only_read(tmp_path: Path) -> None:
    engine = _engine(tmp_path, Say(out=_TWO), Say(out=_FOUND))

    inventory = engine.inventory()

    assert isinstance(engine, BackupReader)
    assert not isinstance(engine, Restorer)
    assert [(one.id, one.kind, one.problem) for one in inventory.backups] == [
        (_DELTA, "delta", ""),
        (_BASE, "full", ""),
    ]
    newest = inventory.backups[0]
    assert newest.data_at == datetime(2026, 11, 30, 2, 5, 0, 250_000, tzinfo=UTC)
    assert newest.duration == timedelta(minutes=4, seconds=59, milliseconds=750)
    assert newest.size_bytes == 9_000_000
    assert inventory.continuity is not None
    assert inventory.continuity.gap == ""


def test_a_lost_segment_is_a_gap_though_wal_verify_ends_with_0(tmp_path: Path) -> None:
    lost = _verified(
        ("0000000100000000000000D1", "0000000100000000000000D5", 5, "FOUND"),
        ("0000000100000000000000D6", "0000000100000000000000D7", 2, "MISSING_LOST"),
        integrity="FAILURE",
    )

    inventory = _engine(tmp_path, Say(out=_TWO), Say(out=lost)).inventory()

    assert inventory.continuity is not None
    assert inventory.continuity.gap == "LOST 2 segments, the first is 0000000100000000000000D6"
    assert all(one.usable for one in inventory.backups), "neither needs them"


def test_a_backup_whose_own_wal_is_lost_is_not_usable(tmp_path: Path) -> None:
    lost = _verified(("0000000100000000000000D3", "0000000100000000000000D4", 2, "MISSING_LOST"), integrity="FAILURE")

    inventory = _engine(tmp_path, Say(out=_TWO), Say(out=lost)).inventory()

    assert (
        inventory.backups[0].problem == "WAL that it needs is lost: 2 segments, the first is 0000000100000000000000D3"
    )
    assert inventory.backups[1].usable


def test_segments_on_their_way_are_no_gap(tmp_path: Path) -> None:
    late = _verified(
        ("0000000100000000000000D7", "0000000100000000000000D8", 2, "MISSING_UPLOADING"),
        ("0000000100000000000000D9", "0000000100000000000000D9", 1, "MISSING_DELAYED"),
        integrity="WARNING",
    )

    inventory = _engine(tmp_path, Say(out=_TWO), Say(out=late)).inventory()

    assert inventory.continuity is not None
    assert inventory.continuity.gap == ""


@pytest.mark.parametrize(
    ("listed", "problem"),
    [
        (_listed(_DELTA, 0xD4, 2), "it builds on the backup of segment 0000000100000000000000D1, which is not in"),
        (_listed(_BASE, 0xD1, 1, finish_time="0001-01-01T00:00:00Z"), "it was not finished"),
        (_listed(_BASE, 0xD1, 1, finish_lsn=0), "the list does not say which WAL it needs"),
    ],
)
def test_a_backup_that_cannot_be_restored_says_why(tmp_path: Path, listed: dict[str, object], problem: str) -> None:
    [one] = _engine(tmp_path, Say(out=json.dumps([listed])), Say(out=_FOUND)).inventory().backups

    assert one.problem.startswith(problem)


def test_two_servers_that_archive_into_one_storage_are_told(tmp_path: Path) -> None:
    inventory = _engine(tmp_path, Say(out=_TWO), Say(out=_verified(timeline="FAILURE"))).inventory()

    assert inventory.continuity is not None
    assert "the storage has timeline 2, and the live server writes 1" in inventory.continuity.gap


@pytest.mark.parametrize(
    "said",
    [
        Say(code=1, err="ERROR: 2026/11/30 could not connect to the server\n"),
        Say(out="panic: runtime error"),
        Say(out=json.dumps({"integrity": {"status": "FAILURE", "details": []}, "timeline": {"status": "OK"}})),
        Say(out=json.dumps({"integrity": {"status": "FINE"}, "timeline": {"status": "OK"}})),
        Say(out="[]"),
    ],
)
def test_wal_that_cannot_be_verified_is_unknown_and_never_complete(tmp_path: Path, said: Say) -> None:
    inventory = _engine(tmp_path, Say(out=_TWO), said).inventory()

    assert inventory.continuity is not None
    assert inventory.continuity.ok_until is None
    assert inventory.continuity.gap.startswith("whether WAL is complete is unknown: ")
    assert inventory.window is None
    assert all(one.usable for one in inventory.backups)


@pytest.mark.parametrize(
    "said",
    [
        Say(code=1, err="ERROR: failed to get the storage: AccessDenied for s3cret-word\n"),
        Say(out="not JSON"),
        Say(out='{"backup_name": 1}'),
        Say(out=json.dumps([{"backup_name": _BASE}])),
        Say(out=json.dumps([_listed(_BASE, 0xD1, 1, wal_file_name="../../etc")])),
    ],
)
def test_a_list_that_cannot_be_read_is_refused_without_secrets(tmp_path: Path, said: Say) -> None:
    with pytest.raises(Rejected, match="Nothing was done") as refused:
        _engine(tmp_path, said, Say(out=_FOUND)).inventory()

    assert "s3cret-word" not in refused.value.message


def test_a_program_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.integrations.walg.backups._LIMIT", timedelta(milliseconds=300))

    with pytest.raises(Rejected, match=r"did not end within 0 s.* Check that the storage answers"):
        _engine(tmp_path, Say(out=_TWO, hang=3600), Say(out=_FOUND)).inventory()


@pytest.mark.parametrize("empty", ["", "[]", "null"])
def test_an_empty_storage_has_no_backups_and_no_window(tmp_path: Path, empty: str) -> None:
    inventory = _engine(tmp_path, Say(out=empty), Say(out=_FOUND)).inventory()

    assert inventory.backups == ()
    assert inventory.window is None
