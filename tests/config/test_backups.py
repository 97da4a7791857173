"""The section `backups`: each mistake is found at its line, and `where` is read by the engine that is named."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from textwrap import dedent, indent

import pytest

from bot.__main__ import written_schema
from bot.config import backup_engines
from bot.config.backups import BackupStoreSettings
from bot.config.faults import InvalidSettings
from bot.config.settings import Settings, load_settings, read_settings
from tests.fakes import backup_settings
from tests.fakes.backup_settings import FakeBackupSettings

_STORE = """
name: prod/orders-db
engine: fake
rpo: 1h
rto: 4h
where: {folder: orders}
drill: {every: 7d}
"""


@pytest.fixture(autouse=True)
def _fake_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {**backup_engines.ENGINES, "fake": backup_settings.RESTORES, "fake-reads": backup_settings.READS}
    monkeypatch.setattr(backup_engines, "ENGINES", known)


def written(tmp_path: Path, *stores: str, more: str = "") -> Path:
    file = tmp_path / "vakhta.yaml"
    listed = "".join("    -" + indent(dedent(store).strip("\n"), "      ")[5:] + "\n" for store in stores)
    file.write_text(f"backups:\n  stores:\n{listed}{dedent(more) if more[:1] == chr(10) else more}")
    return file


def loaded(tmp_path: Path, *stores: str, more: str = "") -> Settings:
    return load_settings(written(tmp_path, *stores, more=more), {})


def faults(tmp_path: Path, *stores: str, more: str = "") -> list[str]:
    """Without the file's name."""
    with pytest.raises(InvalidSettings) as refused:
        loaded(tmp_path, *stores, more=more)
    return [str(one).partition("vakhta.yaml:")[2] for one in refused.value.faults]


def changed(old: str, new: str) -> str:
    assert old in _STORE
    return _STORE.replace(old, new)


def test_a_store_is_read_with_the_keys_of_its_engine_and_paths_start_from_the_file(tmp_path: Path) -> None:
    (store,) = loaded(tmp_path, _STORE).backups.stores

    assert isinstance(store.where, FakeBackupSettings)
    assert store.where.folder == str(tmp_path / "orders")
    assert (store.rpo, store.keep_old) == (timedelta(hours=1), timedelta(days=7))
    assert store.run.job is None


def test_a_path_that_may_be_left_out_starts_from_the_file_as_well(tmp_path: Path) -> None:
    (store,) = loaded(tmp_path, changed("{folder: orders}", "{folder: o, tool: bin/tool}")).backups.stores

    assert isinstance(store.where, FakeBackupSettings)
    assert store.where.tool == str(tmp_path / "bin" / "tool")


def test_durations_are_text_with_a_unit(tmp_path: Path) -> None:
    (store,) = loaded(tmp_path, changed("rpo: 1h", "rpo: 1d12h")).backups.stores

    assert store.rpo == timedelta(hours=36)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("rpo: 1h", "rpo: 3600", "5:12 backups.stores[0].rpo: is a number without a unit; write a duration such as"),
        ("rpo: 1h", "rpo: 1 hour", "5:12 backups.stores[0].rpo: must be a duration with its unit, such as 90s"),
        ("rpo: 1h", "rpo: 0h", "5:12 backups.stores[0].rpo: must be a duration with its unit"),
        ("rpo: 1h\n", "", "3:7 backups.stores[0].rpo: is missing; add it"),
        ("engine: fake\n", "engine: fak\n", "4:15 backups.stores[0].engine: is no engine; did you mean 'fake'?"),
        ("name: prod/orders-db", "name: Orders DB", "3:13 backups.stores[0].name: must be small letters, digits"),
        ("{folder: orders}", "{folder: s3://b}", "7:23 backups.stores[0].where.folder: is a bucket; use bucket"),
        ("{folder: orders}", "{}", "7:7 backups.stores[0].where.folder: is missing; add it"),
        (
            "{folder: orders}",
            "{folder: o, stansa: x}",
            "7:26 backups.stores[0].where.stansa: is not a key here; did you mean 'stanza'?",
        ),
        ("{folder: orders}", "{folder: o, stanza: X}", "7:34 backups.stores[0].where.stanza: must be small letters"),
        ("{folder: orders}", "orders", "7:14 backups.stores[0].where: must be keys and values, one per line below it"),
        (
            "{folder: orders}",
            "{folder: o, cluster: main}",
            "7:35 backups.stores[0].where.cluster: is not under `clusters`; none is defined",
        ),
        ("{every: 7d}", "{every: 30m}", "8:22 backups.stores[0].drill.every: is under an hour"),
        ("{every: 7d}", "{every: 3h}", "8:22 backups.stores[0].drill.every: is not longer than at_most"),
        (
            "{every: 7d}",
            '{every: 7d, during: "Sat 02:00-06:00"}',
            "8:26 backups.stores[0].drill.during[0]: must be days, hours and a time zone",
        ),
        (
            "{every: 7d}",
            '{every: 7d, during: ["Sat 02:00-06:00 Europe/Berlim"]}',
            "8:35 backups.stores[0].drill.during[0]: names no time zone; did you mean 'Europe/Berlin'?",
        ),
        ("drill:", "run: local\ndrill:", "8:12 backups.stores[0].run: means nothing here: fake runs no programs"),
        (
            "engine: fake\n",
            "engine: fake-reads\n",
            "8:14 backups.stores[0].drill: cannot be: fake-reads is only read here",
        ),
        (
            "drill:",
            "service: prod/ordres\ndrill:",
            "8:16 backups.stores[0].service: is not under `services`; none is defined",
        ),
        (
            "drill:",
            "checks: [{name: rows, query: select 1}]\ndrill:",
            "8:16 backups.stores[0].checks[0]: expects nothing, so it would pass whatever comes back",
        ),
        (
            "drill:",
            "checks: [{name: rows, query: select 1, expect: 1, like_live: true}]\ndrill:",
            "8:68 backups.stores[0].checks[0].like_live: contradicts expect; a check has one expectation",
        ),
    ],
)
def test_a_mistake_is_found_at_its_place_and_told(tmp_path: Path, old: str, new: str, fault: str) -> None:
    (found,) = faults(tmp_path, changed(old, new))

    assert found.startswith(fault), found


