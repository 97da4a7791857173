"""Writes and parses a signed checkpoint: C2SP's tlog-checkpoint in its signed-note, which other tools can read too.

Pure: this is only the format. `bot/lib/crypto.py` makes the signatures.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from bot.lib.encoding import rfc3339

#: How signed-note marks a key of Ed25519.
_ED25519 = b"\x01"
_MARK = "\N{EM DASH} "
_KEY = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class NoteSignature:
    """One line below a note."""

    name: str
    hash: bytes  #: of the key, four bytes
    raw: bytes  #: of Ed25519, 64 bytes


def checkpoint(origin: str, size: int, root: bytes, at: datetime) -> str:
    """The text that is signed: the log's origin, the number of entries, the root over them, and the time."""
    return f"{origin}\n{size}\n{b64encode(root).decode()}\nat {rfc3339(at)}\n"


def handover(text: str, old: str, new: str) -> str:
    """A checkpoint that also says which key follows which. `old` and `new` are verifier keys, and both sign it."""
    return f"{text}from {old}\nto {new}\n"


def with_line(text: str, line: str) -> str:
    """A checkpoint that also states `line` about its log. Only the owner of the key can make such a statement."""
    return f"{text}{line}\n"


def key_hash(name: str, public: bytes) -> bytes:
    """The four bytes that a signature begins with; they identify the key."""
    return sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


def key_id(name: str, public: bytes) -> str:
    """NAME+HASH, the beginning of a verifier key."""
    return f"{name}+{key_hash(name, public).hex()}"


def verifier_key(name: str, public: bytes) -> str:
    """NAME+HASH+KEY: given to a verifier, which then trusts this key and no other."""
    return f"{key_id(name, public)}+{b64encode(_ED25519 + public).decode()}"


def sign_note(text: str, name: str, public: bytes, signature: bytes) -> str:
    """The text with the signature below it. `text` ends with a newline and has no signature yet."""
    return add_signature(f"{text}\n", name, public, signature)


def add_signature(note: str, name: str, public: bytes, signature: bytes) -> str:
    """The note with one more signature over the same text."""
    return f"{note}{_MARK}{name} {b64encode(key_hash(name, public) + signature).decode()}\n"


def open_note(note: str) -> tuple[str, list[NoteSignature]]:
    """The text that was signed, and its signatures; nothing of it is verified yet.

    Raises:
        ValueError: it is no signed note.
    """
    text, gap, below = note.rpartition("\n\n")
    if not gap or not below.endswith("\n"):
        raise ValueError("a signed note has an empty line above its signatures")
    return text + "\n", [_signature(line) for line in below.splitlines()]


def public_of(verifier: str) -> tuple[str, bytes]:
    """(name, public key) of a verifier key.

    Raises:
        ValueError: it has another format, or is no Ed25519 key, or its hash belongs to another key.
    """
    name, _, rest = verifier.partition("+")
    hashed, _, encoded = rest.partition("+")
    raw = b64decode(encoded, validate=True)
    if not name or raw[:1] != _ED25519 or len(raw) != 1 + _KEY or hashed != key_hash(name, raw[1:]).hex():
        raise ValueError("is not NAME+HASH+KEY of an Ed25519 key")
    return name, raw[1:]


def _signature(line: str) -> NoteSignature:
    name, space, encoded = line.removeprefix(_MARK).partition(" ")
    if not (line.startswith(_MARK) and space):
        raise ValueError("below the text of a signed note only signatures are allowed")
    raw = b64decode(encoded, validate=True)
    return NoteSignature(name=name, hash=raw[:4], raw=raw[4:])
