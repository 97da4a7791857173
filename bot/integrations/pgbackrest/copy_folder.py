"""The folder of one restored cluster: where its data, its own configuration and its socket are, and whose it is.

The promise: a folder is made with its label in it in one step, so none of ours is ever without one, and a folder
without one is never touched. The label is what a process that comes after a crash goes by.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from errno import EACCES
from pathlib import Path

from bot.core.backup import DRILL_LABEL, OWNER_LABEL
from bot.core.errors import Conflict, Rejected

_LABEL = "vakhta.json"
#: The longest path of a Unix socket: sun_path of Linux, less PostgreSQL's own name for it.
_SOCKET_LIMIT = 107 - len("/.s.PGSQL.65535")


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """Whose a copy is, and how far it has come."""

    run: str
    store: str
    drill: bool
    created_at: datetime
    kind: str  #: type of the recovery: default, immediate, time
    port: int = 0  #: 0: its server was not started yet
    tries: int = 1  #: how often the restore was begun; it is continued where a crash has stopped it
    starts: int = 0  #: how often its server was started
    restored_at: datetime | None = None
    data_at: datetime | None = None  #: its newest commit when it was restored
    timeline: int = 0
    failure: str = ""  #: why it will never be complete


@dataclass(frozen=True, slots=True)
class CopyFolder:
    """Raises `Rejected` from every call when the folder cannot be read or written."""

    path: Path

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def settings(self) -> Path:
        return self.path / "conf"

    @property
    def socket(self) -> Path:
        return self.path / "s"

    @property
    def log(self) -> Path:
        return self.path / "postgresql.log"

    @property
    def is_copied(self) -> bool:
        """Whether all files are there: pgBackRest puts pg_control in its place as the last of them."""
        return (self.data / "global" / "pg_control").exists()

    def label(self) -> Label | None:
        """None: there is no folder, or it is not ours."""
        try:
            given = json.loads((self.path / _LABEL).read_text())
            known = {key: given[key] for key in Label.__dataclass_fields__ if key in given}
            for key in ("created_at", "restored_at", "data_at"):
                known[key] = datetime.fromisoformat(given[key]) if given.get(key) else None
            return Label(**known)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError:
            if not self._is_of_this_user:
                return None  # lost+found of a volume: ours belong to us.
            raise self._unusable(PermissionError(EACCES, os.strerror(EACCES))) from None
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise self._unusable(error) from None

    @property
    def _is_of_this_user(self) -> bool:
        try:
            return self.path.stat().st_uid == os.geteuid()
        except OSError:
            return False

    def make(self, label: Label) -> None:
        """Raises `Conflict`: something of that name is there already, and is not this run's."""
        draft = self.path.with_name(f".{self.path.name}.new")
        try:
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(mode=0o700)
            for name in ("data", "conf", "s", "lock", "tablespaces"):
                (draft / name).mkdir(mode=0o700)
            (draft / _LABEL).write_text(_text(label))
            draft.rename(self.path)
        except OSError as error:
            shutil.rmtree(draft, ignore_errors=True)
            if self.path.exists():
                raise Conflict(f"{self.path} exists and is not a copy of this run. Nothing was done.") from None
            raise self._unusable(error) from None

    def update(self, label: Label, **changes: object) -> Label:
        """Write those fields of the label; returns the new one."""
        changed = replace(label, **changes)  # type: ignore[arg-type]  # the fields of Label
        draft = self.path / f"{_LABEL}.new"
        try:
            draft.write_text(_text(changed))
            draft.replace(self.path / _LABEL)
        except OSError as error:
            raise self._unusable(error) from None
        return changed

    def size(self) -> int:
        """Bytes of the data so far."""
        total, folders = 0, [self.data, self.path / "tablespaces"]
        while folders:
            with suppress(OSError), os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(Path(entry.path))
                    elif entry.is_file(follow_symlinks=False):
                        with suppress(OSError):
                            total += entry.stat(follow_symlinks=False).st_size
        return total

    def empty(self) -> None:
        """Delete what was restored so far, and nothing else. Raises `Rejected`."""
        try:
            for folder in (self.data, self.path / "tablespaces"):
                for entry in list(folder.iterdir()):
                    if entry.is_dir() and not entry.is_symlink():
                        shutil.rmtree(entry)
                    else:
                        entry.unlink()
        except OSError as error:
            raise self._unusable(error) from None

    def remove(self) -> None:
        """The label goes last, so a folder that was removed half is still known as ours."""
        try:
            for entry in list(self.path.iterdir()):
                if entry.name == _LABEL:
                    continue
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
            (self.path / _LABEL).unlink(missing_ok=True)
            self.path.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> Rejected:
        why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        return Rejected(
            f"The folder of the copy, {self.path}, cannot be used: {why}. Check its owner and the free space.",
            code="folder",
        )


def socket_problem(folder: CopyFolder) -> str:
    """Why PostgreSQL could not make its socket there; "" if it can."""
    if len(os.fsencode(folder.socket)) <= _SOCKET_LIMIT:
        return ""
    return f"the path of its Unix socket would be too long ({folder.socket}); set folder to a shorter path"


def copies_in(folder: Path) -> Iterator[tuple[CopyFolder, Label]]:
    """All copies of ours there. Raises `Rejected`."""
    try:
        entries = sorted(folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise Rejected(
            f"The folder of the copies, {folder}, cannot be read: {error.strerror}.", code="folder"
        ) from None
    for path in entries:
        one = CopyFolder(path)
        label = one.label() if not path.name.startswith(".") else None
        if label is not None:
            yield one, label


def is_same_place(one: Path, other: Path) -> bool:
    """Whether one of the two is the other, or is inside it, by any path that leads there."""
    if not other.exists():
        return False
    first, second = one.resolve(), other.resolve()
    if first == second or first in second.parents or second in first.parents:
        return True
    return one.exists() and one.samefile(other)


def _text(label: Label) -> str:
    written: Mapping[str, object] = {
        DRILL_LABEL if label.drill else OWNER_LABEL: label.run,
        **{key: value.isoformat() if isinstance(value, datetime) else value for key, value in asdict(label).items()},
    }
    return json.dumps(written, indent=1)
