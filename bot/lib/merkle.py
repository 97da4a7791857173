"""The Merkle tree of RFC 6962: what a leaf and a node are, and the root of a log that only grows.

Kept as a compact range: of a log of any length, the roots of the full subtrees that it is made of, largest first, one
for each 1 in its size as a binary number.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

_HASH = 32


def leaf_of(body: bytes) -> bytes:
    return sha256(b"\x00" + body).digest()


def node_of(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class MerkleRange:
    """The tree over the first `size` leaves."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, size: int, frontier: bytes) -> MerkleRange:
        """As `frontier` wrote it down.

        Raises:
            ValueError: so many hashes do not belong to that size.
        """
        if len(frontier) != _HASH * size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} hashes, not {len(frontier)} bytes")
        return cls(size, tuple(frontier[start : start + _HASH] for start in range(0, len(frontier), _HASH)))

    def extended(self, leaves: Iterable[bytes]) -> MerkleRange:
        """With these leaves after it."""
        size, hashes = self.size, list(self.hashes)
        for leaf in leaves:
            hashes.append(leaf)
            full = size
            while full & 1:  # each full subtree of that size joins its neighbour
                right, left = hashes.pop(), hashes.pop()
                hashes.append(node_of(left, right))
                full >>= 1
            size += 1
        return MerkleRange(size, tuple(hashes))

    def root(self) -> bytes:
        """Of no leaves, the hash of nothing."""
        if not self.hashes:
            return sha256(b"").digest()
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = node_of(left, root)
        return root

    def frontier(self) -> bytes:
        return b"".join(self.hashes)
