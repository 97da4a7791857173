"""`vakhta audit prune` deletes the oldest part, and nothing else can; each later verification reports it."""

from __future__ import annotations

import secrets
import sqlite3
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest

from bot.audit.notary import Notary
from bot.config.settings import Settings
from bot.core.audit import AuditEntry, Code
from bot.lib import crypto
from bot.store import audit_pruning, audit_seals
from bot.store.engine import Store, Unavailable
from tests.audit_place import SEED, Place, placed, signer_of
from tests.docs.papers import ROOT, fences, section
from tests.postgres import Postgres

_NEXT = crypto.new_seed()


@pytest.fixture
def place(store_url: str, tmp_path: Path) -> Place:
    (tmp_path / "kept").mkdir()
    return placed(store_url, tmp_path)


@pytest.fixture(autouse=True)
def no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command sets up the log of its whole process, which here is that of all tests."""
    monkeypatch.setattr("bot.lib.logs.start", lambda **_: None)


def lived(place: Place, *days_ago: int) -> None:
    """A life of three entries so many days ago, each."""
    for days in days_ago:
        place.write(days_ago=days)


def kept(place: Place) -> Path:
    return place.config.parent / "kept"


def prune(place: Place, *words: str) -> int:
    return place.run("prune", "--to", kept(place), *words)


def positions(place: Place) -> list[object]:
    return place.asked("SELECT pos FROM audit_seal ORDER BY pos")


def test_what_is_old_goes_into_a_file_and_the_rest_is_green_and_says_so(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    lived(place, 600, 500, 10)

    code = prune(place)

    (file,) = kept(place).iterdir()
    digest = sha256(file.read_bytes()).hexdigest()
    assert (code, file.name) == (0, "audit-000000000000-000000000006.jsonl")
    assert (
        f"Entries 0 to 5 are in {file} now, and no longer in the database.\nsha256 {digest}" in capsys.readouterr().out
    )
    assert file.stat().st_mode & 0o777 == 0o600
    assert positions(place) == [6, 7, 8, 9]
    assert place.asked("SELECT size FROM audit_checkpoint ORDER BY size") == [6, 9, 10]
    assert place.run("verify", "--anchors", place.outside) == 0
    told = capsys.readouterr().out
    assert f"the first 6 entries are not here: pruned by 'local' at {datetime.now(UTC):%Y-%m-%d}" in told
    assert f"kept in '{file.name}', sha256 '{digest}'" in told
    assert "flagged: 1 anchors are of the pruned part" in told
    assert "10 entries sealed" in told


def test_nothing_younger_goes_than_the_settings_say(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    lived(place, 399, 10)

    assert prune(place) == 1
    expected = "Nothing was pruned: no checkpoint covers only entries older than 400 days (audit.keep_days)"
    assert expected in capsys.readouterr().err
    place.set(key=SEED, keep_days="398")

    assert prune(place) == 0

    assert positions(place)[0] == 3


def test_an_entry_of_a_clock_that_was_ahead_stays_with_all_behind_it(place: Place) -> None:
    lived(place, 600)
    place.write(days_ago=0)  # its clock is ahead by years
    lived(place, 500, 10)

    assert prune(place) == 0

    assert positions(place)[0] == 3


def test_the_bot_goes_on_behind_it_and_it_is_pruned_again(place: Place) -> None:
    lived(place, 600, 500)
    place.set(key=SEED, keep_days="550")
    assert prune(place) == 0
    place.write()
    place.set(key=SEED)
    assert prune(place) == 0
    place.write()
    assert place.run("verify", "--anchors", place.outside) == 0
    assert positions(place) == list(range(6, 14))

    place.tamper("UPDATE audit_entry SET at = at + 1 WHERE id = 12")

    assert place.run("verify") == 2


def test_a_running_bot_signs_on_while_it_is_pruned(place: Place) -> None:
    lived(place, 600, 500, 10)
    store = Store(place.url)
    notary = Notary(store, signer=signer_of())
    notary.start()
    notary.seal()

    assert prune(place) == 0
    notary.tick()
    notary.stop(timedelta(seconds=10))
    store.close()

    assert place.run("verify") == 0
    assert place.asked("SELECT max(size) FROM audit_checkpoint") == [13]


def test_what_was_kept_and_the_rest_are_one_log_from_its_beginning(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    lived(place, 600, 500)
    place.set(key=SEED, keep_days="550")
    assert prune(place) == 0
    place.set(key=SEED)
    assert prune(place) == 0
    lived(place, 0)
    place.run("export", "--to", kept(place) / "rest.jsonl")

    code = place.run("verify", "--from", kept(place), "--anchors", place.outside)

    out = capsys.readouterr().out
    assert code == 0, out
    assert "flagged" not in out
    assert "11 entries sealed" in out or "12 entries sealed" in out
    first, *_ = sorted(kept(place).iterdir())
    assert place.run("verify", "--from", first) == 0, "the first file is a log of its own"


def test_the_rest_alone_is_verified_like_the_database(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    lived(place, 600, 10)
    assert prune(place) == 0
    place.run("export", "--to", place.outside.with_name("rest.jsonl"))

    assert place.run("verify", "--from", place.outside.with_name("rest.jsonl")) == 0
    assert "the first 3 entries are not here" in capsys.readouterr().out


def test_a_log_that_is_not_as_it_was_written_is_not_pruned(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    lived(place, 600, 10)
    place.tamper("UPDATE audit_entry SET verb = 'x' WHERE id = 5")

    assert prune(place) == 2

    assert "Nothing was pruned: the log has faults. Find out why first (docs/audit.md)." in capsys.readouterr().out
    assert positions(place)[0] == 0
    assert list(kept(place).iterdir()) == []


def test_without_a_folder_or_with_another_file_there_nothing_is_pruned(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    lived(place, 600, 10)
    assert place.run("prune", "--to", kept(place) / "none") == 1
    (kept(place) / "audit-000000000000-000000000003.jsonl").write_text("another\n")

    assert prune(place) == 1

    err = capsys.readouterr().err
    assert "none is not a folder" in err
    assert "exists and has other content" in err
    assert positions(place) == list(range(6))
    assert [file.name for file in kept(place).iterdir()] == ["audit-000000000000-000000000003.jsonl"]


def _delete_the_beginning(place: Place, size: int) -> None:
    """As pruning does it, and up to a checkpoint, but without a record."""
    place.tamper("DELETE FROM audit_anchor WHERE size < ?", size)
    place.tamper("DELETE FROM audit_checkpoint WHERE size < ?", size)
    place.tamper("DELETE FROM audit_seal WHERE pos < ?", size)
    place.tamper("DELETE FROM audit_entry WHERE id NOT IN (SELECT entry_id FROM audit_seal)")


def test_a_beginning_that_somebody_deleted_is_missing(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    lived(place, 600, 500, 10)

    _delete_the_beginning(place, 6)

    assert place.run("verify") == 3
    assert (
        "the entries at 0 to 5 are missing, and no signed entry says that they were pruned" in capsys.readouterr().out
    )


def test_more_deleted_than_was_pruned_is_missing(place: Place) -> None:
    lived(place, 600, 500, 10)
    place.set(key=SEED, keep_days="550")
    assert prune(place) == 0
    assert positions(place)[0] == 3

    _delete_the_beginning(place, 6)

    assert place.run("verify") == 3


def test_deleted_to_where_nothing_is_signed_is_missing(place: Place) -> None:
    lived(place, 600, 500, 10)
    assert prune(place) == 0

    _delete_the_beginning(place, 7)

    assert place.run("verify") == 3


def test_an_entry_that_the_bot_was_made_to_sign_excuses_nothing(place: Place) -> None:
    """An attacker who writes to the database gets any entry sealed and signed, but not the line of the checkpoint."""
    lived(place, 600, 500)
    (root,) = place.asked("SELECT root FROM audit_checkpoint WHERE size = 3")
    assert isinstance(root, bytes)
    forged = AuditEntry(
        code=Code.PRUNED,
        by="local",
        message="It is kept.",
        details={"size": "3", "root": b64encode(root).decode(), "sha256": "0" * 64},
    )
    place.write(forged)

    _delete_the_beginning(place, 3)

    assert place.run("verify") == 3


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("UPDATE audit_checkpoint SET frontier = root WHERE size = 6", 3),
        ("UPDATE audit_checkpoint SET note = 'x' WHERE size = 6", 3),
        ("DELETE FROM audit_checkpoint WHERE size = 6", 3),
        ("DELETE FROM audit_checkpoint WHERE size = 10", 3),
        ("UPDATE audit_seal SET pos = 5 WHERE pos = 6", 3),
    ],
)
def test_whatever_is_done_to_where_it_begins_is_red(place: Place, statement: str, code: int) -> None:
    lived(place, 600, 500, 10)
    assert prune(place) == 0

    place.tamper(statement)

    assert place.run("verify") == code


def test_a_crash_in_between_leaves_a_log_that_is_green_and_that_pruning_goes_on_with(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lived(place, 600, 590, 580, 570, 10)
    monkeypatch.setattr(audit_pruning, "_STEP", 4)
    steps = audit_pruning._steps
    monkeypatch.setattr(audit_pruning, "_steps", lambda store, size: [next(iter(steps(store, size))), _cut_off()])

    assert prune(place) == 1
    assert "The database failed" in capsys.readouterr().err
    assert positions(place)[0] == 0
    assert place.run("verify") == 0, "said, and not done"

    monkeypatch.setattr(audit_pruning, "_steps", lambda store, size: _then_cut_off(steps(store, size)))
    assert prune(place) == 1
    assert positions(place)[0] == 3
    assert place.run("verify", "--anchors", place.outside) == 0
    assert "the first 3 entries are not here: pruned by" in capsys.readouterr().out

    monkeypatch.setattr(audit_pruning, "_steps", steps)
    assert prune(place) == 0

    assert positions(place)[0] == 12
    assert place.run("verify", "--anchors", place.outside) == 0
    names = sorted(file.name for file in kept(place).iterdir())
    assert names == ["audit-000000000000-000000000012.jsonl", "audit-000000000003-000000000012.jsonl"]


def _cut_off() -> int:
    raise Unavailable("the database is gone")


def _then_cut_off(steps: Iterator[int]) -> Iterator[int]:
    yield next(steps)
    yield _cut_off()


def test_the_guards_stand_again_behind_it(place: Place) -> None:
    lived(place, 600, 10)

    assert prune(place) == 0

    store = Store(place.url)
    for table in ("audit_entry", "audit_seal", "audit_checkpoint", "audit_anchor"):
        with (
            pytest.raises((sqlite3.IntegrityError, psycopg.errors.RaiseException)),
            store.begin(audit_seals.LANE) as tx,
        ):
            tx.sql.run(f"DELETE FROM {table}")
    store.close()


@pytest.mark.parametrize(("lives", "begins"), [((560, 10), 3), ((560, 550, 10), 10)])
def test_what_was_owned_up_to_stays_while_an_anchor_behind_the_beginning_needs_it(
    place: Place, lives: tuple[int, ...], begins: int
) -> None:
    lived(place, 600, 590, 580)  # 9 entries, and their anchors
    for table, key in (("anchor", "size > 3"), ("checkpoint", "size > 3"), ("seal", "pos >= 3")):
        place.tamper(f"DELETE FROM audit_{table} WHERE {key}")
    place.tamper("DELETE FROM audit_entry WHERE id NOT IN (SELECT entry_id FROM audit_seal)")
    with _days_ago(570):
        assert place.run("restored", "--because", "The disk was lost.", "--anchors", place.outside) == 0
    lived(place, *lives)
    assert place.run("verify", "--anchors", place.outside) == 0

    assert prune(place, "--anchors", str(place.outside)) == 0

    assert positions(place)[0] == begins
    assert place.run("verify", "--anchors", place.outside) == 0


def test_a_copy_that_is_put_back_behind_it_can_be_owned_up_to(place: Place) -> None:
    lived(place, 600, 500, 10)
    assert prune(place) == 0  # to 6; 10 entries
    place.write()
    place.write()
    for table, key in (("anchor", "size > 10"), ("checkpoint", "size > 10"), ("seal", "pos >= 10")):
        place.tamper(f"DELETE FROM audit_{table} WHERE {key}")
    place.tamper("DELETE FROM audit_entry WHERE id NOT IN (SELECT entry_id FROM audit_seal)")
    assert place.run("verify", "--anchors", place.outside) == 4

    assert place.run("restored", "--because", "The disk was lost.", "--anchors", place.outside) == 0

    assert place.run("verify", "--anchors", place.outside) == 0


@contextmanager
def _days_ago(days: int) -> Iterator[None]:
    """Whoever opens the settings' store meanwhile finds its clock there."""
    with pytest.MonkeyPatch.context() as patched:

        def opened(settings: Settings, **_: object) -> Store:
            return Store(settings.store.url.get_secret_value(), now=lambda: datetime.now(UTC) - timedelta(days=days))

        patched.setattr("bot.app.build.open_store", opened)
        yield


