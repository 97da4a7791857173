"""Finds a plan or a run by the first characters of its id; exactly one has to match."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from bot.core.errors import Rejected

Found = TypeVar("Found")


def only_match(found: Sequence[Found], name: str, hint: str) -> Found:
    """`name`: the noun and the typed id, for the refusal; `hint`: which command lists the valid ones.

    Raises:
        Rejected: none matches, or more than one.
    """
    if not found:
        raise Rejected(f"There is no {name}. Nothing was done. {hint}", code="not_found", status=404)
    if len(found) > 1:
        raise Rejected(f"More than one matches {name}. Nothing was done. Type more of its id.", code="ambiguous")
    return found[0]
