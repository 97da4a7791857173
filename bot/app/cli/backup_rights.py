"""The rights in a cluster that stores of backups need: to read them, to restore and drill them, to make a backup now.

Asked for is what the settings enable: a restore only where somebody's role allows it, or where a drill is scheduled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module

from bot.config import backup_engines
from bot.config.backups import BackupStoreSettings
from bot.config.settings import Settings
from bot.core.kubernetes import ResourceAccess

_RESTORES = ("restore", "drill", "cutover")
#: To run a program as a Job, and to read how it ends.
_JOBS = (
    *((verb, "batch", "jobs") for verb in ("create", "get", "list", "delete")),
    *((verb, "", resource) for resource in ("pods", "events") for verb in ("get", "list")),
    ("get", "", "pods/log"),
)


def of_stores(
    settings: Settings, cluster: str, enabled: Callable[[str, str], bool]
) -> Iterator[tuple[str, tuple[ResourceAccess, ...]]]:
    """Purpose and rights, for each store in that cluster. `enabled`: whether anybody may use the verb on the store."""
    for store in settings.backups.stores:
        yield from _of_engine(store, cluster, enabled)
        job = store.run.job
        if job is not None and job.cluster == cluster:
            needed = (ResourceAccess(verb=v, group=g, resource=r, namespace=job.namespace) for v, g, r in _JOBS)
            yield f"programs of {store.name}", tuple(needed)


def _of_engine(
    store: BackupStoreSettings, cluster: str, enabled: Callable[[str, str], bool]
) -> Iterator[tuple[str, tuple[ResourceAccess, ...]]]:
    entry = backup_engines.ENGINES[store.engine]
    if not entry.rights or getattr(store.where, "cluster", None) != cluster:
        return
    rights = import_module(entry.rights)
    yield f"backups {store.name}", rights.to_read(store.where)
    scheduled = store.drill is not None and bool(store.drill.every)
    if scheduled or any(enabled(verb, store.name) for verb in _RESTORES):
        yield f"restore {store.name}", rights.to_restore(store.where)
    if enabled("backup", store.name):
        yield f"backup {store.name}", rights.to_back_up(store.where)