def test_keys_that_were_handed_over_are_believed_on_either_side_of_it(place: Place) -> None:
    lived(place, 600)
    place.set(key=_NEXT, previous_key=SEED)
    with _days_ago(590):
        assert place.run("rotate") == 0
    place.set(key=_NEXT)
    place.write(seed=_NEXT, days_ago=580)
    place.write(seed=_NEXT)

    assert prune(place) == 0

    assert place.asked("SELECT size FROM audit_checkpoint ORDER BY size") == [4, 7, 10, 11]
    assert positions(place)[0] == 7
    assert place.run("verify", "--public-key", signer_of(SEED).verifier_key) == 0
    assert place.run("verify", "--public-key", signer_of(_NEXT).verifier_key) == 0


@pytest.fixture
def on_postgres(postgres: Postgres, postgres_template: str, tmp_path: Path) -> Place:
    (tmp_path / "kept").mkdir()
    return placed(postgres.url("prune", like=postgres_template), tmp_path)


def test_the_databases_own_function_takes_out_nothing_else(on_postgres: Place) -> None:
    place = on_postgres
    lived(place, 600, 80, 10)
    more = {"size": "6", "root": "", "sha256": ""}
    place.write(AuditEntry(code=Code.PRUNED, by="local", message="", details=more), days_ago=0)
    (uid,) = place.asked("SELECT uid FROM audit_entry WHERE code = 'VK007W'")
    (other,) = place.asked("SELECT uid FROM audit_entry WHERE id = 2")
    store = Store(place.url)

    for size, because, why in (
        (3, other, "no entry that is sealed and signed says"),
        (9, uid, "no entry that is sealed and signed says"),
        (4, uid, "no checkpoint is signed over the first 4"),
        (6, uid, "are younger than 90 days"),
    ):
        with pytest.raises(psycopg.errors.RaiseException, match=why), store.begin(audit_seals.LANE) as tx:
            tx.sql.scalar("SELECT audit_prune(?, ?)", size, because)
    with store.begin(audit_seals.LANE) as tx:
        assert tx.sql.scalar("SELECT audit_prune(?, ?)", 3, uid) == 3

    store.close()
    assert positions(place)[0] == 3


