"""The audit log's path: sealed, signed, published; a failure of any of these makes nothing else fail."""

from __future__ import annotations

import json
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.audit import anchors
from bot.audit import signed_note as note
from bot.audit.notary import Notary
from bot.audit.signer import Signer, sign_checkpoint
from bot.core.audit import AuditEntry, Code
from bot.core.errors import Rejected, Undelivered
from bot.lib import crypto
from bot.lib.merkle import MerkleRange, leaf_of
from bot.lib.metrics import Metrics
from bot.store import audit_checkpoints, audit_log, audit_seals
from bot.store.audit_checkpoints import Checkpoint
from bot.store.audit_log import EntryFilter
from bot.store.engine import Store, Unavailable
from tests.fakes.chat import Chat
from tests.house import Clock
from tests.running import until

pytestmark = pytest.mark.waits

_SOON = timedelta(seconds=5)


def signer(seed: bytes = bytes(32), *, name: str = "vakhta", believed: dict[str, bytes] | None = None) -> Signer:
    public = crypto.public_key(seed)
    return Signer(
        name=name,
        public=public,
        sign=lambda text: crypto.sign(seed, text),
        believed={note.key_id(name, public): public, **(believed or {})},
        signed_by=crypto.signed_by,
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(store_url: str, clock: Clock) -> Iterator[Store]:
    made = Store(store_url, now=clock)
    yield made
    made.close()


def record(store: Store, count: int = 1) -> None:
    with store.begin() as tx:
        audit_log.append(tx, [AuditEntry(code=Code.ANSWERED, by="ana", message="So.") for _ in range(count)])


def newest(store: Store) -> Checkpoint:
    with store.read() as seen:
        found = audit_checkpoints.newest(seen.sql)
    assert found is not None
    return found


def events(store: Store) -> list[str]:
    with store.read() as seen:
        return [json.loads(one.body)["event"] for one in audit_log.entries(seen.sql, EntryFilter())]


def anchored(store: Store) -> list[tuple[int, str]]:
    with store.begin() as tx:
        return [(row[0], row[1]) for row in tx.sql.rows("SELECT size, sink FROM audit_anchor ORDER BY id")]


def failures(meters: Metrics, sink: str) -> float:
    return meters.registry.get_sample_value("vakhta_audit_anchor_failures_total", {"sink": sink}) or 0.0


def test_a_life_of_the_bot_is_recorded_sealed_and_signed(store: Store) -> None:
    notary = Notary(store, signer=signer())

    notary.start()
    notary.tick()
    notary.stop(_SOON)

    found = newest(store)
    assert events(store) == ["started", "heartbeat", "stopped"]
    assert found.tree.size == 3


def test_the_first_root_is_signed_as_soon_as_the_start_is_sealed_and_the_next_a_minute_later(store: Store) -> None:
    notary = Notary(store, signer=signer())
    notary.start()

    notary.seal()
    record(store)
    notary.seal()

    assert newest(store).tree.size == 1
    notary.stop(_SOON)


def test_a_checkpoint_is_signed_over_all_leaves_and_holds_what_others_can_check(store: Store) -> None:
    record(store, 5)
    notary = Notary(store, signer=signer())
    notary.seal()

    notary.checkpoint()

    found = newest(store)
    text, (signature,) = note.open_note(found.note)
    with store.read() as seen:
        leaves = [leaf_of(one.body) for one in audit_log.entries(seen.sql, EntryFilter())]
    assert (
        text
        == f"vakhta\n5\n{b64encode(MerkleRange().extended(leaves).root()).decode()}\nat 2026-11-23T12:00:00.000000Z\n"
    )
    assert crypto.signed_by(crypto.public_key(bytes(32)), text.encode(), signature.raw)
    assert found.key_id == signer().key_id
    assert found.tree == MerkleRange().extended(leaves)


def test_what_has_not_grown_is_not_signed_again(store: Store, clock: Clock) -> None:
    record(store)
    notary = Notary(store, signer=signer())
    for _ in range(3):
        notary.seal()
        notary.checkpoint()
        clock.pass_by(minutes=1)

    with store.begin() as tx:
        assert tx.sql.scalar("SELECT count(*) FROM audit_checkpoint") == 1


def test_a_second_process_goes_on_from_the_last_checkpoint(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Notary(store, signer=signer())
    record(store, 3)
    first.seal()
    first.checkpoint()
    record(store, 4)
    asked: list[int] = []
    grown = audit_checkpoints.extended_tree

    def noting(store: Store, tree: MerkleRange) -> MerkleRange:
        asked.append(tree.size)
        return grown(store, tree)

    monkeypatch.setattr(audit_checkpoints, "extended_tree", noting)

    second = Notary(store, signer=signer())
    second.seal()
    second.checkpoint()

    assert asked == [3]
    assert newest(store).tree.size == 7


def test_a_checkpoint_that_nobody_believed_has_signed_is_not_built_upon(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    record(store, 3)
    notary = Notary(store, signer=signer())
    notary.seal()
    with store.begin(audit_seals.LANE) as tx:
        forged = sign_checkpoint(signer(b"f" * 32), MerkleRange().extended([b"x" * 32]), tx.now)
        audit_checkpoints.put(tx, replace(forged, key_id=signer().key_id))
    record(store)
    notary.seal()

    notary.checkpoint()

    assert "built again from all leaves" in caplog.text
    assert newest(store).tree.size == 4


def test_a_log_that_is_shorter_than_what_was_signed_is_signed_no_more(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    record(store, 2)
    notary = Notary(store, signer=signer())
    notary.seal()
    with store.begin(audit_seals.LANE) as tx:
        audit_checkpoints.put(
            tx, Checkpoint(tree=MerkleRange(4, (b"r" * 32,)), root=b"r" * 32, at=tx.now, key_id="k", note="n")
        )

    notary.checkpoint()

    assert "2 entries are sealed, and 4 were before" in str([vars(one).get("why") for one in caplog.records])
    assert newest(store).tree.size == 4


def test_another_key_is_an_entry_of_its_own(store: Store) -> None:
    old = Notary(store, signer=signer(b"o" * 32))
    old.start()
    old.stop(_SOON)

    believed = {signer(b"o" * 32).key_id: signer(b"o" * 32).public}
    Notary(store, signer=signer(believed=believed)).start()

    assert events(store) == ["started", "stopped", "started", "key_changed"]


def test_a_key_that_nobody_has_vouched_for_signs_nothing_and_says_what_to_do(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    old = Notary(store, signer=signer(b"o" * 32))
    old.start()
    old.stop(_SOON)
    notary = Notary(store, signer=signer())
    notary.start()
    notary.seal()

    notary.checkpoint()

    assert newest(store).tree.size == 2
    assert "run vakhta audit rotate" in str([vars(one).get("why") for one in caplog.records])


def test_without_a_key_entries_are_sealed_and_nothing_is_signed(store: Store) -> None:
    notary = Notary(store, signer=None)
    notary.start()
    notary.stop(_SOON)

    with store.begin() as tx:
        assert tx.sql.scalar("SELECT count(*) FROM audit_seal") == 2
        assert tx.sql.scalar("SELECT count(*) FROM audit_checkpoint") == 0


def test_a_checkpoint_is_put_into_a_file_that_only_its_owner_reads(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "anchors"
    record(store, 2)
    notary = Notary(store, signer=signer(), anchors={"file": anchors.to_file(path)})
    notary.start()
    notary.stop(_SOON)

    (line,) = path.read_text().splitlines()
    size, root, encoded = line.split(" ")
    assert (int(size), b64decode(root)) == (4, newest(store).root)
    assert b64decode(encoded).decode() == newest(store).note
    assert path.stat().st_mode & 0o777 == 0o600
    assert anchored(store) == [(4, "file")]


def test_an_anchor_that_fails_is_counted_and_tried_again_and_holds_up_no_other(store: Store) -> None:
    meters = Metrics()
    troubles = [Rejected("The bucket is gone.")]
    told: list[int] = []

    def fail_once(size: int, root: bytes, note: str) -> str:
        if troubles:
            raise troubles.pop()
        told.append(size)
        return "there"

    notary = Notary(store, signer=signer(), anchors={"s3": fail_once, "file": _ignore}, meters=meters)
    notary.start()
    notary.seal()
    until(lambda: failures(meters, "s3") == 1 and anchored(store) == [(1, "file")], "one has failed, the other has not")

    notary.checkpoint()

    until(lambda: anchored(store) == [(1, "file"), (1, "s3")], "it is tried again")
    assert told == [1]
    notary.stop(_SOON)


def _ignore(size: int, root: bytes, note: str) -> str:
    return f"{size} {root.hex()} {len(note)}"


def test_a_chat_is_told_the_root_once_in_a_while_and_what_it_did_not_take_is_tried_again(store: Store) -> None:
    chat, meters = Chat(Undelivered("Slack is down.")), Metrics()
    anchor = {"chat": anchors.to_chat(chat, "C9")}
    notary = Notary(store, signer=signer(), anchors=anchor, seldom={"chat": timedelta(hours=1)}, meters=meters)
    notary.start()
    notary.seal()
    root = b64encode(newest(store).root).decode()
    until(lambda: failures(meters, "chat") == 1, "it has failed")

    notary.checkpoint()
    until(lambda: anchored(store) == [(1, "chat")], "it is tried again")
    record(store, 2)
    notary.seal()
    notary.checkpoint()
    notary.stop(_SOON)

    assert chat.said == [("C9", f"audit log: 1 {root}")]
    assert anchored(store) == [(1, "chat")]


def test_an_anchor_that_hangs_holds_up_neither_seals_nor_the_end(store: Store) -> None:
    hang = threading.Event()

    def hangs(size: int, root: bytes, note: str) -> str:
        hang.wait(60)
        return "late"

    notary = Notary(store, signer=signer(), anchors={"s3": hangs})
    notary.start()
    notary.seal()
    notary.checkpoint()
    record(store, 2)
    notary.seal()

    notary.stop(timedelta(0))

    assert newest(store).tree.size == 4
    assert anchored(store) == []
    hang.set()
    until(lambda: bool(anchored(store)), "it ends once it hangs no more")


def test_every_entry_is_written_as_one_line_with_the_bytes_that_were_sealed(store: Store) -> None:
    written: list[bytes] = []
    record(store, 502)
    notary = Notary(store, signer=None, write=written.append)
    notary.start()
    notary.stop(_SOON)

    lines = b"".join(written).splitlines()
    with store.read() as seen:
        stored = audit_log.entries(seen.sql, EntryFilter(), limit=1000)
    assert [json.loads(line)["pos"] for line in lines] == list(range(504))
    assert [json.loads(line)["leaf"] for line in lines] == [leaf_of(one.body).hex() for one in stored]
    assert all(line.endswith(b'"entry":' + one.body + b"}") for line, one in zip(lines, stored, strict=True))


def test_lines_that_could_not_be_written_are_counted_and_written_later(store: Store) -> None:
    meters = Metrics()
    written: list[bytes] = []
    troubles = [BrokenPipeError("closed")]

    def write(lines: bytes) -> None:
        if troubles:
            raise troubles.pop()
        written.append(lines)

    notary = Notary(store, signer=None, write=write, meters=meters)
    notary.start()
    notary.seal()
    until(lambda: failures(meters, "stdout") == 1, "the first try has failed")
    notary.stop(_SOON)

    assert [json.loads(line)["entry"]["event"] for line in b"".join(written).splitlines()] == ["started", "stopped"]


def test_the_metrics_tell_what_waits_and_how_old_the_last_signature_is(store: Store, clock: Clock) -> None:
    meters = Metrics()
    value = meters.registry.get_sample_value
    record(store, 3)
    notary = Notary(store, signer=signer(), meters=meters)
    assert value("vakhta_audit_checkpoint_age_seconds") == float("inf")

    notary.seal()
    notary.checkpoint()
    clock.pass_by(seconds=90)

    assert value("vakhta_audit_entries_total", {"event": "answered"}) == 3
    assert value("vakhta_audit_unsealed") == 0
    assert (value("vakhta_audit_seal_lag_seconds") or 0.0) < 60
    assert value("vakhta_audit_checkpoint_age_seconds") == 90


def test_the_lag_grows_while_nothing_can_be_sealed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    meters = Metrics()
    notary = Notary(store, signer=None, meters=meters)
    now = 1000.0
    monkeypatch.setattr("bot.audit.notary.monotonic", lambda: now)
    notary.seal()

    def down() -> int:
        raise Unavailable("down")

    monkeypatch.setattr(notary._seals, "seal", down)
    now = 1070.0
    with pytest.raises(Unavailable):
        notary.seal()

    assert meters.registry.get_sample_value("vakhta_audit_seal_lag_seconds") == 70.0


def test_an_audit_log_that_cannot_be_written_keeps_the_bot_from_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> None:
        raise Unavailable("database or disk is full")

    monkeypatch.setattr(store, "begin", full)
    notary = Notary(store, signer=signer())

    notary.start()
    notary.stop(_SOON)

    assert "the start is not in the audit log" in caplog.text
    assert "the stop is not in the audit log" in caplog.text
