"""The Merkle tree of RFC 6962, section 2.1, grown leaf by leaf: it holds one hash for each full subtree."""

from __future__ import annotations

from hashlib import sha256

HASH_BYTES = 32


def leaf_of(body: bytes) -> bytes:
    return sha256(b"\x00" + body).digest()


class Tree:
    """The leaves so far. `peaks` are the roots of its full subtrees, the largest first."""

    def __init__(self) -> None:
        self.size = 0
        self.peaks: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        peaks, size, top = self.peaks, self.size, leaf
        while size & 1:  # a full subtree of the same height stands to the left
            top = sha256(b"\x01" + peaks.pop() + top).digest()
            size >>= 1
        peaks.append(top)
        self.size += 1

    def root(self) -> bytes:
        """Of no leaves, the hash of nothing."""
        if not self.peaks:
            return sha256(b"").digest()
        top = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            top = sha256(b"\x01" + peak + top).digest()
        return top

    def frontier(self) -> bytes:
        """The peaks in one piece, as a checkpoint's row keeps them."""
        return b"".join(self.peaks)
