"""Signs and checks with Ed25519; the only file that knows `cryptography`, and what a key file is.

A key is 32 random bytes, its seed, and is written down in base64.
"""

from __future__ import annotations

import os
import secrets
from base64 import b64decode, b64encode
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bot.ports import Rejected

_SEED = 32


def new_seed() -> str:
    """A new key, in base64."""
    return b64encode(secrets.token_bytes(_SEED)).decode()


def seed_of(text: str) -> bytes:
    """Raises `Rejected`: that is not base64 of 32 bytes."""
    try:
        seed = b64decode(text.strip(), validate=True)
    except ValueError:
        seed = b""
    if len(seed) != _SEED:
        raise Rejected("The audit log's key must be 32 bytes in base64. Make one with `openssl rand -base64 32`.")
    return seed


def seed_in(path: Path) -> bytes:
    """The key in that file, which is made, for its owner alone, where there is none.

    Raises:
        Rejected: it cannot be read or made, or holds no key.
    """
    try:
        with open(path, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as made:
            made.write(new_seed() + "\n")
            made.flush()
            os.fsync(made.fileno())
    except FileExistsError:
        pass
    except OSError as error:
        raise Rejected(f"The key file {path} cannot be made: {error.strerror}.") from None
    try:
        return seed_of(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise Rejected(f"The key file {path} cannot be read: {error}.") from None


def public_key(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def sign(seed: bytes, text: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).sign(text)


def signed_by(public: bytes, text: bytes, signature: bytes) -> bool:
    """Whether the owner of that public key has signed exactly this."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True
