"""Builds the stores of the settings with their engines.

An engine is made when its store is first asked for, and its SDK is loaded then. One that cannot be made does not stop
the bot: its store is there, cannot be read, and says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import cache, partial
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING, cast

from bot.alerts import internal
from bot.alerts.answer_deadline import Done
from bot.backups.broken_engine import BrokenEngine, made_or_broken
from bot.backups.freshness import Freshness
from bot.backups.judging import Fault, StoreReport
from bot.config import backup_engines
from bot.config.backups import BackupStoreSettings, CheckSettings, DrillSettings
from bot.config.settings import Settings
from bot.core.action import pause
from bot.core.alert import Alert, AlertBatch
from bot.core.backup import (
    BackupReader,
    BackupRecords,
    Backups,
    BackupStore,
    Check,
    DrillResult,
    DrillRules,
    EngineParts,
)
from bot.core.errors import Rejected
from bot.core.kubernetes import Cluster
from bot.core.programs import Programs
from bot.lib.settings_fields import Section
from bot.lib.time_windows import parse_window
from bot.store.engine import Store

if TYPE_CHECKING:
    from bot.lib.metrics import Metrics

#: The keys of `where` that name a place.
_NAMES_OF_PLACES = ("instance", "cluster", "server", "stanza", "vault", "bucket", "prefix", "database", "folder")


Take = Callable[[AlertBatch, Done], None]
#: Makes the engine of that store.
MakeEngine = Callable[[BackupStoreSettings], BackupReader]


class ConfiguredBackups:
    """Implements `core.backup.Backups`."""

    def __init__(self, stores: Mapping[str, BackupStore], records: BackupRecords) -> None:
        self.stores = stores
        self.records = records


class ConfiguredStores(Mapping[str, BackupStore]):
    """The stores by name. One whose engine could not be made is tried again each time that it is asked for."""

    def __init__(self, sections: Mapping[str, BackupStoreSettings], make: MakeEngine) -> None:
        self._sections = sections
        self._make = make
        self._made: dict[str, BackupStore] = {}
        self._locks = {name: Lock() for name in sections}

    def __getitem__(self, name: str) -> BackupStore:
        section = self._sections[name]
        with self._locks[name]:  # one that is slow to make delays no other store
            if name in self._made:
                return self._made[name]
            store = _store(section, made_or_broken(section.engine, partial(self._make, section)))
            if not isinstance(store.engine, BrokenEngine):
                self._made[name] = store
            return store

    def __iter__(self) -> Iterator[str]:
        return iter(self._sections)

    def __len__(self) -> int:
        return len(self._sections)


def build_backups(
    settings: Settings, records: BackupRecords, now: Callable[[], datetime], make: MakeEngine | None = None
) -> ConfiguredBackups | None:
    """Builds all stores of the settings; None where they have none. `make`: by default as the settings say."""
    return ConfiguredBackups(build_stores(settings, now, make), records) if settings.backups.stores else None


def build_stores(
    settings: Settings, now: Callable[[], datetime], make: MakeEngine | None = None
) -> Mapping[str, BackupStore]:
    """Builds the stores by name; the engine of each when it is asked for."""
    sections = {one.name: one for one in settings.backups.stores}
    return ConfiguredStores(sections, make or partial(_make_engine, _clusters(settings), now))


def build_freshness(settings: Settings, backups: Backups, store: Store, take: Take, meters: Metrics) -> Freshness:
    """Builds what looks at the stores, and alarms."""

    def firing() -> list[Alert]:
        with store.read() as reading:
            groups = (internal.BACKUPS, internal.QUIET_BACKUPS)
            return [one for prefix in groups for one in reading.firing_in_groups(internal.OWN, prefix)]

    return Freshness(
        backups,
        now=store.now,
        look_every=settings.backups.look_every,
        take=take,
        firing=firing,
        observe=partial(_measure, meters),
    )


def _measure(meters: Metrics, report: StoreReport, now: datetime) -> None:
    """Put a report into the metrics. What is not known has no series, so that `absent` finds it."""
    age, passed = report.data_age(now), report.last_passed
    usable = report.known and report.finding(Fault.NOTHING_USABLE) is None
    meters.backup_usable.labels(report.store).set(usable)
    times = {
        meters.backup_age_seconds: age,
        meters.restore_seconds: report.rto_median,
        meters.drill_age_seconds: None if passed is None else now - passed.began_at,
        meters.drill_rpo_seconds: None if passed is None else passed.rpo,
        meters.drill_rto_seconds: None if passed is None else passed.rto,
    }
    told = {gauge: None if much is None else much.total_seconds() for gauge, much in times.items()}
    told |= {
        meters.backup_size_ratio: report.size_ratio,
        meters.backup_duration_ratio: report.duration_ratio,
    }
    for gauge, value in told.items():
        if value is None:
            gauge.remove_by_labels({"store": report.store})
        else:
            gauge.labels(report.store).set(value)
    if report.last_drill is not None:
        meters.drill_passed.labels(report.store).set(report.last_drill.result is DrillResult.PASSED)


def _store(section: BackupStoreSettings, engine: BackupReader) -> BackupStore:
    return BackupStore(
        name=section.name,
        service=section.service or "",
        engine=engine,
        engine_name=section.engine,
        rpo=section.rpo,
        rto=section.rto,
        checks=tuple(map(_check, section.checks)),
        drill=_drill_rules(section.drill),
        keep_old=section.keep_old,
        where=_place(section.where),
    )


def _place(where: Section) -> str:
    """Where the backups are, for people: as its class says it, or else by the names in it. Holds no secret."""
    said = getattr(where, "place", "")
    named = [(key, getattr(where, key, None)) for key in _NAMES_OF_PLACES]
    return str(said) or ", ".join(f"{key} {value}" for key, value in named if isinstance(value, str) and value)


def _check(section: CheckSettings) -> Check:
    return Check(
        name=section.name,
        query=section.query,
        expect=section.expect or "",
        tolerance_percent=section.tolerance_percent,
        like_live=section.like_live,
        newest_within=section.newest_within,
    )


def _drill_rules(section: DrillSettings | None) -> DrillRules:
    if section is None:
        return DrillRules()
    return DrillRules(
        every=section.every or timedelta(0),
        during=tuple(map(parse_window, section.during)),
        at_most=section.at_most,
        sentinel=section.sentinel,
    )


def _make_engine(
    clusters: Callable[[str], Cluster], now: Callable[[], datetime], section: BackupStoreSettings
) -> BackupReader:
    parts = EngineParts(
        store=section.name,
        now=now,
        pause=pause,
        programs=_programs(clusters, section),
        cluster=clusters,
    )
    made = backup_engines.engine_class(section.engine)(section.where, parts)
    return cast("BackupReader", made)


def _programs(clusters: Callable[[str], Cluster], section: BackupStoreSettings) -> Programs | None:
    """Where the engine's programs run; None for an engine without programs."""
    if not backup_engines.ENGINES[section.engine].runs_programs:
        return None
    job = section.run.job
    if job is None:
        return cast("Programs", import_module("bot.integrations.programs.local").LocalPrograms())
    return cast("Programs", import_module("bot.integrations.programs.job").JobPrograms(job, clusters(job.cluster)))


def _clusters(settings: Settings) -> Callable[[str], Cluster]:
    @cache
    def made(name: str) -> Cluster:
        section = settings.clusters.get(name)
        if section is None:
            known = ", ".join(settings.clusters) or "none"
            raise Rejected(f"The settings have no cluster {name}. Nothing was done. Known: {known}.", code="no_cluster")
        return cast("Cluster", import_module("bot.integrations.kubernetes.client").KubernetesClient(name, section))

    return made
