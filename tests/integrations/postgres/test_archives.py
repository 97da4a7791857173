"""Which archives of pg_dump can be restored from: read to their end, and nothing less."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.core.errors import Rejected
from bot.core.programs import Program
from tests.integrations.postgres.shop import Shop

pytestmark = [pytest.mark.postgres, pytest.mark.waits]


def test_whole_archives_of_each_format_are_usable_and_dated_by_their_start(shop: Shop) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    for name, option in (("a.dump", "-Fc"), ("b.dump", "-Fd"), ("c.dump", "-Ft")):
        shop.dump(name, option, minutes_ago=2)

    found = {one.id: one for one in shop.engine().inventory().backups}

    assert {name: (one.problem, one.kind) for name, one in found.items()} == {
        "a.dump": ("", "custom"),
        "b.dump": ("", "directory"),
        "c.dump": ("", "tar"),
    }
    assert all(before <= one.data_at <= datetime.now(UTC) for one in found.values())
    assert all(one.size_bytes and one.finished_at and one.finished_at < before for one in found.values())


def test_a_truncated_archive_that_still_lists_is_found(shop: Shop) -> None:
    path = shop.dump()
    os.truncate(path, path.stat().st_size - 3000)
    shop.age(path, 2)

    [found] = shop.engine().inventory().backups

    assert "it cannot be read to its end" in found.problem


def test_a_flipped_byte_is_found(shop: Shop) -> None:
    path = shop.dump()
    with path.open("r+b") as file:
        file.seek(path.stat().st_size * 2 // 3)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0xFF]))
    shop.age(path, 2)

    [found] = shop.engine().inventory().backups

    assert not found.usable


def test_a_folder_archive_with_a_missing_part_is_found(shop: Shop) -> None:
    path = shop.dump("shop.dump", "-Fd")
    next(path.glob("*.dat.gz")).unlink()
    shop.age(path, 2)

    [found] = shop.engine().inventory().backups

    assert "it cannot be read to its end" in found.problem


def test_an_empty_file_and_one_that_is_no_archive_say_so(shop: Shop) -> None:
    for name, body in (("a.dump", b""), ("b.dump", b"-- PostgreSQL database dump\n" * 50), ("c.dump", b"PGDMP\1")):
        (shop.folder / name).write_bytes(body)
        shop.age(shop.folder / name, 2)

    found = {one.id: one.problem for one in shop.engine().inventory().backups}

    assert found == {
        "a.dump": "it is empty",
        "b.dump": "it is no archive of pg_dump -Fc, -Fd or -Ft",
        "c.dump": "it is cut off in its first bytes",
    }


def test_a_pipe_and_a_link_to_nowhere_in_the_folder_are_no_archives_and_hold_nothing_up(shop: Shop) -> None:
    shop.dump()
    os.mkfifo(shop.folder / "pipe.dump")
    (shop.folder / "gone.dump").symlink_to(shop.folder / "nowhere")

    assert [one.id for one in shop.engine().inventory().backups] == ["shop.dump"]


def test_there_is_no_verdict_on_an_archive_that_is_still_written(shop: Shop) -> None:
    shop.dump("done.dump")
    path = shop.dump("new.dump", minutes_ago=0)
    os.truncate(path, path.stat().st_size // 2)
    shop.age(path, 0)

    found = {one.id: one for one in shop.engine().inventory().backups}

    assert found["done.dump"].usable
    assert (found["new.dump"].finished_at, found["new.dump"].problem) == (
        None,
        "it may still be written: it changed within the last minute",
    )


def test_an_archive_is_read_once_and_again_when_it_has_changed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shop.dump()
    read: list[str] = []
    start = shop.programs.start

    def noted(program: Program) -> None:
        read.append(program.key)
        start(program)

    monkeypatch.setattr(shop.programs, "start", noted)
    engine = shop.engine()

    first = [engine.inventory().backups[0].usable for _ in range(3)]
    os.truncate(path, path.stat().st_size - 3000)
    shop.age(path, 2)
    second = engine.inventory().backups[0].usable

    assert (first, second, len(read)) == ([True] * 3, False, 2)


def test_only_the_newest_archives_are_read_and_the_others_say_that_they_are_not(shop: Shop) -> None:
    for name in ("a.dump", "b.dump"):
        shop.dump(name)

    found = shop.engine(read=1).inventory().backups

    assert [one.damage for one in found] == ["", "listed, and not read to its end: only the newest archives are"]


def test_archives_of_another_database_are_not_this_stores(shop: Shop) -> None:
    shop.dump()

    assert shop.engine(database="billing").inventory().backups == ()


def test_a_date_after_the_last_change_means_a_wrong_time_zone(shop: Shop) -> None:
    shop.dump()

    [found] = shop.engine(time_zone="America/New_York").inventory().backups

    assert "set time_zone to that of the machine that makes the archives" in found.problem


def test_a_folder_that_is_not_there_is_unknown_and_never_empty(shop: Shop) -> None:
    with pytest.raises(Rejected, match="cannot be read: No such folder") as caught:
        shop.engine(folder=str(shop.folder / "gone")).inventory()

    assert caught.value.code == "unreachable"


def test_an_archive_of_a_newer_pg_dump_and_an_old_client_are_told(shop: Shop, tmp_path: Path) -> None:
    shop.dump()
    old = tmp_path / "old"
    old.mkdir()
    (old / "pg_restore").write_text('#!/bin/sh\necho "pg_restore (PostgreSQL) 9.2.18"\n')
    (old / "pg_restore").chmod(0o755)

    found = shop.engine(programs=str(old)).inventory()

    assert "pg_restore here is 9" in found.backups[0].problem
    assert len(found.blockers) == 1
    assert "older than the server" in found.blockers[0]


def test_programs_that_are_missing_are_a_refusal(shop: Shop, tmp_path: Path) -> None:
    shop.dump()

    with pytest.raises(Rejected, match="pg_restore is not installed"):
        shop.engine(programs=str(tmp_path)).inventory()
