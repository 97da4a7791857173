"""The tree is that of RFC 6962: checked by Certificate Transparency's vectors, and by the RFC's definition."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.lib.merkle import MerkleRange, leaf_of

_INPUTS = (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)  # fmt: skip

#: The roots of no input, of the first input, of the first two, and so on.
_ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def defined(entries: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word for word."""
    if not entries:
        return sha256().digest()
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    split = 1 << (len(entries) - 1).bit_length() - 1
    return sha256(b"\x01" + defined(entries[:split]) + defined(entries[split:])).digest()


@pytest.mark.parametrize("size", range(9))
def test_the_root_is_that_of_the_published_vectors(size: int) -> None:
    leaves = [leaf_of(bytes.fromhex(one)) for one in _INPUTS[:size]]

    assert MerkleRange().extended(leaves).root().hex() == _ROOTS[size]


@given(entries=st.lists(st.binary(max_size=3), max_size=70), cut=st.integers(0, 70))
def test_the_root_is_that_of_the_definition_in_however_many_steps_it_grew(entries: list[bytes], cut: int) -> None:
    leaves = [leaf_of(one) for one in entries]

    halfway = MerkleRange().extended(leaves[:cut])
    grown = MerkleRange.of(halfway.size, halfway.frontier()).extended(leaves[cut:])

    assert grown.root() == defined(entries)
    assert grown.size == len(entries)
    assert len(grown.hashes) == len(entries).bit_count()


@pytest.mark.parametrize(("size", "frontier"), [(1, b""), (0, bytes(32)), (3, bytes(32)), (4, bytes(31))])
def test_hashes_that_do_not_belong_to_the_size_are_no_tree(size: int, frontier: bytes) -> None:
    with pytest.raises(ValueError, match=r"has .* hashes"):
        MerkleRange.of(size, frontier)
