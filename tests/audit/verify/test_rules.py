"""What the verifier accepts as an entry, a note, a root: strict, and checked against the standards' own examples."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.audit.verify.entry_format import AT, CODE, NAMES, RUN, UID, columns_of
from bot.audit.verify.key_trust import KeyTrust
from bot.audit.verify.merkle import LeafBlock, MerkleTree, leaf_of
from bot.audit.verify.report import LogFault, VerificationReport
from bot.audit.verify.signed_note import MalformedNote, SignedNote, VerifierKey, key_of, read
from tests.audit_log import BEGAN, PEN, Pen, _values, canonical, frontier, root, verify

#: The leaves and roots of the published test of Certificate Transparency's reference tree.
_LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def body(**said: object) -> bytes:
    return canonical({**_values(1, BEGAN), **said})


def test_roots_are_those_of_the_published_tree() -> None:
    tree, roots = MerkleTree(), []

    for leaf in _LEAVES:
        tree.add(leaf_of(bytes.fromhex(leaf)))
        roots.append(tree.root().hex())

    assert roots == _ROOTS
    assert MerkleTree().root() == sha256(b"").digest()


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=70))
def test_a_tree_that_grows_has_the_root_and_frontier_of_one_made_at_once(leaves: list[bytes]) -> None:
    tree = MerkleTree()

    for leaf in leaves:
        tree.add(leaf)

    assert (tree.root(), tree.frontier()) == (root(leaves), frontier(leaves))


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=8, max_size=40), st.data())
def test_a_tree_that_grows_by_blocks_is_the_one_that_grows_by_leaves(leaves: list[bytes], data: st.DataObject) -> None:
    blocks = [LeafBlock(b"".join(leaves[start : start + 8])) for start in range(0, len(leaves) - 7, 8)]
    tree, count = MerkleTree(), data.draw(st.integers(1, 7))

    for number, block in enumerate(blocks):
        part = tree.with_first_of(block, count)
        tree.add_block(block)

        first = leaves[: number * 8 + count]
        assert (part.root(), part.frontier()) == (root(first), frontier(first))
    assert (tree.root(), tree.size) == (root(leaves[: len(blocks) * 8]), len(blocks) * 8)


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(
    texts=st.lists(_TEXTS, min_size=7, max_size=7),
    more=st.dictionaries(_TEXTS, _TEXTS, max_size=5),
    incident=st.none() | st.integers(-(2**53) + 1, 2**53 - 1),
    at=st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 (hypothesis wants it naive)
)
def test_whatever_an_entry_says_is_read_back(
    texts: list[str], more: dict[str, str], incident: int | None, at: datetime
) -> None:
    names = ("run", "by", "verb", "target", "place", "uid", "said")
    said = dict(zip(names, texts, strict=True))
    spelled = at.isoformat(timespec="microseconds").replace("+00:00", "Z")

    columns = columns_of(body(**said, more=more, incident=incident, at=spelled))

    assert columns is not None
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    assert columns[AT] == (since.days * 86400 + since.seconds) * 10**6 + since.microseconds
    assert (columns[CODE], columns[RUN], columns[UID]) == (b"VK100I", texts[0].encode(), texts[5].encode())
    assert columns[NAMES.index("incident_id")] == incident
    assert [columns[NAMES.index(name)] for name in names[1:5]] == [text.encode() for text in texts[1:5]]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'{"account"', b'{ "account"'),  # spaces
        (b'"v":1', b'"v":2'),
        (b'"v":1', b'"v":1.0'),
        (b'"v":1,', b'"v":1,"w":1,'),  # a key of somebody's own
        (b'"v":1', b'"v":1,"v":1'),
        (b'"account":"U1",', b""),
        (b'"incident":null', b'"incident":"1"'),
        (b'"incident":null', b'"incident":01'),
        (b'"by":"ana"', b'"by":"\\u0061na"'),  # another spelling of the same
        (b'"by":"ana"', b'"by":"a\\/na"'),
        (b'"by":"ana"', b'"by":"a\x00na"'),
        (b'"by":"ana"', b'"by":"a\nna"'),
        (b'"by":"ana"', b'"by":"a\\u001Fna"'),
        (b'"by":"ana"', b'"by":"a\xffna"'),  # not UTF-8
        (b'"by":"ana"', b'"by":"\xed\xa0\x80"'),  # half of a surrogate pair
        (b"T12:00:00.000000Z", b"T12:00:00Z"),
        (b"T12:00:00.000000Z", b"T12:00:00.000000+00:00"),
        (b"T12:00:00.000000Z", b"T12:00:61.000000Z"),
        (b"2026-11-23", b"2026-13-23"),
        (b'"more":{"rule":"any *","\xd1\x8f":"1"}', b'"more":{"\xd1\x8f":"1","rule":"any *"}'),
        (b'"more":{"rule":"any *","\xd1\x8f":"1"}', b'"more":{"rule":"any *","rule":"1"}'),
        (b'"more":{"rule":"any *","\xd1\x8f":"1"}', b'"more":{"rule":1}'),
        (b'"more":{"rule":"any *","\xd1\x8f":"1"}', b'"more":[]'),
        (b'"verb":"help"}', b'"verb":"help"}\n'),
        (b'"verb":"help"}', b'"verb":"help"'),
    ],
)
@pytest.mark.parametrize("escaped", [False, True])
def test_any_other_spelling_is_not_of_the_form(old: bytes, new: bytes, escaped: bool) -> None:  # noqa: FBT001
    good = body(said='"quoted"' if escaped else "plain")
    assert columns_of(good) is not None
    assert old in good

    assert columns_of(good.replace(old, new)) is None


def test_the_keys_of_more_are_in_the_order_of_utf_16() -> None:
    good = body(more={"\U0001f6a8": "1", "\ue000": "2"})
    by_code_point = good.replace('"\U0001f6a8":"1","\ue000":"2"'.encode(), '"\ue000":"2","\U0001f6a8":"1"'.encode())

    assert columns_of(good) is not None
    assert by_code_point != good
    assert columns_of(by_code_point) is None


def signer(note: SignedNote, *named: VerifierKey) -> VerifierKey | None:
    return KeyTrust(named, (), verify).signer(note)


def test_a_note_is_read_and_its_signer_known() -> None:
    note = read(PEN.note(7, bytes(32), BEGAN).encode())

    assert (note.size, note.root, note.at) == (7, bytes(32), "2026-11-23T12:00:00.000000Z")
    assert signer(note, PEN.key) == PEN.key
    assert signer(note, Pen(2).key) is None
    assert key_of(PEN.key.text) == PEN.key


def test_a_note_of_two_signers_is_good_for_each_and_spoiled_by_a_false_one() -> None:
    mine, other = (pen.note(7, bytes(32), BEGAN) for pen in (PEN, Pen(2, "other")))
    both = read((mine + other.rpartition("\n\n")[2]).encode())
    false = read((mine + Pen(2, "other").note(8, bytes(32), BEGAN).rpartition("\n\n")[2]).encode())
    keys = [pen.key for pen in (PEN, Pen(2, "other"))]

    assert signer(both, PEN.key) == PEN.key
    assert signer(both, *keys) is not None
    assert signer(false, *keys) is None


@given(st.data())
def test_no_byte_of_a_note_can_be_another(data: st.DataObject) -> None:
    raw = bytearray(PEN.note(7, bytes(32), BEGAN).encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    try:
        key = signer(read(bytes(raw)), PEN.key)
    except MalformedNote:
        key = None

    assert key is None


@pytest.mark.parametrize("raw", [b"", b"\n\n", b"a\n1\n\n", b"\xff", b"a\n01\nAAAA\n\nx\n", PEN.key.text.encode()])
def test_what_is_no_note_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedNote):
        read(raw)


def test_a_verifier_key_with_a_wrong_character_is_refused() -> None:
    with pytest.raises(MalformedNote, match="hash does not match"):
        key_of(PEN.key.text[:-3] + "AAA")


def test_the_gravest_is_the_exit_code_and_ten_of_a_kind_are_told() -> None:
    report = VerificationReport(name="log")
    for pos in range(12):
        report.add(LogFault.UNSEALED, "waits", pos=pos)
    report.add(LogFault.TRUNCATED, "cut")
    report.add(LogFault.FLAGGED, "odd")

    told = json.loads(report.json())

    assert report.exit_code == told["exit_code"] == 4
    assert len(told["findings"]) == 12
    assert told["counts"] == {"flagged": 1, "truncated": 1, "not sealed": 12}
    assert "and 2 more: not sealed" in report.text_lines()
    assert report.text_lines().splitlines()[1] == "  truncated: cut"
