"""How one copy comes about: files copied, server started, WAL replayed, recovery ended.

The promise: each step is found by looking, so whoever looks, after a crash too, brings the same copy further, and does
nothing twice. pgBackRest's own lock (in the copy's folder) keeps a second restore out while a first one still runs, and
pg_ctl a second server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from bot.core.backup import CopyState, CopyStatus, RestoreTask
from bot.core.programs import Programs
from bot.integrations.pgbackrest import planning
from bot.integrations.pgbackrest.copy_folder import CopyFolder, Label, copies_in
from bot.integrations.pgbackrest.copy_server import CopyServer, ServerState, free_port
from bot.integrations.pgbackrest.recovery_log import failure_in, progress_in
from bot.integrations.pgbackrest.repository import Repository, explain
from bot.integrations.pgbackrest.settings import PgBackRestSettings

#: How often a restore that a crash has cut off is begun again, where it stopped.
_TRIES = 3
#: pgBackRest's exit code for a folder with files in which neither PG_VERSION nor backup.manifest is: --delta is then
#: switched off. A restore leaves it so that was cut off in its first moments. https://pgbackrest.org/command.html
_NOT_EMPTY = 40
#: What the configuration of the live cluster may say of its own restores, and would lead this one elsewhere: symlinks
#: to the live pg_wal, tablespaces in the live one's places, databases left out, another host, commands of PostgreSQL.
_NOT_AS_CONFIGURED = (
    "--no-link-all",
    "--reset-link-map",
    "--reset-tablespace-map",
    "--reset-db-include",
    "--reset-db-exclude",
    "--reset-pg1-host",
    "--reset-recovery-option",
)


@dataclass(frozen=True, kw_only=True)
class CopyCourse:
    where: PgBackRestSettings
    programs: Programs
    repository: Repository
    now: Callable[[], datetime]
    task: RestoreTask
    folder: CopyFolder

    def copy(self, *, tries: int) -> None:
        """Start pgBackRest's restore. One that was cut off goes on where it stopped (--delta)."""
        point, folder = self.task.point, self.folder
        kind = planning.kind_of(point)
        options = [
            f"--pg1-path={folder.data}",
            f"--lock-path={folder.path / 'lock'}",
            f"--tablespace-map-all={folder.path / 'tablespaces'}",
            f"--set={point.backup_id}",
            f"--type={kind}",
            "--archive-mode=off",
            "--delta",
            *_NOT_AS_CONFIGURED,
        ]
        if kind == planning.MOMENT and point.at is not None:
            options += [f"--target={planning.spell_target(point.at)}", "--target-action=promote"]
        if kind == planning.BACKUP_ALONE:
            options += ["--target-action=promote"]
        self.programs.start(self.repository.restore(self._key(tries), options))

    def step(self, label: Label) -> CopyStatus:
        """Bring it as far as it goes without waiting, and say how it stands. Raises `Rejected`."""
        if label.failure:
            return self._failed(label.failure)
        if label.port == 0:
            copying = self._copying(label)
            if copying is not None:
                return copying
            label = self._start(label)
        return self._serving(label)

    def _copying(self, label: Label) -> CopyStatus | None:
        """None: all files are there."""
        try:
            ended = self.programs.poll(self._key(label.tries))
        except LookupError:
            return None if self.folder.is_copied else self._copy_again(label)
        if ended is None:
            return self._status(CopyState.RUNNING, "copying", bytes_done=self.folder.size())
        if ended.code == _NOT_EMPTY and label.tries > 1:
            self.folder.empty()  # pgBackRest looks under its lock, so no other restore writes there
            return self._copy_again(label)
        if ended.code:
            return self._fail(label, f"pgBackRest could not restore the files: {explain(ended)}")
        if not self.folder.is_copied:
            return self._fail(label, "pgBackRest ended without an error and left no pg_control: the copy is not whole.")
        return None

    def _copy_again(self, label: Label) -> CopyStatus:
        """The program died with the process that had started it, and left the copy unfinished."""
        if label.tries >= _TRIES:
            return self._fail(label, f"the restore was cut off {label.tries} times. Ask for it again.")
        label = self.folder.update(label, tries=label.tries + 1)
        self.copy(tries=label.tries)
        return self._status(CopyState.RUNNING, "copying", "the restore was cut off, and goes on where it stopped")

    def _start(self, label: Label) -> Label:
        taken = frozenset(one.port for _, one in copies_in(self.folder.path.parent))
        return self._started(self.folder.update(label, port=free_port(self.where.ports, taken)))

    def _started(self, label: Label) -> Label:
        label = self.folder.update(label, starts=label.starts + 1)
        self._server.start(label)
        return label

    def _serving(self, label: Label) -> CopyStatus:
        server = self._server
        if server.pid() is None:
            return self._ended(label)
        state = server.ask()
        if state is None or state.recovering:
            return self._recovering(state)
        return self._promoted(label, state)

    def _ended(self, label: Label) -> CopyStatus:
        """Its server does not run: it never started, failed, or was ended (a reboot of the machine)."""
        why = failure_in(self._server.log())
        if label.restored_at is None and why:
            return self._fail(label, f"The copy did not become whole: {why}.")
        if label.restored_at is None and label.starts >= _TRIES:
            return self._fail(label, f"The copy's server ended without a reason. See {self.folder.log}.")
        self._started(label)
        return self._status(CopyState.RUNNING, "starting", "the copy's server is being started")

    def _recovering(self, state: ServerState | None) -> CopyStatus:
        progress = progress_in(self._server.log())
        if state is not None and state.paused:
            # Of pause_at_target, or of a setting that is too small: neither ends by itself.
            return self._status(
                CopyState.RUNNING, "paused", f"recovery is paused, and the copy is not promoted{_after(progress)}"
            )
        return self._status(
            CopyState.RUNNING,
            "replaying WAL" if state or progress else "starting",
            progress,
            data_at=state.newest_commit if state else None,
        )

    def _promoted(self, label: Label, state: ServerState) -> CopyStatus:
        above = int(self.task.facts.get("timeline", "0"))
        if state.timeline <= above:
            return self._status(CopyState.RUNNING, "promoting", f"it is still on timeline {state.timeline}")
        if label.restored_at is None:
            newest = state.newest_commit or _moment(self.task.facts.get("stopped"))
            label = self.folder.update(label, restored_at=self.now(), data_at=newest, timeline=state.timeline)
        where = f"{self.where.listen}:{label.port}" if self.where.listen and not label.drill else "its socket alone"
        size = int(self.task.facts.get("size", "0")) or None
        return replace(
            self._status(CopyState.RESTORED, "", f"PostgreSQL in {self.folder.path} ({where})", bytes_done=size),
            data_at=label.data_at,
        )

    def _fail(self, label: Label, why: str) -> CopyStatus:
        """It stays so: the reason is kept with the copy."""
        self.folder.update(label, failure=why)
        return self._failed(why)

    def _failed(self, why: str) -> CopyStatus:
        return CopyStatus(state=CopyState.FAILED, message=why)

    def _status(
        self,
        state: CopyState,
        phase: str,
        message: str = "",
        *,
        bytes_done: int | None = None,
        data_at: datetime | None = None,
    ) -> CopyStatus:
        total = int(self.task.facts.get("size", "0")) or None
        return CopyStatus(
            state=state, phase=phase, message=message, bytes_done=bytes_done, bytes_total=total, data_at=data_at
        )

    @property
    def _server(self) -> CopyServer:
        return CopyServer(self.where, self.programs, self.folder, self.task.facts.get("version", ""))

    def _key(self, tries: int) -> str:
        return f"restore-{self.task.run}-{tries}"


def _after(progress: str) -> str:
    return f"; {progress}" if progress else ""


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
