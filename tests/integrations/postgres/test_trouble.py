"""What goes wrong around a restore: no rights, no server, no room, another name of the same server, a killed bot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from pydantic import SecretStr

from bot.core.backup import Copy, CopyState, RestorePoint
from bot.core.errors import Rejected
from bot.integrations.postgres import databases
from tests.integrations.postgres.shop import PROGRAMS, Shop
from tests.postgres import Postgres
from tests.running import ROOT, free_port, until

pytestmark = [pytest.mark.postgres, pytest.mark.waits]


def _role(shop: Shop, name: str, options: str = "LOGIN") -> str:
    with shop.live.connect("postgres") as admin:
        if not admin.value("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]):
            admin.change(f"CREATE ROLE {{name}} {options}", names={"name": name})
    return shop.url.replace("vakhta@", f"{name}@")


def test_a_role_without_rights_is_told_which_and_nothing_is_left(shop: Shop) -> None:
    shop.dump()
    engine = shop.engine(url=SecretStr(_role(shop, "shop_poor")))
    task = shop.task(engine)

    with pytest.raises(Rejected, match="permission denied to create database"):
        engine.begin(task)
    with pytest.raises(Rejected, match="GRANT CREATE ON DATABASE to the bot's user"):
        engine.write_sentinel("a")

    assert engine.look(task).state is CopyState.ABSENT


def test_a_server_that_is_down_is_told_and_its_backups_are_still_judged(shop: Shop) -> None:
    shop.dump()
    engine = shop.engine(url=SecretStr(f"postgresql://vakhta@127.0.0.1:{free_port()}/postgres"))

    backups = engine.inventory().backups
    with pytest.raises(Rejected, match="did not let the bot into") as caught:
        engine.preview(RestorePoint(), drill=False)

    assert backups[0].usable
    assert caught.value.code == "unreachable"


def test_no_message_shows_the_password(shop: Shop) -> None:
    shop.dump()
    engine = shop.engine(url=SecretStr(f"postgresql://vakhta:hunter22@127.0.0.1:{free_port()}/postgres"))

    with pytest.raises(Rejected) as caught:
        engine.copies()

    assert "hunter22" not in caught.value.message + repr(engine) + repr(engine.__dict__)


def test_the_password_is_not_among_the_arguments_of_a_program(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []
    shop.dump()
    url = shop.url.replace("vakhta@", "vakhta:hunter22@")
    engine = shop.engine(url=SecretStr(url))
    task = shop.task(engine)
    monkeypatch.setattr(shop.programs, "start", started.append)

    engine.begin(task)

    [program] = started
    assert "hunter22" not in str(getattr(program, "argv", ""))
    assert getattr(program, "secrets", None) == {"PGPASSWORD": "hunter22"}


def test_the_live_database_is_never_removed_even_if_it_is_labelled_and_its_server_has_another_name(
    shop: Shop,
) -> None:
    run = "ab" * 16
    with shop.live.connect("postgres") as admin:
        label = databases.DatabaseLabel(run=run, store="shop", drill=True)
        databases.write_label(admin, shop.database, label)
    engine = shop.engine(copy_url=SecretStr(shop.url.replace("127.0.0.1", "localhost")))

    with pytest.raises(Rejected, match="Nothing was removed"):
        engine.remove(Copy(run=run, name=shop.database, created_at=None, drill=True))

    assert shop.database in shop.databases()
    assert list(engine.copies()) == []


def test_a_database_is_the_live_one_by_its_server_and_oid_and_not_by_its_name(shop: Shop) -> None:
    with shop.live.connect("postgres") as admin:
        server = databases.system_identifier(admin)
        found = databases.find(admin, shop.database)
    assert found is not None
    renamed = replace(found, name="something_else")

    for known in (server, ""):  # A server whose identity cannot be read may be the same one.
        with pytest.raises(Rejected, match="is the live one by its identity"):
            databases.guard(renamed, databases.LiveIdentity(server=known, oid=found.oid), server)
    databases.guard(renamed, databases.LiveIdentity(server="42", oid=found.oid), server)
    databases.guard(renamed, databases.LiveIdentity(server=server, oid=found.oid + 1), server)


def test_a_restore_whose_program_cannot_be_started_leaves_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.dump()
    engine = shop.engine()
    task = shop.task(engine)

    def refuse(_: object) -> None:
        raise Rejected("pg_restore was not started. Nothing was done.")

    monkeypatch.setattr(shop.programs, "start", refuse)
    with pytest.raises(Rejected, match="Nothing was done"):
        engine.begin(task)

    assert engine.look(task).state is CopyState.ABSENT


def test_a_failing_restore_says_why_and_never_counts_as_complete(shop: Shop) -> None:
    """Another process may have the plan of a server that still had the role."""
    _role(shop, "shop_gone")
    with shop.connect() as connection:
        connection.change("GRANT SELECT ON orders TO shop_gone")
        shop.dump()
        connection.change("REVOKE ALL ON orders FROM shop_gone")
        connection.change("DROP ROLE shop_gone")
    engine = shop.engine()
    told = engine.preview(RestorePoint(), drill=False).not_restored
    status = shop.restored(engine, task := shop.task(engine, owners="yes"))

    assert told[0] == "owners and rights, since roles are missing on the server: shop_gone"
    assert status.state is CopyState.FAILED
    assert status.message.startswith("pg_restore failed: ")
    assert 'role "shop_gone" does not exist' in status.message
    assert shop.engine().look(task) == status
    with pytest.raises(Rejected, match="is failed, not restored"):
        engine.preview_cutover(task)


@contextmanager
def _small_tablespace(shop: Shop, postgres: Postgres) -> Iterator[str]:
    """On a file system with little room, which is the live database's too."""
    if os.geteuid():
        pytest.skip("only root can mount a small file system")
    place, owner = postgres._place / f"small-{shop.database}", postgres._place.stat()
    place.mkdir()
    options = f"size=24m,uid={owner.st_uid},gid={owner.st_gid},mode=700"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=False).returncode:
        pytest.skip("no file system can be mounted here")
    name = f"{shop.database}_small"
    with shop.live.connect("postgres") as admin:
        try:
            admin.change("CREATE TABLESPACE {name} LOCATION {place}", names={"name": name}, texts={"place": str(place)})
            names = {"database": shop.database, "space": name}
            admin.change("ALTER DATABASE {database} SET TABLESPACE {space}", names=names)
            yield name
        finally:
            shop.clean()
            admin.change("DROP TABLESPACE IF EXISTS {name}", names={"name": name})
            subprocess.run(["umount", "-l", place], check=False)


