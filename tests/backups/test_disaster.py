"""The plan for a disaster: in order, with what is known, in a chat and on paper, without a secret."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot.app.build_backups import ConfiguredBackups
from bot.app.disaster_export import DisasterExport, made_paper, write_file
from bot.backups import disaster, judging
from bot.backups.disaster import StoreInDisaster
from bot.backups.plain_commands import _COMMANDS, plain_commands
from bot.config import backup_engines
from bot.config.backups import DisasterExportSettings
from bot.config.settings import Settings
from bot.core.backup import BackupReader
from bot.core.errors import Rejected
from bot.store.backup_rows import StoredBackupRecords
from tests.backups.stores import HOUR, backup, drill, look, store, world
from tests.fakes.backup_engine import FakeBackupReader, FakeRestorer
from tests.fakes.backup_settings import RESTORES, WORLDS
from tests.house import ACCOUNTS, NOON, House


def known(name: str, engine: str, *, reads: bool = False) -> StoreInDisaster:
    made: BackupReader = FakeBackupReader(world()) if reads else FakeRestorer(world())
    drills = () if reads else (drill(rto=HOUR, size_bytes=10**9),)
    seen = look(backup(size_bytes=2 * 10**9))
    report = judging.judge(store(made, name=name, engine_name=engine), seen, drills, NOON)
    return StoreInDisaster(report=report, drills=drills)


def test_stores_come_back_in_the_order_in_which_they_depend_on_each_other() -> None:
    stores = [known(word, word) for word in ("velero", "s3", "clickhouse", "redis", "pgbackrest", "unknown")]

    assert [one.report.engine for one in disaster.in_order(stores)] == [
        "pgbackrest", "redis", "clickhouse", "s3", "velero", "unknown",
    ]  # fmt: skip


def test_the_steps_of_a_service_go_from_keys_to_traffic_and_each_is_an_ask_or_says_why_not() -> None:
    stores = [known("prod/cache", "redis"), known("prod/orders-db", "postgres"), known("prod/log", "walg", reads=True)]

    steps = disaster.steps_for("prod/orders", stores, NOON, workload=True)

    assert [step.ask or step.reason for step in steps] == [
        "the bot holds no right to them; without the key a backup opens nowhere",
        "they are outside of what the bot reaches",
        "its installation is that of your platform, such as Terraform",
        ("scale prod/orders 0",),
        "its engine is only read here; `vakhta dr export` writes the commands of its tool",
        ("restore prod/orders-db latest",),
        ("cutover <run>",),
        ("restore prod/cache latest",),
        ("cutover <run>",),
        ("scale prod/orders 1", "status prod/orders"),
        ("scale prod/orders <replicas>",),
        "ingress and DNS are outside of what the bot changes",
    ]
    restore = steps[5]
    assert restore.facts == (
        "Newest data: 2026-11-23 11:50 UTC, 10 min old; RPO 1 h.",
        "Newest usable backup: b-600 of 11:50, 2 GB.",
        "It takes about 2 h (by the rate of one drill that passed, the last 2026-11-22 12:00 UTC).",
    )


def test_a_service_without_a_workload_is_started_by_hand() -> None:
    steps = disaster.steps_for("prod/orders", [known("prod/orders-db", "postgres")], NOON, workload=False)

    assert not [ask for step in steps for ask in step.ask if ask.startswith("scale")]


@pytest.fixture
def kept(house: House) -> House:
    stores = {"prod/orders-db": store(FakeRestorer(world(house.clock)))}
    house.tools = replace(house.tools, backups=ConfiguredBackups(stores, StoredBackupRecords(house.store)))
    house.settle(ACCOUNTS)
    return house


def test_the_verb_shows_all_stores_or_the_steps_of_one_service(kept: House) -> None:
    kept.says("backups prod/orders-db")

    assert kept.says("dr").text.splitlines() == [
        "Stores in the order in which they are brought back. 2026-11-23 12:00 UTC.",
        "prod/orders-db: RED (`dr prod/orders`)",
        "  nothing can be restored, RPO 1 h; restore not measured, RTO 4 h",
        "`dr <service>` shows the steps that bring a service back.",
    ]
    steps = kept.says("dr prod/orders").text.splitlines()
    assert "   `restore prod/orders-db latest`" in steps
    assert "   Not as it should be: No backup can be restored from; RPO 1 h." in steps
    refused = kept.says("dr prod/nothing")
    assert (refused.ok, refused.text) == (
        False,
        "No store of backups belongs to prod/nothing. Nothing was done. Services with stores: prod/orders.",
    )
    assert kept.says("dr prod/orders-db").text == (
        "prod/orders-db is a store. Nothing was done. Its service: `dr prod/orders`."
    )


@pytest.mark.parametrize("word", backup_engines.ENGINES)
def test_every_engine_has_commands_of_its_own_tools_with_the_names_of_the_settings(word: str) -> None:
    named = {"database": "orders", "folder": "/b", "stanza": "main", "instance": "orders-db", "bucket": "media"}

    lines = plain_commands(word, named)

    assert lines
    assert not [line for line in lines if "{" in line or "}" in line]


def test_a_cluster_of_aurora_is_restored_as_a_cluster() -> None:
    assert any("restore-db-cluster-to-point-in-time" in line for line in plain_commands("rds", {"cluster": "orders"}))
    assert "aurora" in _COMMANDS


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    monkeypatch.setattr(backup_engines, "ENGINES", {**backup_engines.ENGINES, "postgres": RESTORES})
    monkeypatch.setitem(WORLDS, "orders", world())
    where = {"folder": "/b/orders", "password": "planted-password"}
    made = {"name": "prod/orders-db", "service": "prod/orders", "engine": "postgres", "rpo": "1h", "rto": "4h"}
    return Settings.model_validate(
        {
            "store": {"url": "postgresql+psycopg://vakhta:planted-secret@db.example/vakhta"},
            "services": [{"name": "prod/orders", "match": {"a": "b"}}],
            "backups": {"stores": [made | {"where": where}], "dr": {"folder": str(tmp_path / "plans"), "every": "1d"}},
        }
    )


def test_the_paper_has_the_bots_own_store_first_the_asks_and_the_commands_and_no_secret(
    settings: Settings, house: House
) -> None:
    paper = made_paper(settings, "/etc/vakhta.yaml", StoredBackupRecords(house.store), NOON)

    headings = [line for line in paper.splitlines() if line.startswith("#") and not line.startswith("# stop")]
    assert headings[0] == "# Disaster recovery"
    assert [one for one in headings if one.startswith("## ")] == [
        "## 1. The bot's own database",
        "## 2. Everything else, in order",
        "## 3. The same without the bot",
    ]
    assert "Written 2026-11-23 12:00 UTC by Vakhta" in paper
    assert "   - `restore prod/orders-db latest`" in paper
    assert "pg_restore -f /dev/null /b/orders/ARCHIVE" in paper
    assert "vakhta audit verify --config /etc/vakhta.yaml" in paper
    assert "db.example" in paper
    assert "planted" not in paper


def test_without_the_bots_database_the_paper_is_written_all_the_same(settings: Settings) -> None:
    paper = made_paper(settings, "/etc/vakhta.yaml", None, NOON, unknown="There is no database.")

    assert "Nothing is known of the stores: There is no database." in paper
    assert "pg_restore -f /dev/null /b/orders/ARCHIVE" in paper


def test_it_is_written_at_the_start_and_then_at_its_interval(settings: Settings, tmp_path: Path) -> None:
    seconds = [0.0]
    written: list[datetime] = []
    assert settings.backups.dr is not None
    export = DisasterExport(settings.backups.dr, lambda: "plan", lambda: NOON, written.append, lambda: seconds[0])

    for at in (0.0, 60.0, 86000.0, 86400.0):
        seconds[0] = at
        export.tick()

    assert len(written) == 2
    assert sorted(one.name for one in (tmp_path / "plans").iterdir()) == [
        "disaster-recovery-2026-11-23.md",
        "disaster-recovery.md",
    ]


def test_a_place_that_does_not_take_it_is_tried_again_after_an_hour(tmp_path: Path) -> None:
    (tmp_path / "plans").write_text("a file where the folder should be")
    seconds = [0.0]
    written: list[datetime] = []
    places = DisasterExportSettings(folder=str(tmp_path / "plans"))
    export = DisasterExport(places, lambda: "plan", lambda: NOON, written.append, lambda: seconds[0])

    export.tick()
    (tmp_path / "plans").unlink()
    seconds[0] = 3599
    export.tick()
    assert written == []

    seconds[0] = 3601
    export.tick()
    assert written == [NOON]


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    write_file(tmp_path, "plan.md", "old")
    (tmp_path / "full").write_text("")

    with pytest.raises(Rejected, match="was not written"):
        write_file(tmp_path / "full", "plan.md", "new")

    assert (tmp_path / "plan.md").read_text() == "old"
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


def test_a_folder_without_an_interval_is_written_once_a_week() -> None:
    assert DisasterExportSettings(folder="plans").every == timedelta(days=7)
