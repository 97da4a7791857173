"""A backup that was asked for: begun once for a run, and found again by its annotation in the repository."""

from __future__ import annotations

from collections.abc import Callable

from bot.core.backup import Backup, CopyState, CopyStatus
from bot.core.errors import Conflict
from bot.core.programs import Programs
from bot.integrations.pgbackrest.info import ListedBackup, Stanza
from bot.integrations.pgbackrest.repository import RUN_ANNOTATION, Repository, explain


def begin(repository: Repository, programs: Programs, run: str) -> None:
    """An incremental one where there is a full one, else a full one; pgBackRest itself decides so.

    Raises:
        Conflict, Rejected: nothing was done.
    """
    stanza = repository.stanza()
    if _of_run(stanza, run) is not None or _is_known(programs, run):
        return
    if stanza.running:
        raise Conflict("Another backup of this stanza is being made. Nothing was done. Wait until it has ended.")
    programs.start(repository.backup(run, "incr"))


def look(repository: Repository, programs: Programs, run: str, judged: Callable[[str], Backup | None]) -> CopyStatus:
    """`judged`: the verdict about a backup of the list. Raises `Rejected`."""
    stanza = repository.stanza()
    made = _of_run(stanza, run)
    if made is not None:
        backup = judged(made.label)
        if backup is None or backup.usable:
            return CopyStatus(state=CopyState.RESTORED, message=made.label, data_at=made.stopped)
        return CopyStatus(state=CopyState.FAILED, message=f"Backup {made.label} was made, and {backup.problem}.")
    try:
        ended = programs.poll(f"backup-{run}")
    except LookupError:
        # It died with the bot; pgBackRest goes on with it when the next one begins.
        return CopyStatus(state=CopyState.RUNNING if stanza.running else CopyState.ABSENT, phase="backing up")
    if ended is None:
        return CopyStatus(state=CopyState.RUNNING, phase="backing up", message=_percent(stanza))
    if ended.code:
        return CopyStatus(state=CopyState.FAILED, message=f"pgBackRest made no backup: {explain(ended)}")
    return CopyStatus(
        state=CopyState.FAILED, message="pgBackRest ended without an error, and its list has no backup of this run."
    )


def _of_run(stanza: Stanza, run: str) -> ListedBackup | None:
    return next((one for one in stanza.backups if one.annotation.get(RUN_ANNOTATION) == run), None)


def _is_known(programs: Programs, run: str) -> bool:
    try:
        programs.poll(f"backup-{run}")
    except LookupError:
        return False
    return True


def _percent(stanza: Stanza) -> str:
    return f"{stanza.progress:.0%} copied" if stanza.progress is not None else ""
