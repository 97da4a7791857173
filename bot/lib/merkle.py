"""The Merkle tree of RFC 6962: hashes of leaves and nodes, and the root of an append-only log.

It is kept as a compact range: the roots of the log's full subtrees, largest first, one for each 1 in the binary form of
its size.
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
        """Read a tree that `frontier` wrote.

        Raises:
            ValueError: the number of hashes does not fit the size.
        """
        if len(frontier) != _HASH * size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} hashes, not {len(frontier)} bytes")
        return cls(size, tuple(frontier[start : start + _HASH] for start in range(0, len(frontier), _HASH)))

    def extended(self, leaves: Iterable[bytes]) -> MerkleRange:
        """The tree with these leaves appended."""
        size, hashes = self.size, list(self.hashes)
        for leaf in leaves:
            hashes.append(leaf)
            full = size
            while full & 1:  # merge each pair of full subtrees of one size
                right, left = hashes.pop(), hashes.pop()
                hashes.append(node_of(left, right))
                full >>= 1
            size += 1
        return MerkleRange(size, tuple(hashes))

    def root(self) -> bytes:
        """The root hash; of an empty tree, the hash of the empty string."""
        if not self.hashes:
            return sha256(b"").digest()
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = node_of(left, root)
        return root

    def frontier(self) -> bytes:
        """The hashes in one text, to be stored and read with `of`."""
        return b"".join(self.hashes)
