"""Checkpoints are signed notes as others read them: by the published key and note of Go's sumdb/note."""

from __future__ import annotations

from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.audit import signed_note
from bot.lib import crypto

_NAME = "PeterNeumann"
_SEED = b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
_VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
_SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
_NOTE = f"{_TEXT}\n— PeterNeumann {_SIGNATURE}\n"


def test_a_note_is_signed_as_in_the_published_example() -> None:
    public = crypto.public_key(_SEED)

    assert signed_note.verifier_key(_NAME, public) == _VERIFIER
    assert signed_note.key_id(_NAME, public) == "PeterNeumann+c74f20a3"
    assert signed_note.sign_note(_TEXT, _NAME, public, crypto.sign(_SEED, _TEXT.encode())) == _NOTE


def test_a_note_is_opened_into_its_text_and_a_signature_that_holds() -> None:
    name, public = signed_note.public_of(_VERIFIER)

    text, (signature,) = signed_note.open_note(_NOTE)

    assert (text, signature.name, signature.hash) == (_TEXT, name, signed_note.key_hash(name, public))
    assert crypto.signed_by(public, text.encode(), signature.raw)
    assert not crypto.signed_by(public, text.encode() + b" ", signature.raw)
    assert not crypto.signed_by(public, text.encode(), b"short")


def test_a_checkpoint_is_what_tlog_checkpoint_says_and_a_line_with_the_time() -> None:
    text = signed_note.checkpoint("vakhta", 3, bytes(32), datetime(2026, 11, 23, 12, tzinfo=UTC))

    assert text == f"vakhta\n3\n{'A' * 43}=\nat 2026-11-23T12:00:00.000000Z\n"


@pytest.mark.parametrize("broken", ["", "text\n", "text\n\n", "text\n\n— name", "text\n\nname x\n", "text\n\n— n !\n"])
def test_what_is_no_signed_note_is_not_opened(broken: str) -> None:
    with pytest.raises(ValueError, match=r"note|base64|padding|padded|alphabet|[Bb]ase64"):
        signed_note.open_note(broken)


@pytest.mark.parametrize("verifier", ["", "a+b+c", _VERIFIER[:-2], _VERIFIER.replace("c74f", "c74e"), "+" + _VERIFIER])
def test_a_verifiers_key_that_is_of_another_key_is_refused(verifier: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        signed_note.public_of(verifier)


def test_a_key_file_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "vakhta-audit.key"

    seed = crypto.seed_in(path)

    assert crypto.seed_in(path) == seed == crypto.seed_of(path.read_text())
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_key_file_that_holds_no_key_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "vakhta-audit.key"
    path.write_text("something else")

    with pytest.raises(crypto.BadKey, match="32 bytes in base64"):
        crypto.seed_in(path)

    assert path.read_text() == "something else"
