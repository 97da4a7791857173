"""When backups expire, where pgBackRest's configuration says it: retention by time. Pure but for reading that file.

A full backup that is older than so many days is deleted once a newer full one is as old, and takes those that build on
it along. By a count of backups, which is pgBackRest's usual way, nobody knows the moment.
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from bot.integrations.pgbackrest.info import ListedBackup
from bot.integrations.pgbackrest.settings import PgBackRestSettings

_USUAL_FILE = "/etc/pgbackrest/pgbackrest.conf"


def retention_of(where: PgBackRestSettings) -> timedelta | None:
    """How long full backups are kept; None when it is by count, or cannot be read here."""
    kind, kept = (_option(where, f"repo{where.repo}-retention-full{part}") for part in ("-type", ""))
    return timedelta(days=int(kept)) if kind == "time" and kept.isdecimal() else None


def expiries(backups: Sequence[ListedBackup], kept: timedelta | None) -> Mapping[str, datetime]:
    """Label -> the first moment at which it may be deleted. The newest full one has none."""
    if kept is None:
        return {}
    full = sorted((one for one in backups if one.kind == "full"), key=lambda one: one.stopped)
    ends = {one.label: newer.stopped + kept for one, newer in pairwise(full)}
    return {one.label: end for one in backups for label, end in ends.items() if label in (one.label, *one.references)}


def _option(where: PgBackRestSettings, name: str) -> str:
    if name in where.options:
        return where.options[name]
    file = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        file.read_string(Path(where.config or _USUAL_FILE).read_text())
    except (OSError, UnicodeDecodeError, configparser.Error):
        return ""
    sections = (f"{where.stanza}:expire", where.stanza, "global:expire", "global")
    return next((file[one][name] for one in sections if file.has_section(one) and name in file[one]), "")
