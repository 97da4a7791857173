"""Plans and runs are named by the first characters of their id; exactly one has to match."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from bot.core.errors import Rejected

Found = TypeVar("Found")


def only_match(found: Sequence[Found], what: str, hint: str) -> Found:
    """`what`: the noun and the typed id, for the refusal; `hint`: which command lists the valid ones.

    Raises:
        Rejected: none matches, or more than one.
    """
    if not found:
        raise Rejected(f"There is no {what}. Nothing was done. {hint}", code="not_found", status=404)
    if len(found) > 1:
        raise Rejected(f"More than one begins so: {what}. Nothing was done. Say more of it.", code="ambiguous")
    return found[0]