def test_a_checkpoint_that_nobody_signed_makes_the_bot_grow_the_tree_from_what_was_pruned(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    lived(place, 600, 10)
    assert prune(place) == 0
    place.tamper("UPDATE audit_checkpoint SET note = 'x' WHERE size = 7")
    capsys.readouterr()

    place.write()

    assert place.asked("SELECT max(size) FROM audit_checkpoint") == [10]
    place.tamper("UPDATE audit_checkpoint SET note = 'x' WHERE size = 10")
    place.tamper("UPDATE audit_checkpoint SET note = 'x' WHERE size = 3")
    place.write()
    assert place.asked("SELECT max(size) FROM audit_checkpoint") == [10], "on what nobody signed it signs nothing"


def test_a_role_that_may_not_prune_is_told_before_anything_is_written(
    on_postgres: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place, role = on_postgres, f"bot_{secrets.token_hex(4)}"
    lived(place, 600, 10)
    may_write, may_prune = fences(section((ROOT / "docs/audit.md").read_text(), "Guards"), "sql")
    place.tamper(f"CREATE ROLE {role} LOGIN")
    place.tamper(may_write.replace("vakhta_bot", role))
    place.tamper(f"GRANT SELECT ON alembic_version TO {role}")
    owners, place.url = place.url, place.url.replace("vakhta@", f"{role}@")
    place.set(key=SEED)

    assert prune(place) == 1
    assert "the database role of the bot may not call audit_prune" in capsys.readouterr().err
    assert list(kept(place).iterdir()) == []
    place.url = owners
    assert place.asked("SELECT count(*) FROM audit_entry") == [6]
    place.tamper(may_prune.replace("vakhta_bot", role))

    assert prune(place) == 0

    assert positions(place)[0] == 3
