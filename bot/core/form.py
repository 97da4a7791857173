"""A verb's arguments as a form to fill in. Pure values: each channel renders them in its own way.

A form grants no rights and has no grammar of its own: its values become the text of a command, which the verb's parser
reads like typed text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class FormField:
    """One argument."""

    name: str  #: the argument's name in the verb: a Python identifier, unique within the form
    label: str  #: one or two words
    hint: str = ""  #: the values it takes: the range, an example
    optional: bool = False
    choices: tuple[str, ...] = ()  #: the only values it takes; empty: any value that parses
    max_length: int | None = None  #: characters; None: no limit is known
    multiline: bool = False  #: sentences rather than a word


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """The arguments of one verb."""

    verb: str
    summary: str  #: what the verb does
    fields: tuple[FormField, ...]  #: two or more
    limits: tuple[str, ...] = ()  #: what the verb refuses to everybody, for people


@dataclass(frozen=True, kw_only=True, slots=True)
class SubmittedForm:
    """A filled form: the equivalent command, or the errors by field; with errors, nothing was done."""

    text: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)  #: field name -> a sentence or two
