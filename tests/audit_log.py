"""An audit log made by hand: the format of docs/audit.md, written down a second time and with none of the bot's code.

What the inspection finds in it shows that the inspection is right; what the bot writes and the inspection finds whole
shows that both understand the format alike.
"""

from __future__ import annotations

import json
import sqlite3
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import Any

import psycopg
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bot.audit.verify.signed_note import VerifierKey

BEGAN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ORIGIN = "vakhta.example"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def verify(public: bytes, signed: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, signed)
    except InvalidSignature:
        return False
    return True


class Pen:
    """A key that signs checkpoints; the same for the same seed."""

    def __init__(self, seed: int = 1, name: str = ORIGIN) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.key = VerifierKey(name=name, public=self._private.public_key().public_bytes_raw())

    def note(self, size: int, root: bytes, at: datetime, origin: str = ORIGIN) -> str:
        text = f"{origin}\n{size}\n{b64encode(root).decode()}\nat {rfc3339(at)}\n"
        public = b"\x01" + self.key.public
        hashed = sha256(self.key.name.encode() + b"\n" + public).digest()[:4]
        signature = b64encode(hashed + self._private.sign(text.encode())).decode()
        return f"{text}\n\N{EM DASH} {self.key.name} {signature}\n"


PEN = Pen()


class HandMade:
    """A log in a migrated database, as it grows; and a hand that alters it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.now = BEGAN
        self.leaves: list[bytes] = []
        self._count = count(1)
        self._sqlite = url.startswith("sqlite:///")
        self._connection: Any = (
            sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
            if self._sqlite
            else psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
        )
        self._drop_guards()

    def close(self) -> None:
        self._connection.close()

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """What a database administrator may do, with `?` for values."""
        text = statement if self._sqlite else statement.replace("?", "%s")
        cursor = self._connection.execute(text, values)
        return list(cursor.fetchall()) if cursor.description else []

    def write(self, *, sealed: bool = True, **said: Any) -> int:
        """One entry, a second after the last; returns its id."""
        self.now += timedelta(seconds=1)
        number = next(self._count)
        body = {**_values(number, self.now), **said}
        self.insert(number, body)
        if sealed:
            self.seal(number)
        return number

    def insert(self, number: int, body: Mapping[str, Any]) -> None:
        columns = [body[name] for name in ("uid", "code", "run", "incident", "by", "verb", "target", "place")]
        at = datetime.fromisoformat(body["at"])
        self.sql(
            'INSERT INTO audit_entry (uid, code, run, incident_id, "by", verb, target, place, id, at, body)'
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *columns, number, micros(at), canonical(body),
        )  # fmt: skip

    def seal(self, number: int) -> None:
        ((body,),) = self.sql("SELECT body FROM audit_entry WHERE id = ?", number)
        leaf = sha256(b"\x00" + bytes(body)).digest()
        self.sql("INSERT INTO audit_seal (pos, entry_id, leaf) VALUES (?, ?, ?)", len(self.leaves), number, leaf)
        self.leaves.append(leaf)

    def sign(self, pen: Pen = PEN, origin: str = ORIGIN) -> None:
        """A checkpoint over all that is sealed."""
        size, top = len(self.leaves), root(self.leaves)
        self.sql(
            "INSERT INTO audit_checkpoint (size, root, at, key_id, note, frontier) VALUES (?, ?, ?, ?, ?, ?)",
            size, top, micros(self.now), pen.key.id, pen.note(size, top, self.now, origin), frontier(self.leaves),
        )  # fmt: skip

    def anchor(self, sink: str = "file") -> str:
        """Tell somebody outside; returns what they have."""
        size, top = len(self.leaves), b64encode(root(self.leaves)).decode()
        (last,) = self.sql("SELECT coalesce(max(id), 0) FROM audit_anchor")
        self.sql(
            "INSERT INTO audit_anchor (id, size, sink, at, receipt) VALUES (?, ?, ?, ?, ?)",
            last[0] + 1, size, sink, micros(self.now), "line 1",
        )  # fmt: skip
        return f"{size} {top}\n"

    def fill(self, entries: int = 10, *, sign_each: int = 4) -> None:
        """Entries of different kinds, with a checkpoint after every so many of them and one at the end."""
        for number in range(1, entries + 1):
            self.write(run=f"r{number}", incident=number if number % 2 else None)
            if number % sign_each == 0 or number == entries:
                self.sign()

    def _drop_guards(self) -> None:
        """What keeps honest programs from altering the log; who owns the database takes it away first."""
        if self._sqlite:
            for (name,) in self.sql("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE 'audit%'"):
                self.sql(f'DROP TRIGGER "{name}"')
            return
        for table in ("audit_entry", "audit_seal", "audit_checkpoint", "audit_anchor"):
            self.sql(f"ALTER TABLE {table} DISABLE TRIGGER ALL")


def _values(number: int, at: datetime) -> dict[str, Any]:
    return {
        "v": 1,
        "uid": f"0193{number:08x}-7000-8000-0000"[:23].ljust(23, "0") + f"-{number:012x}",
        "at": rfc3339(at),
        "code": "VK100I",
        "event": "answered",
        "by": "ana",
        "said": 'Ana asked "help"\\ и получила ответ.',
        "run": "",
        "verb": "help",
        "target": "prod/api",
        "place": "slack",
        "account": "U1",
        "once": f"Ev{number}",
        "incident": None,
        "more": {"rule": "any *", "я": "1"},
    }


def canonical(value: object) -> bytes:
    """RFC 8785 of what an entry may hold."""
    if isinstance(value, Mapping):
        names = sorted(value, key=lambda name: str(name).encode("utf-16-be"))
        return b"{" + b",".join(canonical(name) + b":" + canonical(value[name]) for name in names) + b"}"
    return json.dumps(value, ensure_ascii=False).encode()


def rfc3339(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def micros(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, section 2.1, as it is written there."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + root(leaves[:split]) + root(leaves[split:])).digest()


def frontier(leaves: Sequence[bytes]) -> bytes:
    """The roots of the full subtrees, the largest first."""
    found, start = b"", 0
    for bit in reversed(range(len(leaves).bit_length())):
        if len(leaves) >> bit & 1:
            found += root(leaves[start : start + (1 << bit)])
            start += 1 << bit
    return found
