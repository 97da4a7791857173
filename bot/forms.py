"""A verb as a form to fill in: frozen values that a chat draws in its own way. Pure, and known to every channel.

What is filled in is no authority and no second grammar: it is read by the verb's own one, and becomes words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Blank:
    """One argument."""

    name: str  #: as the verb calls it: a Python identifier, of this form only once
    label: str  #: one or two words
    hint: str = ""  #: what it takes: the range, an example
    optional: bool = False
    choices: tuple[str, ...] = ()  #: the words that it takes; none: whatever fits
    most: int | None = None  #: characters; None where nothing is said of it
    long: bool = False  #: sentences rather than a word


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """What a verb wants to be told."""

    verb: str
    says: str  #: what it does
    blanks: tuple[Blank, ...]  #: two or more
    limits: tuple[str, ...] = ()  #: what it refuses whoever asks, for people


@dataclass(frozen=True, kw_only=True, slots=True)
class Filled:
    """A form that was filled in: the words that say the same, or what is wrong with it and then nothing was done."""

    words: str = ""
    wrong: Mapping[str, str] = field(default_factory=dict)  #: blank's name -> a sentence or two