def test_two_stores_of_one_name_are_a_fault(tmp_path: Path) -> None:
    (found,) = faults(tmp_path, _STORE, _STORE)

    assert found.startswith("9:13 backups.stores[1].name: is also the name of stores[0]")


def test_a_store_may_not_have_the_name_of_another_ones_service(tmp_path: Path) -> None:
    services = """
    services:
      - {name: prod/orders-db, match: {a: b}}
      - {name: prod/orders, match: {a: c}}
    """
    (found,) = faults(tmp_path, _STORE + "service: prod/orders", more=services)

    assert "is a service's, and not that of `service`" in found


def test_a_job_needs_a_cluster_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = backup_engines.EngineEntry(
        settings=backup_settings.RESTORES.settings, engine=backup_settings.RESTORES.engine, runs_programs=True
    )
    monkeypatch.setattr(backup_engines, "ENGINES", {**backup_engines.ENGINES, "fake": runs})

    job = "{job: {cluster: nowhere, namespace: ops, image: postgres}}"
    several = faults(tmp_path, _STORE + f"run: {job}")
    assert [one for one in several if "run.job.cluster: is not under `clusters`" in one]
    (found,) = faults(tmp_path, _STORE + "run: remote")
    assert found.startswith("9:12 backups.stores[0].run: must be local, or {job: ...}")
    assert loaded(tmp_path, _STORE + "run: local").backups.stores[0].run.job is None


def test_a_secret_of_an_engine_is_redacted_and_warned_of_in_plain_text(tmp_path: Path) -> None:
    store = changed("{folder: orders}", "{folder: orders, password: planted-password}")

    settings, warnings = read_settings(written(tmp_path, store), {})

    assert "planted-password" in settings.confidential
    assert "planted-password" not in repr(settings)
    assert [one.key for one in warnings] == ["backups.stores[0].where.password"]
    referred = changed("{folder: orders}", '{folder: orders, password: "${env:PASSWORD}"}')
    assert read_settings(written(tmp_path, referred), {"PASSWORD": "planted-password"})[1] == ()


def test_a_store_that_is_never_drilled_by_itself_is_a_warning(tmp_path: Path) -> None:
    _, warnings = read_settings(written(tmp_path, changed("drill: {every: 7d}\n", "")), {})

    assert [str(one.message) for one in warnings] == [
        "is never drilled by itself, and what was never restored is not known to restore; set drill.every"
    ]


def test_the_look_at_stores_is_neither_constant_nor_rare(tmp_path: Path) -> None:
    assert loaded(tmp_path, _STORE, more="  look_every: 2m\n").backups.look_every == timedelta(minutes=2)
    (found,) = faults(tmp_path, _STORE, more="  look_every: 1h\n")
    assert found.startswith("9:15 backups.look_every: must be 1m to 15m")


def test_an_export_of_the_disaster_plan_needs_a_place(tmp_path: Path) -> None:
    (found,) = faults(tmp_path, _STORE, more="  dr: {every: 7d}\n")
    assert "backups.dr: names no place to write to; set folder, bucket or both" in found

    dr = loaded(tmp_path, _STORE, more="  dr: {folder: plans}\n").backups.dr
    assert dr is not None
    assert dr.folder == str(tmp_path / "plans")


def test_the_schema_knows_the_keys_of_each_engine() -> None:
    schema = written_schema()

    assert '"const": "fake"' in schema
    assert '"FakeBackupSettings"' in schema


def test_every_engine_of_the_settings_is_there_with_its_class() -> None:
    for word in backup_engines.ENGINES:
        assert backup_engines.section_class(word) is not None, word


def test_redis_serves_its_copies_here_so_its_programs_cannot_run_as_a_job() -> None:
    found = list(BackupStoreSettings.mistakes({"engine": "redis", "run": {"job": {"cluster": "main"}}}))

    assert found == [(("run",), "must be local: redis serves its copies on the machine of the bot")]
    assert list(BackupStoreSettings.mistakes({"engine": "redis", "run": "local"})) == []
