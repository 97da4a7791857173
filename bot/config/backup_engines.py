"""The engines of backups: the word of the settings, the class of its key `where`, and the class of the engine.

The one place that names them. Both classes are loaded when a store of that engine is there, and not before: an engine
that is not used costs nothing, and `vakhta check` loads no SDK.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from bot.lib.settings_fields import Section

_IN = "bot.integrations"


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineEntry:
    """One engine of backups. `settings` and `engine` are written `module:Class`."""

    settings: str
    engine: str
    runs_programs: bool = False  #: the key `run` of a store means something
    on_this_machine: bool = False  #: its programs serve the copy, so they cannot run as a Job
    only_reads: bool = False  #: it restores nothing, so no drill can be made
    rights: str = ""  #: the module that says which rights it needs in a cluster: to_read, to_restore, to_back_up
    in_cluster: bool = False  #: the key `cluster` of `where` is a name under `clusters`


ENGINES: Mapping[str, EngineEntry] = {
    "postgres": EngineEntry(
        settings=f"{_IN}.postgres.settings:PostgresBackupSettings",
        engine=f"{_IN}.postgres.backups:PostgresEngine",
        runs_programs=True,
    ),
    "pgbackrest": EngineEntry(
        settings=f"{_IN}.pgbackrest.settings:PgBackRestSettings",
        engine=f"{_IN}.pgbackrest.backups:PgBackRestEngine",
        runs_programs=True,
    ),
    "walg": EngineEntry(
        settings=f"{_IN}.walg.settings:WalgSettings",
        engine=f"{_IN}.walg.backups:WalgEngine",
        runs_programs=True,
        only_reads=True,
    ),
    "barman": EngineEntry(
        settings=f"{_IN}.barman.settings:BarmanSettings",
        engine=f"{_IN}.barman.backups:BarmanEngine",
        runs_programs=True,
        only_reads=True,
    ),
    "cnpg": EngineEntry(
        settings=f"{_IN}.cloudnativepg.settings:CloudNativePgSettings",
        engine=f"{_IN}.cloudnativepg.backups:CloudNativePgEngine",
        rights=f"{_IN}.cloudnativepg.rights",
        in_cluster=True,
    ),
    "rds": EngineEntry(settings=f"{_IN}.aws.settings:RdsSettings", engine=f"{_IN}.aws.rds:RdsEngine"),
    "aws-backup": EngineEntry(
        settings=f"{_IN}.aws.settings:AwsBackupSettings", engine=f"{_IN}.aws.aws_backup:AwsBackupEngine"
    ),
    "s3": EngineEntry(
        settings=f"{_IN}.aws.settings:S3VersionsSettings", engine=f"{_IN}.aws.s3_versions:S3VersionsEngine"
    ),
    "clickhouse": EngineEntry(
        settings=f"{_IN}.clickhouse.settings:ClickHouseSettings", engine=f"{_IN}.clickhouse.backups:ClickHouseEngine"
    ),
    "clickhouse-backup": EngineEntry(
        settings=f"{_IN}.clickhouse_backup.settings:ClickHouseBackupSettings",
        engine=f"{_IN}.clickhouse_backup.backups:ClickHouseBackupEngine",
    ),
    "redis": EngineEntry(
        settings=f"{_IN}.redis.settings:RedisSettings",
        engine=f"{_IN}.redis.backups:RedisEngine",
        runs_programs=True,
        on_this_machine=True,
    ),
    "velero": EngineEntry(
        settings=f"{_IN}.velero.settings:VeleroSettings",
        engine=f"{_IN}.velero.backups:VeleroEngine",
        rights=f"{_IN}.velero.rights",
        in_cluster=True,
    ),
}


def section_class(word: object) -> type[Section] | None:
    """The class of `where` of that engine; None for a word that names none."""
    entry = ENGINES.get(word) if isinstance(word, str) else None
    return None if entry is None else _loaded(entry.settings)


def engine_class(word: str) -> type:
    """The class of that engine, with its SDK. Raises `LookupError` for a word that names none."""
    return _loaded(ENGINES[word].engine)


def _loaded(path: str) -> type:
    module, _, name = path.partition(":")
    found: type = getattr(import_module(module), name)
    return found
