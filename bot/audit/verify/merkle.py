"""The Merkle tree of RFC 6962, section 2.1, grown leaf by leaf: it holds one hash for each full subtree."""

from __future__ import annotations

from hashlib import sha256

HASH_BYTES = 32
_PAIR = 2 * HASH_BYTES


def leaf_of(body: bytes) -> bytes:
    return sha256(b"\x00" + body).digest()


class MerkleTree:
    """The tree over the leaves so far. `peaks` are the roots of its full subtrees, the largest first."""

    def __init__(self) -> None:
        self.size = 0
        self.peaks: list[bytes] = []

    @classmethod
    def of(cls, size: int, frontier: bytes) -> MerkleTree | None:
        """From the frontier in a checkpoint's row; None where its number of hashes does not fit the size."""
        if size < 0 or len(frontier) != HASH_BYTES * size.bit_count():
            return None
        tree = cls()
        tree.size = size
        tree.peaks = [frontier[at : at + HASH_BYTES] for at in range(0, len(frontier), HASH_BYTES)]
        return tree

    def copy(self) -> MerkleTree:
        tree = MerkleTree()
        tree.peaks, tree.size = [*self.peaks], self.size
        return tree

    def add(self, leaf: bytes) -> None:
        peaks, size, top = self.peaks, self.size, leaf
        while size & 1:  # there is a full subtree of the same height to the left
            top = sha256(b"\x01" + peaks.pop() + top).digest()
            size >>= 1
        peaks.append(top)
        self.size += 1

    def add_block(self, block: LeafBlock) -> None:
        """Append a block. The tree's size must be a multiple of the block's."""
        above = MerkleTree()
        above.peaks, above.size = self.peaks, self.size >> block.height
        above.add(block.root)
        self.size += 1 << block.height

    def with_first_of(self, block: LeafBlock, count: int) -> MerkleTree:
        """A copy extended by the first `count` leaves of the block; fewer than all of them."""
        tree = self.copy()
        tree.peaks += block.peaks(count)
        tree.size += count
        return tree

    def root(self) -> bytes:
        """The root; without leaves, the hash of no bytes."""
        if not self.peaks:
            return sha256(b"").digest()
        top = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            top = sha256(b"\x01" + peak + top).digest()
        return top

    def frontier(self) -> bytes:
        """The peaks concatenated, as in a checkpoint's row."""
        return b"".join(self.peaks)


class LeafBlock:
    """A full subtree with all its nodes. `leaves`: 2**n hashes, concatenated."""

    def __init__(self, leaves: bytes) -> None:
        self._levels = [leaves]
        while len(self._levels[-1]) > HASH_BYTES:
            below = self._levels[-1]
            self._levels.append(
                b"".join([sha256(b"\x01" + below[at : at + _PAIR]).digest() for at in range(0, len(below), _PAIR)])
            )

    @property
    def height(self) -> int:
        return len(self._levels) - 1

    @property
    def root(self) -> bytes:
        return self._levels[-1]

    def peaks(self, count: int) -> list[bytes]:
        """The roots of the full subtrees over its first `count` leaves, the largest first."""
        found, start = [], 0
        for height in range(self.height, -1, -1):
            if count >> height & 1:
                place = (start >> height) * HASH_BYTES
                found.append(self._levels[height][place : place + HASH_BYTES])
                start += 1 << height
        return found
