"""What pgBackRest lists, of 2.45 and 2.59, is judged with what the live server says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.core.errors import Rejected
from bot.integrations.pgbackrest import manifest
from bot.integrations.pgbackrest.copy_folder import CopyFolder
from bot.integrations.pgbackrest.copy_settings import least_parameters, recovery_lines, server_settings
from bot.integrations.pgbackrest.info import damaged_files, stanza_of
from bot.integrations.pgbackrest.judging import Findings, judge
from bot.integrations.pgbackrest.recovery_log import failure_in
from bot.integrations.pgbackrest.retention import expiries, retention_of
from bot.integrations.pgbackrest.settings import PgBackRestSettings
from bot.integrations.pgbackrest.wal import WalArchive
from bot.integrations.postgres.primary import PrimaryFacts

_AT = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
_SYSTEM = 7714106784465202051
_LABEL = "20261130-090000F"
_LIVE = PrimaryFacts(
    version=15,
    system_identifier=str(_SYSTEM),
    archive_mode="on",
    archives=True,
    segment_size=16 * 2**20,
    standby=False,
    archived_wal="000000010000000000000005",
    archived_at=_AT + timedelta(minutes=30),
    failures=0,
    failed_wal="",
    failed_at=None,
    clients=3,
    data_directory="/var/lib/postgresql/15/main",
    started_at=_AT,
)


def _listed(label: str = _LABEL, **changes: Any) -> dict[str, object]:
    """As 2.59 writes it (src/command/info/info.c)."""
    stamp = int(_AT.timestamp())
    return {
        "annotation": {"vakhta-run": "abc"},
        "archive": {"start": "000000010000000000000002", "stop": "000000010000000000000003"},
        "backrest": {"format": 5, "version": "2.59"},
        "database": {"id": 1, "repo-key": 1},
        "error": False,
        "info": {"delta": 1450250, "repository": {"delta": 167009, "size": 3045503}, "size": 23033508},
        "label": label,
        "lsn": {"start": "0/2000028", "stop": "0/3000100"},
        "prior": None,
        "reference": None,
        "timestamp": {"start": stamp - 60, "stop": stamp},
        "type": "full",
        **changes,
    }


def _info(
    *backups: Mapping[str, object], code: int = 0, message: str = "ok", lock: Mapping[str, object] | None = None
) -> bytes:
    stanza = {
        "archive": [
            {"database": {"id": 1, "repo-key": 1}, "id": "15-1", "max": "0" * 24, "min": "0" * 24},
            {"database": {"id": 1, "repo-key": 2}, "id": "15-1", "max": "0" * 24, "min": "0" * 24},
        ],
        "backup": list(backups),
        "cipher": "none",
        "db": [
            {"id": 1, "repo-key": 1, "system-id": _SYSTEM, "version": "15"},
            {"id": 1, "repo-key": 2, "system-id": 1, "version": "14"},
        ],
        "name": "orders",
        "repo": [
            {"cipher": "none", "key": 1, "status": {"code": code, "message": message}},
            {"cipher": "none", "key": 2, "status": {"code": 99, "message": "[PathOpenError] no such host"}},
        ],
        "status": {
            "code": 4,
            "lock": {"backup": {"held": bool(lock), **(lock or {})}, "restore": {"held": False}},
            "message": "different across repos",
        },
    }
    return json.dumps([stanza]).encode()


def _archive(*missing: int) -> WalArchive:
    return WalArchive(times={(1, one): _AT + timedelta(minutes=one) for one in range(1, 6) if one not in missing})


def _found(
    *backups: Mapping[str, object], missing: tuple[int, ...] = (), live: PrimaryFacts | None = _LIVE
) -> Findings:
    stanza = stanza_of(_info(*backups), "orders", 1)
    folders = frozenset(one.label for one in stanza.backups)
    return Findings(stanza=stanza, archive=_archive(*missing), folders=folders, primary=live)


def test_the_status_is_that_of_the_repository_of_the_settings() -> None:
    assert stanza_of(_info(_listed()), "orders", 1).code == 0
    second = stanza_of(_info(_listed()), "orders", 2)
    assert second.status == "the repository cannot be read ([PathOpenError] no such host)"
    assert second.backups == ()
    assert stanza_of(_info(_listed()), "other", 1).status == "the stanza does not exist in the repository"


def test_progress_is_in_hundredths_of_a_percent() -> None:
    stanza = stanza_of(_info(_listed(), lock={"pct-cplt": 4250, "size": 100, "size-cplt": 42}), "orders", 1)

    assert stanza.running
    assert stanza.progress == 0.425


@pytest.mark.parametrize("output", [b"", b"[{}]", b"null", b'{"name": 1}', b'[{"name": "orders", "status": 1}]'])
def test_a_list_that_is_not_pgbackrests_is_refused(output: bytes) -> None:
    with pytest.raises(Rejected, match=r"cannot be read .* Nothing was done"):
        stanza_of(output, "orders", 1)


def test_pages_that_failed_their_checksums_are_damage_with_their_count() -> None:
    output = _info(_listed(error=True) | {"error-list": ["base/1/2", "base/5/16384"]})
    found = _found(_listed(error=True))

    [backup] = judge(replace(found, damaged={_LABEL: damaged_files(output, "orders")})).backups

    assert backup.usable
    assert backup.damage == "pages of 2 files failed their checksums when it was made"
    assert judge(found).backups[0].damage == "pages of files failed their checksums when it was made"


def test_a_backup_without_wal_or_of_another_timeline_is_not_usable() -> None:
    offline = _listed(archive={"start": None, "stop": None})
    other = _listed(archive={"start": "000000020000000000000002", "stop": "000000020000000000000003"})

    assert "was made without archiving of WAL" in judge(_found(offline)).backups[0].problem
    assert judge(_found(other)).backups[0].problem == "the live timeline does not descend from it"


def test_an_intact_store_reaches_the_last_archived_segment_by_the_live_servers_own_clock() -> None:
    inventory = judge(_found(_listed()))

    assert inventory.window is not None
    assert (inventory.window.earliest, inventory.window.latest) == (_AT, _LIVE.archived_at)
    assert inventory.continuity is not None
    assert inventory.continuity.ok_until == _LIVE.archived_at
    assert inventory.blockers == ()
    alone = judge(_found(_listed(), live=None))
    assert alone.window is not None
    assert alone.window.latest == _AT + timedelta(minutes=5), "when the newest segment was stored"


def test_archiving_that_fails_or_is_off_is_a_gap_and_blocks_no_restore() -> None:
    failing = replace(_LIVE, failures=7, failed_wal="000000010000000000000006", failed_at=_AT + timedelta(minutes=40))
    for live, said in (
        (
            failing,
            "archiving fails since 2026-11-30 09:30 UTC: 7 failures, the last of segment 000000010000000000000006",
        ),
        (replace(_LIVE, archive_mode="off"), "archive_mode is off on the live server"),
        (replace(_LIVE, archives=False), "archive_command is empty on the live server"),
    ):
        inventory = judge(_found(_listed(), live=live))
        assert inventory.continuity is not None
        assert said in inventory.continuity.gap
        assert inventory.blockers == ()
        assert inventory.backups[0].usable


def test_a_segment_that_the_live_server_has_archived_and_the_archive_lacks_is_lost() -> None:
    inventory = judge(_found(_listed(), missing=(4,), live=replace(_LIVE, archived_wal="000000010000000000000004")))

    assert inventory.continuity is not None
    assert "LOST 1 segment since 2026-11-30 09:03 UTC" in inventory.continuity.gap
    assert "LOST 000000010000000000000004: the live server has archived it" in inventory.continuity.gap


def test_a_stanza_of_another_cluster_or_a_standby_blocks() -> None:
    [other] = judge(_found(_listed(), live=replace(_LIVE, system_identifier="1"))).blockers
    [upgraded] = judge(_found(_listed(), live=replace(_LIVE, version=16))).blockers
    [standby] = judge(_found(_listed(), live=replace(_LIVE, standby=True))).blockers

    assert "another cluster. Correct stanza or url" in other
    assert "Run stanza-upgrade" in upgraded
    assert "leads to a standby" in standby


def test_ten_thousand_backups_are_judged_in_one_pass_over_the_archive() -> None:
    times = {(1, number): _AT for number in range(1, 20_003)}
    backups = [
        _listed(
            f"20261130-{number:06}F",
            archive={"start": WalArchive().name(1, number * 2), "stop": WalArchive().name(1, number * 2 + 1)},
        )
        for number in range(1, 10_001)
    ]
    found = replace(_found(*backups), archive=WalArchive(times=times))

    assert sum(one.usable for one in judge(found).backups) == 10_000


def test_a_manifest_names_files_bundles_and_the_backups_that_hold_them() -> None:
    text = (
        '[backup:option]\noption-compress-type="zst"\n\n[target:file]\n'
        'pg_data/base/1/1={"checksum":"a","repo-size":100,"size":300,"timestamp":1}\n'
        'pg_data/base/1/2={"bni":1,"checksum":"a","repo-size":10,"size":30,"timestamp":1}\n'
        'pg_data/base/1/3={"bni":1,"bno":10,"checksum":"a","reference":"OLDF","repo-size":5,"size":9,"timestamp":1}\n'
        'pg_data/base/1/4={"size":0,"timestamp":1}\n'
        'pg_data/a=b={"checksum":"a","size":7,"timestamp":1}\n'
        '[target:file:default]\nmode="0600"\n'
    )

    wanted = manifest.wanted(text, "NEWF")

    assert wanted == {
        ("NEWF", "pg_data/base/1/1.zst"): 100,
        ("NEWF", "bundle/1"): 10,
        ("OLDF", "bundle/1"): 15,
        ("NEWF", "pg_data/a=b.zst"): 7,
    }
    there = {"NEWF": {"pg_data/base/1/1.zst": 100, "bundle/1": 9, "pg_data/a=b.zst": 7}, "OLDF": {}}
    assert manifest.short(wanted, there) == ["NEWF/bundle/1 has 9 of at least 10 bytes", "OLDF/bundle/1 is missing"]


def test_the_hint_that_makes_corrupt_clusters_is_never_repeated() -> None:
    log = (
        "LOG:  starting PostgreSQL 15\nFATAL:  could not locate required checkpoint record\n"
        'HINT:  If you are not restoring from a backup, try removing the file "/x/data/backup_label".\n'
    )

    assert (
        failure_in(log) == "WAL that the backup itself needs is missing from the archive; restore from another backup"
    )
    assert failure_in("LOG:  database system is ready") == ""
    assert failure_in("FATAL:  the database system is starting up") == "", "that was said to the bot, which had asked"
    turned_away = '2026-12-01 05:00:01 UTC [77] client: FATAL:  password authentication failed for user "app"'
    assert failure_in(f"{turned_away}\n2026-12-01 05:00:02 UTC [70] PANIC:  no space") == "PostgreSQL says: no space"
    assert failure_in(turned_away) == ""
    assert failure_in('FATAL:  role "x" is odd\nHINT:  delete it') == 'PostgreSQL says: role "x" is odd'


def test_a_copy_has_what_its_recovery_needs_and_nothing_that_reaches_production() -> None:
    control = "max_connections setting:              120\nmax_prepared_xacts setting:           7\n"
    assert least_parameters(control) == {"max_connections": "120", "max_prepared_transactions": "7"}
    auto = (
        "archive_command = 'push %p'\nprimary_conninfo = 'host=db1'\nshared_preload_libraries = 'pg_cron'\n"
        "archive_cleanup_command = 'pg_archivecleanup /live %r'\nrecovery_end_command = 'tell-production'\n"
        "# restore_command = 'old'\nrestore_command = 'pgbackrest archive-get %f \"%p\"'\nrecovery_target_time = 'x'\n"
    )
    assert recovery_lines(auto) == (
        "restore_command = 'pgbackrest archive-get %f \"%p\"'",
        "recovery_target_time = 'x'",
    )

    text = server_settings(
        CopyFolder(Path("/c/it's")),
        port=5,
        listen="",
        control=control,
        parameters={"max_connections": "10", "work_mem": "64MB"},
        name="vakhta 1",
    )

    lines = text.splitlines()
    assert "max_connections = '120'" in lines, "a lower one would pause the recovery for ever"
    assert "work_mem = '64MB'" in lines
    assert "shared_preload_libraries = ''" in lines
    assert "archive_mode = 'off'" in lines
    assert "archive_cleanup_command = ''" in lines
    assert "recovery_end_command = ''" in lines
    assert "max_logical_replication_workers = '0'" in lines
    assert "data_directory = '/c/it''s/data'" in lines


def test_settings_that_would_lead_a_restore_elsewhere_are_mistakes() -> None:
    given = {
        "stanza": "orders",
        "options": {"pg1-path": "/var/lib", "repo1-path": "/b", "force": "y", "--x": "y"},
        "secrets": {"repo1-cipher-pass": "x"},
        "parameters": {"archive_mode": "on", "listen_addresses": "*", "work_mem": "1MB", "a b": "1"},
        "ports": [70000, 1],
    }

    found = [place for place, _ in PgBackRestSettings.mistakes(given)]

    assert found == [
        ("options", "pg1-path"),
        ("options", "force"),
        ("options", "--x"),
        ("parameters", "archive_mode"),
        ("parameters", "listen_addresses"),
        ("parameters", "a b"),
        ("ports",),
    ]


def test_a_backup_expires_when_a_newer_full_one_is_old_enough_and_takes_along_what_builds_on_it(tmp_path: Path) -> None:
    config = tmp_path / "pgbackrest.conf"
    config.write_text("[global]\nrepo1-retention-full=7\n[orders]\nrepo1-retention-full-type=time\n")
    stamp = int(_AT.timestamp())
    newer = _listed("20261130-100000F", timestamp={"start": stamp + 3600, "stop": stamp + 3700})
    chained = _listed("20261130-090000F_20261130-093000I", type="incr", reference=[_LABEL])
    backups = stanza_of(_info(_listed(), chained, newer), "orders", 1).backups

    kept = retention_of(PgBackRestSettings(stanza="orders", config=str(config)))

    assert kept == timedelta(days=7)
    at = datetime.fromtimestamp(stamp + 3700, UTC) + timedelta(days=7)
    assert expiries(backups, kept) == {_LABEL: at, "20261130-090000F_20261130-093000I": at}
    assert retention_of(PgBackRestSettings(stanza="other", config=str(config))) is None
    assert retention_of(PgBackRestSettings(stanza="other", config=str(tmp_path / "none"))) is None
    assert expiries(backups, None) == {}
