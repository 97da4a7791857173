"""How what an engine says of a plan is written there: as sentences, with a word in the place of a run's id."""

from __future__ import annotations


def as_sentence(said: str) -> str:
    """With a capital at its beginning, unless that is a name, and a full stop at its end."""
    said = with_run(said.strip().rstrip("."))
    first = said.partition(" ")[0]
    return f"{said[:1].upper()}{said[1:]}." if first.isalpha() and first.islower() else f"{said}."


def with_run(name: str) -> str:
    """A name that will have the id of its run in it: the id is not known before the run."""
    return name.replace("{run}", "<run>")
