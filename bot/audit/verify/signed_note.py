"""Parses a signed checkpoint strictly: C2SP's tlog-checkpoint in its signed-note.

Only one spelling is accepted. Base64 that is not canonical is refused, because a changed byte that means the same is
still a changed byte.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256

#: (public key of 32 bytes, signed text, signature of 64 bytes) -> whether the signature is valid.
Verify = Callable[[bytes, bytes, bytes], bool]

_ED25519 = b"\x01"
_PUBLIC, _SIGNATURE, _HASH = 32, 64, 4
_NAME = r"[^\s+\x00-\x1f\x7f]+"
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_SIGNED_BY = re.compile(rf"\N{{EM DASH}} ({_NAME}) ([A-Za-z0-9+/=]+)")
_VERIFIER = re.compile(rf"({_NAME})\+([0-9a-f]{{8}})\+([A-Za-z0-9+/=]+)")


class MalformedNote(Exception):
    """It is not a signed checkpoint; the text says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifierKey:
    """A public key with its name."""

    name: str
    public: bytes

    @property
    def hash(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_HASH]

    @property
    def id(self) -> str:
        return f"{self.name}+{self.hash.hex()}"

    @property
    def text(self) -> str:
        """The verifier key: NAME+HASH+KEY."""
        return f"{self.id}+{b64encode(_ED25519 + self.public).decode()}"


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedNote:
    """The content of a checkpoint and its signatures; nothing of it is verified yet."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...]
    signed: bytes
    signatures: Mapping[str, bytes]  #: the key's id to the signature

    @property
    def at(self) -> str:
        """The time in the extension line `at TIME`; "" where there is not exactly one such line."""
        times = [line.removeprefix("at ") for line in self.extensions if line.startswith("at ")]
        return times[0] if len(times) == 1 else ""


def key_of(text: str) -> VerifierKey:
    """The key in a verifier key's text. Raises `MalformedNote`."""
    found = _VERIFIER.fullmatch(text.strip())
    raw = _bytes(found[3]) if found else b""
    if found is None or raw[:1] != _ED25519 or len(raw) != 1 + _PUBLIC:
        raise MalformedNote("is not a verifier key of Ed25519: NAME+HASH+KEY, one line")
    key = VerifierKey(name=found[1], public=raw[1:])
    if key.hash.hex() != found[2]:
        raise MalformedNote("is a verifier key whose hash does not match: a character of it is wrong")
    return key


def read(raw: bytes) -> SignedNote:
    """Raises `MalformedNote`."""
    try:
        text, gap, below = raw.decode().rpartition("\n\n")
    except UnicodeDecodeError:
        raise MalformedNote("it is not UTF-8") from None
    lines = text.split("\n")
    if not gap or not below.endswith("\n") or len(lines) < 3 or "" in lines:  # noqa: PLR2004 (origin, size, root)
        raise MalformedNote("it is not origin, size and root, an empty line, and signatures")
    if not _SIZE.fullmatch(lines[1]):
        raise MalformedNote("its size is not a number")
    root = _bytes(lines[2])
    if len(root) != sha256().digest_size:
        raise MalformedNote("its root is not a hash")
    return SignedNote(
        origin=lines[0],
        size=int(lines[1]),
        root=root,
        extensions=tuple(lines[3:]),
        signed=f"{text}\n".encode(),
        signatures=_signatures(below),
    )


def signed_by(key: VerifierKey, note: SignedNote, verify: Verify) -> bool:
    signature = note.signatures.get(key.id)
    return signature is not None and verify(key.public, note.signed, signature)


def _signatures(below: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for line in below[:-1].split("\n"):
        match = _SIGNED_BY.fullmatch(line)
        raw = _bytes(match[2]) if match else b""
        if match is None or len(raw) != _HASH + _SIGNATURE:
            raise MalformedNote("a line below its empty line is not an Ed25519 signature")
        found[f"{match[1]}+{raw[:_HASH].hex()}"] = raw[_HASH:]
    return found


def _bytes(spelled: str) -> bytes:
    """Decodes canonical base64; b"" for anything else."""
    try:
        raw = b64decode(spelled, validate=True)
    except ValueError:
        return b""
    return raw if b64encode(raw).decode() == spelled else b""
