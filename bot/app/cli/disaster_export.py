"""`vakhta dr export`: the plan for a disaster, written now. It works while no bot runs, and without its database."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from bot.app import disaster_export
from bot.app.existing_store import open_existing
from bot.config.settings import Settings
from bot.core.errors import Rejected
from bot.store.backup_rows import StoredBackupRecords
from bot.store.engine import Unavailable

_NOWHERE = (
    "The settings do not say where to write it. Nothing was written."
    " Name a folder, or - for stdout; or set backups.dr.folder or backups.dr.bucket."
)


def export(settings: Settings, config: Path, to: str | None) -> str:
    """Returns what to print: where it was written, or the plan itself for `-`.

    Raises:
        Rejected: it was not written everywhere.
    """
    if to is None and settings.backups.dr is None:
        raise Rejected(_NOWHERE)
    now = datetime.now(UTC)
    paper = _paper(settings, config, now)
    if to == "-":
        return paper.rstrip("\n")
    if to is not None:
        return disaster_export.write_file(Path(to), "disaster-recovery.md", paper)
    assert settings.backups.dr is not None
    return "\n".join(disaster_export.write_to(settings.backups.dr, paper, now))


def _paper(settings: Settings, config: Path, now: datetime) -> str:
    try:
        store = open_existing(settings, config)
    except (Rejected, SystemExit) as trouble:
        why = trouble.message if isinstance(trouble, Rejected) else str(trouble)
        return disaster_export.made_paper(settings, str(config.absolute()), None, now, unknown=why)
    try:
        return disaster_export.made_paper(settings, str(config.absolute()), StoredBackupRecords(store), now)
    except Unavailable as trouble:
        return disaster_export.made_paper(settings, str(config.absolute()), None, now, unknown=str(trouble))
    finally:
        store.close()
