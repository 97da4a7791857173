"""Full disks and planted secrets: a change whose entry cannot be written is rolled back; no entry has a secret."""

from __future__ import annotations

import random
import shutil
import sqlite3
import string
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.app.build import build_notary, open_store
from bot.audit import anchors
from bot.audit.notary import Notary
from bot.config.settings import Settings
from bot.core.audit import AuditEntry, Code
from bot.lib.logs import Redactor
from bot.lib.metrics import Metrics
from bot.store import audit_log, connections
from bot.store.audit_log import EntryFilter
from bot.store.engine import Store, Unavailable
from tests.audit.test_notary import signer

_LETTERS = string.ascii_letters + string.digits


@pytest.fixture
def path(tmp_path: Path, sqlite_template: Path) -> Path:
    return Path(shutil.copy(sqlite_template, tmp_path / "vakhta.db"))


def test_a_full_disk_refuses_the_entry_and_what_it_tells(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(path) as raw:
        (pages,) = raw.execute("PRAGMA page_count").fetchone()
    raw.close()
    monkeypatch.setattr(connections, "_WRITING", (*connections._WRITING, f"max_page_count={pages}"))
    store = Store(f"sqlite:///{path}")
    entry = AuditEntry(code=Code.INTENT, by="ana", message="x" * 4000)

    def act() -> None:
        with store.begin() as tx:
            tx.save_reply("slack", "1", "done", ok=True)
            audit_log.append(tx, [entry] * 50)

    with pytest.raises(Unavailable, match="full"):
        act()

    with store.begin() as tx:
        assert tx.find_reply("slack", "1") is None
        assert audit_log.entries(tx.sql, EntryFilter()) == []
    store.close()


def test_of_two_hundred_planted_secrets_none_is_in_the_database_nor_on_stdout_nor_in_an_anchor(path: Path) -> None:
    chance = random.Random(7)
    planted = [made(chance) for made in _SHAPES.values() for _ in range(20)]
    configured = [f"Plain-{number}-{_some(chance, 16)}" for number in range(20)]
    store = Store(f"sqlite:///{path}", scrub=Redactor(configured))
    written: list[bytes] = []
    anchor = path.with_name("anchors")
    notary = Notary(store, signer=signer(), anchors={"file": anchors.to_file(anchor)}, write=written.append)
    notary.start()
    for text in [text for _, text in planted] + [f"the key {one} works" for one in configured]:
        with store.begin() as tx:
            audit_log.append(tx, [_everywhere(text)])
    notary.stop(timedelta(seconds=5))

    store.close()
    kept = b"".join(one.read_bytes() for one in path.parent.glob("vakhta.db*")) + b"".join(written)
    secrets = [secret for secret, _ in planted] + configured
    assert len(secrets) == 200
    assert anchor.read_bytes()
    assert kept.count(b"[redacted]") > 200
    assert [one for one in secrets if one.encode() in kept + anchor.read_bytes()] == []


def _everywhere(text: str) -> AuditEntry:
    return AuditEntry(
        code=Code.ANSWERED, by=text, message=text, run=text, verb=text, target=text, channel=text, account=text,
        idempotency_key=text,
        details={text: text},
    )  # fmt: skip


def _some(chance: random.Random, count: int, letters: str = _LETTERS) -> str:
    return "".join(chance.choices(letters, k=count))


def _shape(text: str, *parts: Callable[[random.Random], str]) -> Callable[[random.Random], tuple[str, str]]:
    def made(chance: random.Random) -> tuple[str, str]:
        secret = "".join(part(chance) for part in parts)
        return secret, text.format(secret)

    return made


def _of(count: int, letters: str = _LETTERS) -> Callable[[random.Random], str]:
    return lambda chance: _some(chance, count, letters)


def _is(text: str) -> Callable[[random.Random], str]:
    return lambda _: text


#: Each makes (the secret, a text with it).
_SHAPES = {
    "aws": _shape("key {}\nleaked", _is("AKIA"), _of(16, string.ascii_uppercase)),
    "slack": _shape("token {}\u202e", _is("xoxb-"), _of(12, string.digits), _is("-"), _of(24)),
    "telegram": _shape("https://api.telegram.org/bot{}/x", _of(9, string.digits), _is(":"), _of(35)),
    "jwt": _shape("cookie={};", _is("eyJ"), _of(20), _is(".eyJ"), _of(30), _is("."), _of(20)),
    "pem": _shape("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----", _of(64)),
    "userinfo": _shape("postgresql://ana:{}@db/x", _of(14)),
    "bearer": _shape("Authorization: Bearer {}", _of(24)),
    "github": _shape("remote {}: denied", _is("ghp_"), _of(36)),
    "named": _shape("password={}", _of(18)),
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate({"store": {"url": f"sqlite:///{tmp_path}/vakhta.db"}, "audit": {"origin": "prod"}})


@pytest.fixture
def opened(settings: Settings) -> Iterator[Store]:
    store = open_store(settings)
    yield store
    store.close()


def test_beside_sqlite_a_key_is_made_and_found_again(settings: Settings, opened: Store, tmp_path: Path) -> None:
    made = build_notary(settings, opened, Metrics(), {})
    again = build_notary(settings, opened, Metrics(), {})

    assert made._signer is not None
    assert again._signer is not None
    assert made._signer.key_id == again._signer.key_id
    assert made._signer.key_id.startswith("prod+")
    assert (tmp_path / "vakhta-audit.key").stat().st_mode & 0o777 == 0o600


def test_a_key_file_that_is_broken_ends_the_start_in_words(settings: Settings, opened: Store, tmp_path: Path) -> None:
    (tmp_path / "vakhta-audit.key").write_text("broken")

    with pytest.raises(SystemExit, match=r"32 bytes in base64.* Nothing was started\. Set audit\.key"):
        build_notary(settings, opened, Metrics(), {})


def test_a_key_that_is_not_among_the_believed_is_an_error_of_the_log(
    settings: Settings, opened: Store, caplog: pytest.LogCaptureFixture
) -> None:
    other = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    audit = settings.audit.model_copy(update={"public_keys": (other,), "key": SecretStr(f"{'A' * 43}=")})

    made = build_notary(settings.model_copy(update={"audit": audit}), opened, Metrics(), {})

    assert "audit.public_keys does not name the key that signs" in caplog.text
    assert made._signer is not None
    assert "PeterNeumann+c74f20a3" in made._signer.believed


def test_what_is_configured_as_a_secret_is_taken_out_of_entries(settings: Settings) -> None:
    secret = settings.model_copy(
        update={"server": settings.server.model_copy(update={"api_token": SecretStr("plain-words")})}
    )
    store = open_store(secret)
    with store.begin() as tx:
        audit_log.append(tx, [AuditEntry(code=Code.ANSWERED, by="ana", message="say plain-words now")])

        assert b'"said":"say [redacted] now"' in audit_log.entries(tx.sql, EntryFilter())[0].body
    store.close()
