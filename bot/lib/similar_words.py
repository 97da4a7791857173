"""What a person probably meant who typed an unknown word. It is only named to them: nothing runs a guess."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

_MOST = 3
_LONGEST = 80  #: characters of the word that are compared
_NEARLY = 0.06  #: how much less similar than the most similar word the others may be


def similar(word: str, known: Iterable[str]) -> list[str]:
    """The most similar known word, and those that are nearly as similar; empty when there is none."""
    typed = word[:_LONGEST].lower()
    near = get_close_matches(typed, sorted(known), n=_MOST)
    if not near:
        return []
    ratios = [SequenceMatcher(a=one, b=typed).ratio() for one in near]
    return [one for one, ratio in zip(near, ratios, strict=True) if ratio >= max(ratios) - _NEARLY]


def offer(words: Iterable[str]) -> str:
    """ " Did you mean `a` or `b`?"; "" without words."""
    offered = " or ".join(f"`{one}`" for one in words)
    return f" Did you mean {offered}?" if offered else ""
