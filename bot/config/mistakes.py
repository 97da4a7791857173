"""Finds the mistakes that the sections know of, and secrets that cannot be meant, anywhere in a settings file.

What a value must look like stands with its section (`Section.mistakes`). Works on plain values along the classes of the
settings, so that it also finds its faults in a file that has others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import get_args

from pydantic import SecretStr

from bot.config.faults import Loc, Plain, bare, fields_of
from bot.config.paths import resolved_fields
from bot.lib import secret_forms
from bot.lib.settings_fields import Mistake, Section

_OfSection = Callable[[type[Section], Mapping[str, object]], Iterator[Mistake]]


def mistakes(tree: Mapping[str, Plain], model: type[Section]) -> Iterator[tuple[Loc, str]]:
    """Values with which the bot must not start: the place, and what is wrong there."""
    yield from _found((), model, dict(tree), lambda kind, given: kind.mistakes(given), secret_forms.fault_in)


def doubts(tree: Mapping[str, Plain], model: type[Section]) -> Iterator[tuple[Loc, str]]:
    """Values that are probably not meant, and may work: a warning each."""
    yield from _found((), model, dict(tree), lambda kind, given: kind.doubts(given), secret_forms.doubt_in)


def missing_here(tree: Mapping[str, Plain], model: type[Section], folder: Path) -> Iterator[tuple[Loc, str]]:
    """Files that are named and cannot be used on this machine. `folder`: the settings file's, absolute."""

    def of_section(kind: type[Section], given: Mapping[str, object]) -> Iterator[Mistake]:
        return kind.missing_here(resolved_fields(kind, given, folder))

    yield from _found((), model, dict(tree), of_section, lambda _: "")


def _found(
    loc: Loc, kind: object, value: Plain, of_section: _OfSection, in_secret: Callable[[str], str]
) -> Iterator[tuple[Loc, str]]:
    kind = bare(kind)
    if isinstance(value, str) and kind is SecretStr and "://" not in value and (fault := in_secret(value)):
        yield loc, fault
    if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, Section):
        for key, fault in of_section(kind, value):
            yield (*loc, *key), fault
    for step, inner, item in _parts(kind, value):
        yield from _found((*loc, step), inner, item, of_section, in_secret)


def _parts(kind: object, value: Plain) -> Iterator[tuple[str | int, object, Plain]]:
    """The step to each value inside, with the type that it should have."""
    inner = get_args(kind)
    if isinstance(value, list) and inner:
        yield from ((number, inner[0], item) for number, item in enumerate(value))
    elif isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, Section):
        types = {**fields_of(kind), **kind.types_by_value(value)}
        yield from ((name, field, value[name]) for name, field in types.items() if name in value)
    elif isinstance(value, dict) and inner:
        yield from ((name, inner[-1], item) for name, item in value.items())