@pytest.mark.slow
def test_a_full_disk_ends_the_restore_with_its_reason_and_the_copy_can_be_removed(
    shop: Shop, postgres: Postgres
) -> None:
    with _small_tablespace(shop, postgres):
        shop.order(8000)
        shop.dump()
        engine = shop.engine()
        task = shop.task(engine)

        status = shop.restored(engine, task)
        engine.remove(engine.copies()[0])

        assert status.state is CopyState.FAILED
        assert "No space left on device" in status.message
        assert (shop.count(), engine.look(task).state) == (8500, CopyState.ABSENT)


_BOT = """
import sys, time
from datetime import UTC, datetime
from pydantic import SecretStr
from bot.core.backup import EngineParts, RestorePoint, RestoreTask
from bot.integrations.postgres.backups import PostgresEngine
from bot.integrations.postgres.settings import PostgresBackupSettings
from bot.integrations.programs.local import LocalPrograms
url, database, folder, programs, run = sys.argv[1:]
where = PostgresBackupSettings(database=database, url=SecretStr(url), folder=folder, programs=programs, jobs=1)
parts = EngineParts(store="shop", now=lambda: datetime.now(UTC), pause=lambda much: time.sleep(0.05),
                    programs=LocalPrograms())
engine = PostgresEngine(where, parts)
preview = engine.preview(RestorePoint(), drill=False)
engine.begin(RestoreTask(run=run, store="shop", point=RestorePoint(backup_id=preview.backup_id), facts=preview.facts))
print("begun", flush=True)
time.sleep(600)
"""


@pytest.mark.slow
def test_a_bot_that_is_killed_half_way_leaves_a_copy_that_is_known_as_incomplete(shop: Shop) -> None:
    with shop.connect() as connection:  # A trigger that makes the restore of one table wait for a lock.
        connection.change("CREATE FUNCTION wait() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'")
        connection.change("ALTER TABLE orders ADD CONSTRAINT slow CHECK (wait() = 1)")
        connection.change(
            "CREATE OR REPLACE FUNCTION wait() RETURNS int LANGUAGE plpgsql IMMUTABLE AS"
            " 'BEGIN PERFORM pg_sleep(3); RETURN 1; END'"
        )
    shop.dump()
    run = "fe" * 16
    argv = [sys.executable, "-c", _BOT, shop.url, shop.database, str(shop.folder), PROGRAMS, run]
    bot = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert bot.stdout is not None
        assert bot.stdout.readline() == b"begun\n"
        engine = shop.engine()
        task = shop.task(engine, run=run)
        other = engine.look(task).state
    finally:
        bot.send_signal(signal.SIGKILL)
        bot.wait()
        if bot.stdout:
            bot.stdout.close()
    until(lambda: engine.look(task).state is CopyState.FAILED, "the copy is known as incomplete", within_s=120)
    engine.begin(task)

    assert other is CopyState.RUNNING
    assert engine.look(task).state is CopyState.FAILED
    assert len(engine.copies()) == 1
    engine.remove(engine.copies()[0])
    assert engine.look(task).state is CopyState.ABSENT
