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

    name: str  #: as the verb calls it: a Python identifier, of this form only once
    label: str  #: one or two words
    hint: str = ""  #: what it takes: the range, an example
    optional: bool = False
    choices: tuple[str, ...] = ()  #: the words that it takes; none: whatever fits
    max_length: int | None = None  #: characters; None where nothing is said of it
    multiline: bool = False  #: sentences rather than a word


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """What a verb wants to be told."""

    verb: str
    summary: str  #: what it does
    fields: tuple[FormField, ...]  #: two or more
    limits: tuple[str, ...] = ()  #: what it refuses whoever asks, for people


@dataclass(frozen=True, kw_only=True, slots=True)
class SubmittedForm:
    """A form that was filled in: the words that say the same, or what is wrong with it and then nothing was done."""

    text: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)  #: blank's name -> a sentence or two
