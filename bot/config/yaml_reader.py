"""Reads a settings file into plain values, with the line and column of each.

No tag is obeyed, so the file cannot run code. Size, depth, aliases and values are limited, and counted on the flat
event stream before any recursive code sees the file, so it cannot exhaust memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from bot.config.faults import InvalidSettings, Loc, Plain, SettingsDocument, SettingsFault, key_path

_LARGEST = 1024 * 1024  #: bytes of a file
_DEEPEST = 32
_MOST_ALIASES = 64
_MOST_VALUES = 100_000  #: with every alias expanded; a catalog of 1,000 services has some 40,000
_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_KINDS = ("str", "int", "float", "bool", "null", "map", "seq", "timestamp", "value", "merge")
_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in _KINDS)


def read_document(path: Path) -> SettingsDocument:
    """The file's values and their positions; faults that do not stop the reading are in `SettingsDocument.faults`.

    Raises:
        InvalidSettings: it cannot be read at all (missing, too large, not YAML, made to exhaust memory).
    """
    given = SettingsDocument(str(path))
    text = _text_of(path)
    try:
        _measure(text, given)
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        raise InvalidSettings(_unreadable(error, text, given.file)) from None
    if node is None:
        return given
    if not isinstance(node, yaml.MappingNode):
        raise InvalidSettings(
            [SettingsFault(given.file, 1, 1, "", "must be keys and values, such as `server:`; see deploy/config")]
        )
    _Reading(given).read_mapping(node, (), given.tree)
    return given


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except OSError as error:
        raise InvalidSettings(
            [SettingsFault(str(path), 1, 1, "", f"cannot be read ({error.strerror}); name another file with --config")]
        ) from None
    if len(raw) > _LARGEST:
        raise InvalidSettings(
            [SettingsFault(str(path), 1, 1, "", "is larger than the limit of 1 MiB; nothing was read")]
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InvalidSettings([SettingsFault(str(path), line, 1, "", "is not UTF-8; save it as UTF-8")]) from None


def _measure(text: str, given: SettingsDocument) -> None:
    """Count the file's parts on the flat event stream, before any recursive code reads it."""
    depth = aliases = values = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        aliases += isinstance(event, yaml.AliasEvent)
        values += isinstance(event, yaml.NodeEvent)
        if depth > _DEEPEST or aliases > _MOST_ALIASES or values > _MOST_VALUES:
            line, column = _place(event.start_mark)
            limits = f"{_DEEPEST} levels, {_MOST_ALIASES} aliases, {_MOST_VALUES} values"
            message = f"exceeds the limits of a settings file ({limits})"
            raise InvalidSettings([SettingsFault(given.file, line, column, "", f"{message}; nothing was read")])


def _unreadable(error: yaml.YAMLError, text: str, file: str) -> Iterator[SettingsFault]:
    tabs = [
        number for number, line in enumerate(text.splitlines(), 1) if "\t" in line[: len(line) - len(line.lstrip())]
    ]
    for number in tabs:
        yield SettingsFault(file, number, 1, "", "is indented with a tab; YAML allows only spaces")
    if tabs:
        return
    mark = getattr(error, "problem_mark", None)
    message = getattr(error, "problem", None) or "it holds a character that YAML does not allow"
    line, column = _place(mark)
    yield SettingsFault(file, line, column, "", f"is not YAML here ({message}); correct this line or the one above it")


class _Reading:
    """Turns nodes into plain values. A value that an alias repeats counts each time."""

    def __init__(self, given: SettingsDocument) -> None:
        self._given = given
        self._left = _MOST_VALUES

    def read_mapping(self, node: yaml.MappingNode, loc: Loc, into: dict[str, Plain]) -> None:
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            key, mark = str(key_node.value), _place(key_node.start_mark)
            if not isinstance(key_node, yaml.ScalarNode):
                self._given.faults.append(
                    SettingsFault(self._given.file, *mark, key_path(loc), "has a key that is not plain text")
                )
                continue
            here = (*loc, key)
            if key in first:
                message = f"appears twice, first on line {first[key]}; keep one"
                self._given.keys_with_faults.add(here)
                self._given.faults.append(SettingsFault(self._given.file, *mark, key_path(here), message))
                continue
            first[key] = mark[0]
            self._given.keys[here] = mark
            into[key] = self._read(value_node, here)

    def _read(self, node: yaml.Node, loc: Loc) -> Plain:
        self._given.values[loc] = _place(node.start_mark)
        self._left -= 1
        if self._left < 0 or len(loc) > _DEEPEST:
            raise InvalidSettings(
                [self._given.fault(loc, "expands beyond the limit through its aliases; write the values out")]
            )
        if node.tag not in _TAGS:
            self._given.add_fault(
                loc, "has a YAML tag (!...), and tags are not supported; write the plain value", on_value=True
            )
        if isinstance(node, yaml.MappingNode):
            mapping: dict[str, Plain] = {}
            self.read_mapping(node, loc, mapping)
            return mapping
        if isinstance(node, yaml.SequenceNode):
            return [self._read_item(item, (*loc, number)) for number, item in enumerate(node.value)]
        return _plain(node.tag.rpartition(":")[2], str(node.value))

    def _read_item(self, node: yaml.Node, loc: Loc) -> Plain:
        self._given.keys[loc] = _place(node.start_mark)
        return self._read(node, loc)


def _plain(kind: str, text: str) -> Plain:
    """A scalar's value. What YAML 1.1 would read as sexagesimal, old octal or date stays text, as written."""
    try:
        match kind:
            case "null":
                return None
            case "bool":
                return text.lower() in {"true", "yes", "on"}
            case "int":
                return int(text, 0)
            case "float":
                return float(text)
    except ValueError:
        return text
    return text


def _place(mark: Any) -> tuple[int, int]:  # the two loaders have unrelated mark classes
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)
