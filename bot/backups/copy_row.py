"""The row of a restore, written only while its run is still this process's.

The trap: a process may be frozen for minutes and go on after another one has judged its run. Whoever writes the row
asks for the run first (`tools.remember` refuses a run that was taken over), so a late process does not overwrite what
people have done with the copy since.
"""

from __future__ import annotations

from bot.backups import reports
from bot.core.action import Tools
from bot.core.backup import RestoreRecord
from bot.core.errors import Rejected


def check_ours(record: RestoreRecord, tools: Tools) -> None:
    """Raises `Rejected`: the run was given up, or nothing can be stored; nothing may be written."""
    tools.remember({"restore": record.task.run})


def put(record: RestoreRecord, tools: Tools) -> RestoreRecord:
    """Raises as `check_ours`."""
    check_ours(record, tools)
    reports.backups_of(tools).records.put_restore(record)
    return record


def get(run: str, tools: Tools) -> RestoreRecord:
    """By the first characters of the run's id. Raises `Rejected`: there is none, or more than one."""
    return reports.backups_of(tools).records.get_restore(run)


def find(run: str, tools: Tools) -> RestoreRecord | None:
    """Of the whole id; None: its process died before it stored one."""
    try:
        return get(run, tools)
    except Rejected as refused:
        if refused.code == "no_such_restore":
            return None
        raise
