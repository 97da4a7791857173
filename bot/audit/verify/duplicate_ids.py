"""Finds ids that occur twice among more ids than fit into memory: eight bytes are kept of each."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

#: Keys are kept in so many heaps, so that the search for equal ones needs memory for one heap at a time.
_HEAPS = 64


def key_of(uid: bytes) -> int:
    """The same key for the same uid in every process (unlike `hash` of bytes); very rarely the same for two uids."""
    return hash(int.from_bytes(uid, "big"))


class DuplicateIds:
    """The keys of all ids so far."""

    def __init__(self) -> None:
        self._heaps = [array("q") for _ in range(_HEAPS)]

    def add(self, key: int) -> None:
        self._heaps[key % _HEAPS].append(key)

    def add_all(self, keys: Iterable[int]) -> None:
        heaps = self._heaps
        for key in keys:
            heaps[key % _HEAPS].append(key)

    def repeated(self) -> set[int]:
        """The keys that were added more than once."""
        found: set[int] = set()
        for heap in self._heaps:
            if len(set(heap)) == len(heap):
                continue
            seen: set[int] = set()
            for key in heap:
                (found if key in seen else seen).add(key)
        return found
