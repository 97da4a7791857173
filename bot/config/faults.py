"""Mistakes in the settings: one `SettingsFault` each, all reported at once, worded for a person who edits the file.

No message shows a value, because a value may be a secret. The line and the key identify it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from bot.lib.settings_fields import Section

Loc = tuple[str | int, ...]  #: the path to a value: ("people", 0, "slack")
Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]

#: Prefix of pydantic's error type -> our message; pydantic's own messages speak of Python types.
_MESSAGES: Mapping[str, str] = {
    "string_type": "must be text; put it in quotes",
    "string_too_short": "must not be empty",
    "int_": "must be a whole number",
    "bool_": "must be true or false",
    "model_": "must be keys and values, one per line below it",
    "mapping_": "must be keys and values, one per line below it",
    "dict_": "must be keys and values, one per line below it",
    "tuple_": "must be a list; begin the line of each entry with a dash",
    "less_than_equal": "must be at most {le}",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be above {gt}",
    "too_short": "must not be empty; give at least one",
}


@dataclass(frozen=True, order=True)
class SettingsFault:
    """One mistake. `message` says what is wrong and what to do, and never shows a value."""

    file: str
    line: int  #: from 1
    column: int  #: from 1
    key: str  #: "people[2].slack"; "" for the file as a whole
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column} {self.key + ': ' if self.key else ''}{self.message}"


class InvalidSettings(Exception):
    """The settings cannot be used. Holds every fault, in the order of the file; nothing was started."""

    def __init__(self, faults: Iterable[SettingsFault]) -> None:
        self.faults = tuple(sorted(faults))
        super().__init__("\n".join(map(str, self.faults)))


@dataclass
class SettingsDocument:
    """A settings file as read: its values, their positions (line, column), and the faults found so far."""

    file: str
    tree: dict[str, Plain] = field(default_factory=dict)
    keys: dict[Loc, tuple[int, int]] = field(default_factory=lambda: {(): (1, 1)})
    values: dict[Loc, tuple[int, int]] = field(default_factory=dict)
    faults: list[SettingsFault] = field(default_factory=list)
    keys_with_faults: set[Loc] = field(default_factory=set)

    def fault(self, loc: Loc, message: str, *, on_value: bool = False) -> SettingsFault:
        """A fault at the key (or the value) of `loc`, or at its nearest parent that is in the file."""
        line, column = self.values[loc] if on_value and loc in self.values else self.keys[_known(loc, self.keys)]
        return SettingsFault(self.file, line, column, key_path(loc), message)

    def add_fault(self, loc: Loc, message: str, *, on_value: bool = False) -> None:
        """Add a fault, unless that key has one already: the first one is the cause."""
        if loc not in self.keys_with_faults:
            self.keys_with_faults.add(loc)
            self.faults.append(self.fault(loc, message, on_value=on_value))


def add_validation_faults(error: ValidationError, model: type[BaseModel], given: SettingsDocument) -> None:
    """Turn what pydantic found into faults, worded for a person who edits the file."""
    details = error.errors(include_url=False, include_context=True, include_input=False)
    for detail in details:
        if detail["type"] == "too_short" and any(_within(other["loc"], detail["loc"]) for other in details):
            continue  # pydantic counts only valid entries, and the invalid ones are reported already
        loc: Loc = tuple(step for step in detail["loc"] if step != "[key]")
        message = _explained(detail, loc, model, given.tree)
        if detail["type"] == "extra_forbidden":
            given.faults.append(
                given.fault(loc, message)
            )  # also where its value has a fault: without the key there is no value
        else:
            given.add_fault(loc, message, on_value=detail["type"] != "missing")


def key_path(loc: Loc) -> str:
    """("people", 0, "slack") -> "people[0].slack"."""
    path = ""
    for step in loc:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path


def nearest(word: str, valid: Iterable[str]) -> str:
    """A hint for a person who wrote `word` where one of `valid` belongs."""
    known = sorted(valid)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"use one of: {', '.join(known)}" if known else "none is defined"


def _within(loc: Loc, outer: Loc) -> bool:
    return len(loc) > len(outer) and loc[: len(outer)] == outer


def _known(loc: Loc, marks: Mapping[Loc, tuple[int, int]]) -> Loc:
    while loc not in marks:
        loc = loc[:-1]
    return loc


def _explained(detail: ErrorDetails, loc: Loc, model: type[BaseModel], tree: Plain) -> str:
    kind, ctx = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return f"is not a key here; {nearest(str(loc[-1]), _keys_at(model, loc[:-1], tree))}"
    if kind == "missing":
        return "is missing; add it"
    if kind in {"literal_error", "enum"}:
        return f"must be one of {ctx['expected']}"
    if kind == "value_error":
        return str(ctx["error"])
    if found := next((text for start, text in _MESSAGES.items() if kind.startswith(start)), None):
        return found.format(**ctx)
    message = (kind == "string_pattern_mismatch" and _pattern_hint(model, loc, tree)) or detail["msg"]
    return message[:1].lower() + message[1:]


def _keys_at(model: type[BaseModel], loc: Loc, tree: Plain) -> list[str]:
    """The keys that the model allows at that place; empty where any key is allowed."""
    kind = _kind_at(model, loc, tree)
    return list(fields_of(kind)) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def _pattern_hint(model: type[BaseModel], loc: Loc, tree: Plain) -> str:
    """What the value must be, as the field's JSON schema tells editors; "" where it tells nothing."""
    kind = _kind_at(model, loc[:-1], tree)
    field = kind.model_fields.get(str(loc[-1])) if isinstance(kind, type) and issubclass(kind, BaseModel) else None
    extra = field.json_schema_extra if isinstance(field, FieldInfo) else None
    return str(extra.get("patternErrorMessage", "")) if isinstance(extra, dict) else ""


def _kind_at(model: type[BaseModel], loc: Loc, tree: Plain) -> object:
    """The type at that place. `tree`: the settings as read, as some types depend on the value beside them."""
    kind: object = model
    for step in loc:
        kind = bare(kind)
        beside = tree if isinstance(tree, dict) else {}
        by_value = kind.types_by_value(beside) if isinstance(kind, type) and issubclass(kind, Section) else {}
        kind = by_value.get(str(step)) or _inside(kind, step)
        tree = _value_at(tree, step)
    return bare(kind)


def _value_at(tree: Plain, step: str | int) -> Plain:
    if isinstance(tree, dict):
        return tree.get(str(step))
    return tree[step] if isinstance(tree, list) and isinstance(step, int) and step < len(tree) else None


def fields_of(kind: type[BaseModel]) -> dict[str, object]:
    """The type of each key's value, by the key's name in the file."""
    return {field.alias or name: field.annotation for name, field in kind.model_fields.items()}


def bare(kind: object) -> object:
    """The type without None and annotations."""
    if get_origin(kind) is Annotated:
        return bare(get_args(kind)[0])
    if get_origin(kind) in {Union, UnionType}:
        return bare(next(choice for choice in get_args(kind) if choice is not type(None)))
    return kind


def _inside(kind: object, step: str | int) -> object:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return fields_of(kind).get(str(step))
    inner = get_args(kind)
    if not inner:
        return None
    return inner[0] if isinstance(step, int) else inner[-1]
