"""Barman's recorded output is judged; the program itself is played, over real pipes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.core.backup import BackupReader, EngineParts, Restorer
from bot.core.errors import Rejected
from bot.integrations.barman.backups import BarmanEngine
from bot.integrations.barman.settings import BarmanSettings
from bot.integrations.programs.local import LocalPrograms
from tests.integrations.barman import recorded
from tests.integrations.told import Say, ToldProgram

pytestmark = pytest.mark.waits

_OK = {"check main": Say(out=recorded.CHECK_OK), "check-backup": Say(out=recorded.CHECK_BACKUP)}


def _engine(folder: Path, answers: Mapping[str, Say]) -> tuple[BarmanEngine, ToldProgram]:
    program = ToldProgram(folder, answers)
    where = BarmanSettings.model_validate(
        {"server": "main", "program": str(program.path), "config": "/etc/barman.conf"}
    )
    parts = EngineParts(store="orders", now=lambda: datetime.now(UTC), pause=lambda _: None, programs=LocalPrograms())
    return BarmanEngine(where, parts), program


def test_a_backup_that_is_done_with_its_wal_is_usable_and_only_read(tmp_path: Path) -> None:
    engine, program = _engine(tmp_path, {**_OK, "list-backups": Say(out=recorded.LIST)})

    inventory = engine.inventory()

    assert isinstance(engine, BackupReader)
    assert not isinstance(engine, Restorer)
    [backup] = inventory.backups
    assert backup.usable
    assert backup.data_at == datetime(2026, 11, 30, 23, 56, 46, tzinfo=UTC)
    assert backup.size_bytes == 39907237
    assert inventory.blockers == ()
    assert inventory.continuity is not None
    assert inventory.continuity.gap == ""
    assert {words[-3] for words in program.calls} <= {"json", "check-backup"}
    assert ["-c", "/etc/barman.conf", "-f", "json", "check-backup", "main", "20261130T235645"] in program.calls


def test_a_backup_whose_wal_is_gone_is_found_in_the_list_after_its_check_which_says_nothing(tmp_path: Path) -> None:
    engine, program = _engine(tmp_path, {})
    says_done = {**_OK, "list-backups": Say(out=recorded.LIST)}
    program.tell(says_done)
    run = engine._run

    def checked(command: str, *words: str) -> object:
        ended = run(command, *words)
        if command == "check-backup":
            program.tell({**_OK, "list-backups": Say(out=recorded.LIST_WAITING)})
        return ended

    engine._run = checked  # type: ignore[method-assign,assignment]  # the program changes its answer as Barman does

    [backup] = engine.inventory().backups

    assert backup.problem == "it waits for WAL that it needs, and is not consistent without it"


def test_a_backup_that_check_backup_refuses_is_not_usable_and_the_next_is_asked(tmp_path: Path) -> None:
    older = json.loads(recorded.LIST)["main"][0] | {"backup_id": "20261129T235645", "end_time_timestamp": "1795996606"}
    two = json.dumps({"main": [json.loads(recorded.LIST)["main"][0], older]})
    engine, program = _engine(
        tmp_path,
        {
            "check-backup main 20261130": Say(out=recorded.UNKNOWN_BACKUP, code=1),
            **_OK,
            "list-backups": Say(out=two),
        },
    )

    newest, next_one = engine.inventory().backups

    assert newest.problem.startswith("WAL that it needs is not complete: Unknown backup")
    assert next_one.usable
    assert any("20261129T235645" in words for words in program.calls)


def test_with_postgresql_down_archiving_has_a_gap_and_nothing_blocks_a_restore(tmp_path: Path) -> None:
    engine, _ = _engine(
        tmp_path,
        {**_OK, "check main": Say(out=recorded.CHECK_DOWN, code=1), "list-backups": Say(out=recorded.LIST)},
    )

    inventory = engine.inventory()

    assert inventory.blockers == ()
    assert inventory.backups[0].usable
    assert inventory.continuity is not None
    assert "postgresql" in inventory.continuity.gap
    assert "receive_wal_running (See the Barman log file for more details)" in inventory.continuity.gap
    assert inventory.window is None


def test_a_folder_that_fails_its_check_blocks_and_too_few_backups_do_not(tmp_path: Path) -> None:
    def failing(name: str) -> str:
        given = json.loads(recorded.CHECK_OK)
        given["main"][name] = {"hint": "look here", "status": "FAILED"}
        return json.dumps(given)

    answers = {**_OK, "list-backups": Say(out=recorded.LIST)}
    engine, program = _engine(tmp_path, {**answers, "check main": Say(out=failing("directories"), code=1)})
    assert engine.inventory().blockers == ("barman check fails: directories (look here).",)

    program.tell({**answers, "check main": Say(out=failing("minimum_redundancy_requirements"), code=1)})
    assert engine.inventory().blockers == ()


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        ("FAILED", "it failed"),
        ("EMPTY", "it was begun, and has no data"),
        ("STARTED", "it is being made"),
        ("NEWFANGLED", "its status is NEWFANGLED"),
    ],
)
def test_a_backup_that_is_not_done_says_why(tmp_path: Path, status: str, problem: str) -> None:
    listed = json.dumps({"main": [{"backup_id": "20261130T235645", "status": status}]})

    [backup] = _engine(tmp_path, {**_OK, "list-backups": Say(out=listed)})[0].inventory().backups

    assert backup.problem == problem
    assert backup.finished_at is None


@pytest.mark.parametrize(
    "answers",
    [
        {"list-backups": Say(out=recorded.UNKNOWN_SERVER, code=1)},
        {"list-backups": Say(out="Traceback (most recent call last)")},
        {"list-backups": Say(out=recorded.LIST.replace("1796083006", "yesterday"))},
        {"list-backups": Say(out=recorded.LIST.replace("20261130T235645", "now"))},
        {"list-backups": Say(out="{}")},
        {"check main": Say(out=recorded.UNKNOWN_SERVER, code=1)},
        {"check main": Say(out='{"main": {}}')},
        {"check main": Say(out="")},
    ],
)
def test_what_cannot_be_read_is_refused_and_never_ok(tmp_path: Path, answers: dict[str, Say]) -> None:
    engine, _ = _engine(tmp_path, {**answers, **{key: said for key, said in _OK.items() if key not in answers}})

    with pytest.raises(Rejected, match="Nothing was done"):
        engine.inventory()


def test_a_program_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.integrations.barman.backups._LIMIT", timedelta(milliseconds=300))

    with pytest.raises(Rejected, match=r"did not end within 0 s.* Check that Barman's host answers"):
        _engine(tmp_path, {"check main": Say(out="", hang=3600)})[0].inventory()
