"""Relative paths in the settings start from the folder of the settings file, wherever the command was started.

The trap: earlier versions took most of them from the working folder. A file that is found only there is a fault and not
passed over, or the bot would begin with an empty database beside the one that it has used until now.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from bot.config.faults import Loc, SettingsDocument, SettingsFault
from bot.lib.settings_fields import LocalPath

_S = TypeVar("_S", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class ResolvedPath:
    """A relative path of the settings: where it leads now, and where it would lead from the working folder."""

    loc: Loc
    path: Path
    from_working_folder: Path | None


def resolve_paths(settings: _S, folder: Path) -> tuple[_S, list[ResolvedPath]]:
    """The settings with absolute paths, and the paths that were relative. `folder`: the settings file's, absolute."""
    resolved: list[ResolvedPath] = []
    working = _working_folder()

    def resolve(loc: Loc, written: Path) -> Path:
        relative = _expanded(written)
        if relative.is_absolute():
            return relative
        path = _joined(folder, relative)
        resolved.append(
            ResolvedPath(
                loc=loc, path=path, from_working_folder=None if working is None else _joined(working, relative)
            )
        )
        return path

    return _walk(settings, (), resolve), resolved


def resolved_fields(kind: type[BaseModel], given: Mapping[str, object], folder: Path) -> Mapping[str, object]:
    """The plain values of one section, with its own paths made absolute as `resolve_paths` does."""

    def absolute(written: Path) -> Path:
        path = _expanded(written)
        return path if path.is_absolute() else _joined(folder, path)

    changed = {}
    for name, field in kind.model_fields.items():
        value = given.get(field.alias or name)
        for mark in _marks(field) if isinstance(value, str) else ():
            changed[field.alias or name] = mark.replace(str(value), absolute)
    return {**given, **changed}


def left_behind(resolved: list[ResolvedPath], given: SettingsDocument) -> list[SettingsFault]:
    """Warnings about files of an earlier version. Adds a fault where the settings lead to no file, and it left one."""
    warnings = []
    for one in resolved:
        old = one.from_working_folder
        if old is None or not is_there(old, unknown=False) or _same(old, one.path):
            continue
        if is_there(one.path, unknown=True):
            warnings.append(given.fault(one.loc, _BOTH.format(new=one.path, old=old), on_value=True))
        else:
            given.add_fault(one.loc, _ONLY_THE_OLD.format(new=one.path, old=old), on_value=True)
    return warnings


_ONLY_THE_OLD = (
    "is relative to this file and leads to {new}, which does not exist; an earlier version took it from the working"
    " folder, where there is {old}; to go on with that one, write its absolute path here, or move it with the files"
    " beside it"
)
_BOTH = (
    "is relative to this file and leads to {new}; there is also {old}, which an earlier version may have used and"
    " nothing uses now; if that is the right one, write its absolute path here, else move it away"
)


def _walk(value: Any, loc: Loc, resolve: Callable[[Loc, Path], Path]) -> Any:
    """The value with every marked path in it resolved."""
    if isinstance(value, Mapping):
        return {key: _walk(one, (*loc, key), resolve) for key, one in value.items()}
    if isinstance(value, tuple):
        return tuple(_walk(one, (*loc, number), resolve) for number, one in enumerate(value))
    if not isinstance(value, BaseModel):
        return value
    changed = {}
    for name, field in type(value).model_fields.items():
        old, here = getattr(value, name), (*loc, field.alias or name)
        marks = _marks(field)
        new = _marked(old, marks[0], here, resolve) if marks else _walk(old, here, resolve)
        if new != old:
            changed[name] = new
    return value.model_copy(update=changed) if changed else value


def _marks(field: FieldInfo) -> list[LocalPath]:
    """Also of one that may be left out, which is written `Annotated[str, FILE] | None`."""
    choices = [get_args(choice)[1:] for choice in get_args(field.annotation) if get_origin(choice) is Annotated]
    return [mark for mark in chain(field.metadata, *choices) if isinstance(mark, LocalPath)]


def _marked(value: Any, mark: LocalPath, loc: Loc, resolve: Callable[[Loc, Path], Path]) -> Any:
    def each(path: Path) -> Path:
        return resolve(loc, path)

    if isinstance(value, SecretStr):
        return SecretStr(mark.replace(value.get_secret_value(), each))
    return None if value is None else mark.replace(value, each)


def is_there(path: Path, *, unknown: bool) -> bool:
    """Whether the file exists; `unknown` where this user cannot find out."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return unknown
    return True


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # there is no such user
        return path


def _joined(folder: Path, relative: Path) -> Path:
    """Without `..` in it. Links are followed only for that: a mounted secret is a link that moves."""
    path = folder / relative
    return path.parent.resolve() / path.name if os.pardir in relative.parts else path


def _working_folder() -> Path | None:
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None
