"""Writes the plan for a disaster outside of what it recovers: into a folder, and a bucket.

Each time it is written twice: under a name that stays, and under one with its date, so that an old one is there if the
last was written in the middle of the disaster. A file is replaced whole or not at all.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from time import monotonic

from pydantic import SecretStr
from sqlalchemy import make_url

from bot.app.build_backups import build_stores
from bot.backups import judging
from bot.backups.disaster import StoreInDisaster
from bot.backups.disaster_paper import DisasterPaper, OwnStore, write_paper
from bot.config.backups import DisasterExportSettings
from bot.config.settings import Settings
from bot.core.backup import BackupRecords
from bot.core.errors import OutcomeUnknown, Rejected
from bot.lib.settings_fields import Section

EVERY_S = 60  #: Seconds between two looks at whether it is due.
_AGAIN_S = 3600.0  #: until the next try after one that failed
_NAME = "disaster-recovery"

logger = logging.getLogger(__name__)


def made_paper(
    settings: Settings, settings_file: str, records: BackupRecords | None, now: datetime, *, unknown: str = ""
) -> str:
    """The plan as Markdown. `records` None: the bot's database cannot be read, and `unknown` says why."""
    url = make_url(settings.store.url.get_secret_value())
    file = settings.store.file
    return write_paper(
        DisasterPaper(
            version=version("vakhta"),
            written_at=now,
            own=OwnStore(
                file="" if file is None else str(file),
                address=url.set(password=None, username=None, query={}).render_as_string(),
                settings_file=settings_file,
            ),
            stores=list(_stores(settings, records, now)),
            named={one.name: _named(one.where) for one in settings.backups.stores},
            with_workload=frozenset(
                one.name for one in settings.services if one.workload and one.cluster in settings.clusters
            ),
            unknown=unknown,
        )
    )


def write_to(export: DisasterExportSettings, paper: str, now: datetime) -> list[str]:
    """Write it to every place of the settings. Returns where, for people.

    Raises:
        Rejected: a place did not take it; the others may have it.
    """
    names = (f"{_NAME}.md", f"{_NAME}-{now:%Y-%m-%d}.md")
    places, troubles = [], []
    for write in _places(export):
        try:
            places += [write(name, paper) for name in names]
        except (Rejected, OutcomeUnknown) as trouble:
            troubles.append(trouble.message)
    if troubles:
        raise Rejected(f"{' '.join(troubles)} Written: {', '.join(places) or 'nothing'}.", code="not_written")
    return places


def write_file(folder: Path, name: str, paper: str) -> str:
    """Raises `Rejected`: the file there is as it was."""
    half = folder / f".{name}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with half.open("w", encoding="utf-8") as file:
                file.write(paper)
                file.flush()
                os.fsync(file.fileno())
            half.replace(folder / name)
        finally:
            half.unlink(missing_ok=True)
    except OSError as error:
        message = f"{folder / name} was not written: {error.strerror}."
        raise Rejected(f"{message} Give the bot's user the right, or free some space.", code="not_written") from None
    return str(folder / name)


class DisasterExport:
    """Writes the plan when the bot starts, and then at the interval of the settings. Call `tick` periodically.

    A place that does not take it is logged and tried again after an hour.
    """

    def __init__(
        self,
        export: DisasterExportSettings,
        make: Callable[[], str],
        now: Callable[[], datetime],
        written: Callable[[datetime], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._export = export
        self._make = make
        self._now = now
        self._written = written
        self._clock = clock
        self._due_at = clock()

    def tick(self) -> None:
        if self._clock() < self._due_at:
            return
        self._due_at = self._clock() + _AGAIN_S
        now = self._now()
        try:
            places = write_to(self._export, self._make(), now)
        except Rejected as trouble:
            logger.error("the plan for a disaster was not written", extra={"why": trouble.message})  # noqa: TRY400
            return
        self._due_at = self._clock() + self._export.every.total_seconds()
        self._written(now)
        logger.info("the plan for a disaster is written", extra={"places": places})


def _stores(settings: Settings, records: BackupRecords | None, now: datetime) -> Iterator[StoreInDisaster]:
    for store in build_stores(settings, lambda: now).values():
        drills = records.list_drills(store.name, judging.DRILLS_JUDGED) if records else ()
        look = records.get_look(store.name) if records else None
        yield StoreInDisaster(report=judging.judge(store, look, drills, now), drills=drills)


def _named(where: Section) -> dict[str, str]:
    """The values that are no secrets, as text."""
    found = {name: getattr(where, name) for name in type(where).model_fields}
    return {
        name: str(one) for name, one in found.items() if isinstance(one, str | int) and not isinstance(one, SecretStr)
    }


def _places(export: DisasterExportSettings) -> Iterator[Callable[[str, str], str]]:
    if export.folder is not None:
        folder = Path(export.folder)
        yield lambda name, paper: write_file(folder, name, paper)
    if export.bucket is not None:
        bucket = export.bucket

        def put(name: str, paper: str) -> str:
            objects = import_module("bot.integrations.aws.objects").Objects(bucket)
            objects.put_bytes(f"{bucket.prefix}{name}", paper.encode())
            return f"s3://{bucket.bucket}/{bucket.prefix}{name}"

        yield put
