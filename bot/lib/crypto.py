"""Ed25519 signatures, RSA verification, and the key file. The only file that imports `cryptography`.

An Ed25519 key is stored as its seed, 32 random bytes in base64. RSA keys belong to others and come in a certificate,
which is trusted because of where it was fetched from: this file checks no chain.
"""

from __future__ import annotations

import os
import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

_SEED = 32
_MIN_RSA_BITS = 2048


class BadKey(ValueError):
    """Not a valid key or certificate; the text gives the reason, for people."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RsaCertificate:
    """An RSA public key and the time in which it is valid."""

    key: RSAPublicKey
    since: datetime
    until: datetime

    def signed(self, text: bytes, signature: bytes) -> bool:
        """Whether the key's owner signed exactly this text (RSA, PKCS #1 v1.5, SHA-256)."""
        try:
            self.key.verify(signature, text, PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True


def certificate_of(pem: bytes) -> RsaCertificate:
    """The first certificate in a PEM file. Raises `BadKey` unless it is one with an RSA key of at least 2048 bits."""
    try:
        read = x509.load_pem_x509_certificate(pem)
        key = read.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise BadKey("It is not a certificate in PEM.") from None
    if not isinstance(key, RSAPublicKey) or key.key_size < _MIN_RSA_BITS:
        raise BadKey(f"Its key is not RSA of at least {_MIN_RSA_BITS} bits.")
    return RsaCertificate(key=key, since=read.not_valid_before_utc, until=read.not_valid_after_utc)


def new_seed() -> str:
    """A new key, in base64."""
    return b64encode(secrets.token_bytes(_SEED)).decode()


def seed_of(text: str) -> bytes:
    """The seed in this base64 text. Raises `BadKey` unless it is 32 bytes."""
    try:
        seed = b64decode(text.strip(), validate=True)
    except ValueError:
        seed = b""
    if len(seed) != _SEED:
        raise BadKey("The audit log's key must be 32 bytes in base64. Make one with: openssl rand -base64 32")
    return seed


def seed_in(path: Path) -> bytes:
    """The key in that file. A missing file is created, readable by its owner alone.

    Raises:
        BadKey: the file cannot be read or created, or holds no valid key.
    """
    try:
        with open(path, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as made:
            made.write(new_seed() + "\n")
            made.flush()
            os.fsync(made.fileno())
    except FileExistsError:
        pass
    except OSError as error:
        raise BadKey(f"The key file {path} cannot be created: {error.strerror}.") from None
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise BadKey(f"The key file {path} cannot be read: {error}.") from None
    return seed_of(text)


def public_key(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def sign(seed: bytes, text: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).sign(text)


def signed_by(public: bytes, text: bytes, signature: bytes) -> bool:
    """Whether the owner of that public key signed exactly this text."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True
