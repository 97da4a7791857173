"""Every change of an audit log is found: each way to tamper with it, and the finding of the verifier."""

from __future__ import annotations

import os
import shutil
import signal
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bot.audit.verify.anchors import find_anchors
from bot.audit.verify.log_reader import LogReader, UnreadableLog
from bot.audit.verify.open_log import open_log
from bot.audit.verify.parallel import WorkerPool
from bot.audit.verify.report import LogFault, VerificationReport
from bot.audit.verify.signed_note import VerifierKey
from bot.audit.verify.verifier import verify_log
from tests.audit_log import PEN, HandMade, Pen, rfc3339, root, verify

_TABLES = ("audit_anchor", "audit_checkpoint", "audit_seal", "audit_entry")


@pytest.fixture
def log(store_url: str) -> Iterator[HandMade]:
    made = HandMade(store_url)
    yield made
    made.close()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    return tmp_path / "anchors"


def look(
    log: HandMade,
    *,
    keys: tuple[VerifierKey, ...] = (PEN.key,),
    anchors: Path | None = None,
    at: datetime | None = None,
) -> VerificationReport:
    """The report ten seconds after the last entry, or at another time; the same in blocks and in one pass."""
    seen = find_anchors(anchors).anchors if anchors else ()
    moment = at or log.now + timedelta(seconds=10)
    with open_log(log.url) as evidence:
        whole, in_stretches = (
            verify_log(evidence, keys=keys, verify=verify, anchors=seen, now=lambda: moment, pool=pool)
            for pool in (WorkerPool(), WorkerPool(floor=0, block_size=4))
        )
    assert in_stretches.json() == whole.json()
    return whole


def found(report: VerificationReport) -> set[LogFault]:
    return {fault for fault in report.counts if fault}


def test_a_log_that_nobody_touched_is_as_it_was_written(log: HandMade, outside: Path) -> None:
    log.fill(100, sign_each=7)
    outside.write_text(log.anchor())

    report = look(log, anchors=outside)

    assert report.findings == []
    assert (report.exit_code, report.sealed, report.checkpoints, report.signed) == (0, 100, 15, 100)


def test_many_processes_find_what_one_finds(log: HandMade) -> None:
    log.write(code="VK120I", run="r1")
    log.fill(40, sign_each=3)
    log.sql("UPDATE audit_entry SET verb = 'x' WHERE id IN (7, 22)")
    log.sql("UPDATE audit_checkpoint SET note = 'x' WHERE size = 13")
    log.sql("DELETE FROM audit_seal WHERE pos = 30")
    later = log.now + timedelta(hours=1)

    with open_log(log.url) as evidence:
        one, many = (
            verify_log(evidence, keys=[PEN.key], verify=verify, now=lambda: later, pool=pool)
            for pool in (WorkerPool(), WorkerPool(processes=3, floor=0, block_size=4))
        )

    assert many.json() == one.json()
    assert [finding.pos for finding in many.findings if finding.pos is not None] == [6, 21, 30, 0]


def test_a_process_that_is_killed_is_a_log_that_was_not_looked_at(log: HandMade) -> None:
    log.fill(8)
    with open_log(log.url) as evidence:
        parts = evidence.parts()
        assert parts is not None
        evidence.parts = lambda: (parts[0], _killed)  # type: ignore[method-assign]

        with pytest.raises(UnreadableLog, match="was killed"):
            verify_log(evidence, keys=[PEN.key], verify=verify, pool=WorkerPool(processes=2, floor=0, block_size=4))


def _killed() -> LogReader:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def test_an_empty_log_is_whole_and_says_that_it_is_empty(log: HandMade) -> None:
    report = look(log)

    assert report.exit_code == 0
    assert [one.message for one in report.findings] == ["the log is empty"]


def test_row_87_an_altered_body_is_exit_2_with_its_position_and_both_hashes(log: HandMade) -> None:
    log.fill()
    log.sql("UPDATE audit_entry SET body = ? WHERE id = 4", b"{}")

    report = look(log)

    (finding,) = report.findings
    assert report.exit_code == 2
    assert (finding.pos, finding.expected) == (3, log.leaves[3].hex())
    assert finding.found == sha256(b"\x00{}").hexdigest()
    assert "position 3: entry 4 is not what was sealed" in report.text_lines()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("uid", "0193"), ("at", 5), ("code", "VK101W"), ("run", "r9"), ("incident_id", 77), ("incident_id", None),
        ('"by"', "eve"), ("verb", "page"), ("target", ""), ("place", "cli"),
    ],
)  # fmt: skip
def test_a_column_that_says_something_else_than_its_body_is_altered(log: HandMade, column: str, value: object) -> None:
    log.fill()
    log.sql(f"UPDATE audit_entry SET {column} = ? WHERE id = 5", value)

    report = look(log)

    (finding,) = report.findings
    assert (report.exit_code, finding.pos) == (2, 4)
    assert f"column {column.strip(chr(34))} of entry 5" in finding.message


@pytest.mark.parametrize(("gone", "pos"), [(1, 0), (5, 4), (10, 9)])
def test_an_entry_that_is_gone_is_missing(log: HandMade, gone: int, pos: int) -> None:
    log.fill()
    log.sql("DELETE FROM audit_entry WHERE id = ?", gone)

    report = look(log)

    (finding,) = report.findings
    assert (report.exit_code, finding.pos) == (3, pos)


@pytest.mark.parametrize(("gone", "pos"), [(0, 0), (4, 4), (9, 9)])
def test_a_seal_that_is_gone_leaves_a_gap(log: HandMade, gone: int, pos: int) -> None:
    log.fill()
    log.sql("DELETE FROM audit_seal WHERE pos = ?", gone)

    report = look(log)

    assert report.exit_code == 3
    assert report.findings[0].pos == pos


def test_entry_and_seal_gone_together_are_missing(log: HandMade) -> None:
    log.fill()
    log.sql("DELETE FROM audit_seal WHERE pos = 4")
    log.sql("DELETE FROM audit_entry WHERE id = 5")

    report = look(log)

    assert found(report) == {LogFault.MISSING}
    assert report.findings[0].message == "there is no entry at 4"


def test_a_gap_that_is_closed_by_moving_what_follows_is_altered_and_short(log: HandMade) -> None:
    log.fill()
    log.sql("DELETE FROM audit_seal WHERE pos = 4")
    log.sql("DELETE FROM audit_entry WHERE id = 5")
    for pos in range(5, 10):
        log.sql("UPDATE audit_seal SET pos = ? WHERE pos = ?", pos - 1, pos)

    report = look(log)

    assert report.exit_code == 2
    assert found(report) == {LogFault.ALTERED, LogFault.MISSING}
    assert report.findings[0].pos == 4


def test_a_log_cut_at_its_end_with_all_that_vouches_for_it_is_told_by_an_anchor_alone(
    log: HandMade, outside: Path
) -> None:
    log.fill(10, sign_each=5)
    outside.write_text(log.anchor())
    log.sql("DELETE FROM audit_anchor")
    log.sql("DELETE FROM audit_checkpoint WHERE size > 5")
    log.sql("DELETE FROM audit_seal WHERE pos >= 5")
    log.sql("DELETE FROM audit_entry WHERE id > 5")

    alone, with_anchor = look(log), look(log, anchors=outside)

    assert alone.exit_code == 0
    assert with_anchor.exit_code == 4
    assert found(with_anchor) == {LogFault.TRUNCATED}
    assert with_anchor.findings[0].message == f"{outside}:1 has an anchor of 10 entries, the log has 5"


def test_a_log_cut_at_its_end_is_told_by_a_checkpoint_that_was_left(log: HandMade) -> None:
    log.fill(10, sign_each=5)
    log.sql("DELETE FROM audit_seal WHERE pos >= 8")
    log.sql("DELETE FROM audit_entry WHERE id > 8")

    report = look(log)

    assert (report.exit_code, report.findings[0].pos) == (3, 8)


def test_a_log_that_was_emptied_is_told_by_an_anchor_alone(log: HandMade, outside: Path) -> None:
    log.fill()
    outside.write_text(log.anchor())
    for table in _TABLES:
        log.sql(f"DELETE FROM {table}")

    assert look(log).exit_code == 0
    assert look(log, anchors=outside).exit_code == 4


def test_an_anchors_row_that_points_to_a_checkpoint_that_is_gone_is_told(log: HandMade) -> None:
    log.fill(10, sign_each=5)
    log.anchor()
    log.sql("DELETE FROM audit_checkpoint WHERE size = 10")

    report = look(log)

    assert found(report) == {LogFault.MISSING}


def test_seals_that_changed_places_are_altered(log: HandMade) -> None:
    log.fill()
    for pos, to in ((2, 99), (6, 2), (99, 6)):
        log.sql("UPDATE audit_seal SET pos = ? WHERE pos = ?", to, pos)

    report = look(log)

    assert report.exit_code == 2
    assert (report.findings[0].pos, report.findings[0].expected) != (None, "")


def test_bodies_that_changed_places_are_altered_at_both(log: HandMade) -> None:
    log.fill()
    ((one,), (other,)) = log.sql("SELECT body FROM audit_entry WHERE id IN (3, 7) ORDER BY id")
    log.sql("UPDATE audit_entry SET body = ? WHERE id = 3", other)
    log.sql("UPDATE audit_entry SET body = ? WHERE id = 7", one)

    report = look(log)

    assert [(one.fault, one.pos) for one in report.findings] == [(LogFault.ALTERED, 2), (LogFault.ALTERED, 6)]


def test_a_forged_entry_with_its_leaf_computed_anew_is_not_under_the_signed_root(log: HandMade) -> None:
    log.fill(10, sign_each=5)
    forge(log, 7)

    report = look(log)

    (finding,) = report.findings
    assert (report.exit_code, finding.pos) == (2, 5)
    assert "first difference is between here and 10" in finding.message


def test_a_forger_who_computes_the_checkpoint_anew_cannot_sign_it(log: HandMade) -> None:
    log.fill(10, sign_each=5)
    forge(log, 7)
    log.sql("DELETE FROM audit_checkpoint WHERE size = 10")
    log.sign(Pen(2))

    report = look(log)

    assert (report.exit_code, found(report)) == (5, {LogFault.UNSIGNED})


def test_a_forger_who_signs_under_the_name_of_our_key_is_found(log: HandMade) -> None:
    log.fill(10, sign_each=5)
    forge(log, 7)
    ((note,),) = log.sql("SELECT note FROM audit_checkpoint WHERE size = 10")
    old, new = log.sql("SELECT root FROM audit_checkpoint WHERE size = 10")[0][0], root(log.leaves)
    forged = note.replace(b64encode(bytes(old)).decode(), b64encode(new).decode())
    log.sql("UPDATE audit_checkpoint SET note = ?, root = ? WHERE size = 10", forged, new)

    report = look(log)

    assert report.exit_code == 5
    assert "is not valid for the key that it names" in report.findings[0].message


def forge(log: HandMade, number: int) -> None:
    """Another body in its place, with columns and leaf to match."""
    ((body,),) = log.sql("SELECT body FROM audit_entry WHERE id = ?", number)
    forged = bytes(body).replace(b'"by":"ana"', b'"by":"eve"')
    leaf = sha256(b"\x00" + forged).digest()
    log.sql("UPDATE audit_entry SET body = ?, \"by\" = 'eve' WHERE id = ?", forged, number)
    log.sql("UPDATE audit_seal SET leaf = ? WHERE entry_id = ?", leaf, number)
    log.leaves[number - 1] = leaf


def test_all_signed_anew_by_another_key_is_an_unknown_key(log: HandMade) -> None:
    log.fill(10, sign_each=20)
    log.sql("DELETE FROM audit_checkpoint")
    log.sign(Pen(2))

    report = look(log)

    assert report.exit_code == 5
    assert Pen(2).key.id in report.findings[0].message


def test_two_keys_one_after_the_other_are_good_when_both_are_believed(log: HandMade) -> None:
    log.fill(5)
    log.write()
    log.sign(Pen(2))

    assert look(log, keys=(PEN.key, Pen(2).key)).exit_code == 0
    assert look(log).exit_code == 5


def test_a_checkpoint_of_another_log_of_ours_is_not_one_of_this(log: HandMade) -> None:
    log.fill(5)
    log.write()
    log.sign(origin="staging.example")

    assert look(log).exit_code == 2


def test_a_uid_that_is_there_twice_is_altered_even_when_it_was_sealed_and_signed(log: HandMade) -> None:
    log.fill(4)
    ((uid,),) = log.sql("SELECT uid FROM audit_entry WHERE id = 2")
    log.sql("DROP INDEX audit_entry_uid")
    log.write(uid=uid)
    log.sign()

    report = look(log)

    (finding,) = report.findings
    assert (report.exit_code, finding.pos) == (2, 4)
    assert finding.message == f"entry 2 has the uid of entry 5, {uid}"


def test_a_clock_that_goes_back_is_flagged_and_the_log_is_whole(log: HandMade) -> None:
    log.fill(4)
    log.now -= timedelta(hours=1)
    log.write()
    log.write()
    log.sign()

    report = look(log)

    (finding,) = report.findings
    assert (report.exit_code, finding.fault, finding.pos) == (0, LogFault.FLAGGED, 4)
    assert finding.message.startswith("the clock went back, from 2026-11-23T12:00:04Z to")


def test_an_entry_that_waits_for_its_seal_is_fine_for_a_minute(log: HandMade) -> None:
    log.fill(4)
    log.write(sealed=False)

    soon, late = look(log), look(log, at=log.now + timedelta(seconds=61))

    assert (soon.exit_code, soon.unsealed) == (0, 1)
    assert (late.exit_code, found(late)) == (6, {LogFault.UNSEALED})


def test_an_entry_that_waits_and_was_altered_is_told(log: HandMade) -> None:
    log.fill(4)
    log.write(sealed=False)
    log.sql("UPDATE audit_entry SET verb = 'x' WHERE id = 5")

    assert look(log).exit_code == 2


def test_what_no_checkpoint_covers_for_minutes_is_not_sealed(log: HandMade) -> None:
    log.fill(4)
    log.write()

    soon, late = look(log), look(log, at=log.now + timedelta(minutes=4))

    assert soon.exit_code == 0
    assert (late.exit_code, late.findings[0].pos) == (6, 4)


@pytest.mark.parametrize("outcome", ["VK121I", "VK122E", "VK123E"])
def test_an_intent_has_a_quarter_of_an_hour_to_be_followed_by_an_outcome(log: HandMade, outcome: str) -> None:
    log.write(code="VK120I", run="r1")
    log.write(code="VK120I", run="r2")
    log.write(code=outcome, run="r1")
    log.sign()

    soon, late = look(log), look(log, at=log.now + timedelta(minutes=16))

    assert soon.exit_code == 0
    assert (late.exit_code, [one.pos for one in late.findings]) == (7, [1])
    assert "run r2 was to begin" in late.findings[0].message


def test_an_outcome_counts_before_it_is_sealed(log: HandMade) -> None:
    log.write(code="VK120I", run="r1")
    log.sign()
    log.now += timedelta(minutes=30)
    log.write(code="VK121I", run="r1", sealed=False)

    assert look(log).exit_code == 0


def test_the_gravest_decides_and_all_are_told(log: HandMade, outside: Path) -> None:
    log.write(code="VK120I", run="r1")
    log.fill(6, sign_each=3)
    outside.write_text(f"{log.anchor()}99 {'A' * 43}=\n")
    log.sql("UPDATE audit_entry SET verb = 'x' WHERE id = 2")
    log.sql("DELETE FROM audit_entry WHERE id = 3")
    log.sql("UPDATE audit_checkpoint SET note = 'x' WHERE size = 4")
    log.write(sealed=False)

    report = look(log, anchors=outside, at=log.now + timedelta(hours=1))

    assert report.exit_code == 2
    assert found(report) == set(LogFault) - {LogFault.FLAGGED, LogFault.UNANCHORED}  # which no anchor in hand can have


def test_an_old_copy_of_the_database_is_told_by_an_anchor_alone(
    sqlite_template: Path, tmp_path: Path, outside: Path
) -> None:
    shutil.copy(sqlite_template, tmp_path / "now.db")
    log = HandMade(f"sqlite:///{tmp_path}/now.db")
    log.fill(5)
    log.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(tmp_path / "now.db", tmp_path / "old.db")
    log.fill(5)
    outside.write_text(log.anchor())
    log.close()
    old = HandMade(f"sqlite:///{tmp_path}/old.db")
    old.now = log.now

    assert look(old).exit_code == 0
    assert look(old, anchors=outside).exit_code == 4
    old.close()


def test_an_old_copy_that_went_on_is_not_what_was_anchored(log: HandMade, outside: Path) -> None:
    log.fill(5)
    log.write()
    log.sign()
    outside.write_text(log.anchor())
    log.sql("DELETE FROM audit_anchor")
    log.sql("DELETE FROM audit_checkpoint WHERE size = 6")
    log.sql("DELETE FROM audit_seal WHERE pos = 5")
    log.sql("DELETE FROM audit_entry WHERE id = 6")
    log.leaves.pop()
    log.write(by="eve")
    log.sign()

    assert look(log).exit_code == 0
    assert look(log, anchors=outside).exit_code == 2


def test_a_body_that_is_not_of_the_form_is_told_even_when_it_was_sealed(log: HandMade) -> None:
    log.fill(3)
    log.write(unexpected="key")
    log.sign()

    report = look(log)

    assert (report.exit_code, report.findings[0].pos) == (2, 3)


def test_times_and_texts_at_their_edges_are_of_the_form(log: HandMade) -> None:
    odd = '"\\\b\f\n\r\t\x01\x1f\x7f \u2028\u202e\U0001f6a8 é/'
    log.write(
        said=odd, by=odd, verb=odd, target=odd, place=odd, run=odd, more={"\ue000": odd, "\U0001f6a8": "1", odd: ""}
    )
    log.write(at=rfc3339(log.now.replace(year=1999, microsecond=0)), incident=-1)
    log.write(at=rfc3339(log.now), incident=2**53 - 1)
    log.sign()

    report = look(log)

    assert report.exit_code == 0


#: Every column of all that is believed. Rows of audit_anchor are not: they only say where to look.
COLUMNS = [
    *(("audit_entry", name) for name in ("id", "uid", "at", "code", "run", "incident_id", '"by"')),
    *(("audit_entry", name) for name in ("verb", "target", "place", "body")),
    *(("audit_seal", name) for name in ("pos", "entry_id", "leaf")),
    *(("audit_checkpoint", name) for name in ("size", "root", "at", "key_id", "note", "frontier")),
]  # fmt: skip


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_any_byte_of_any_column_that_is_flipped_shows(
    sqlite_template: Path, tmp_path: Path, table: str, column: str
) -> None:
    shutil.copy(sqlite_template, tmp_path / "vakhta.db")
    log = HandMade(f"sqlite:///{tmp_path}/vakhta.db")
    log.fill(5, sign_each=2)
    for index in ("audit_entry_uid", "audit_seal_entry"):
        log.sql(f"DROP INDEX {index}")
    rows = log.sql(f"SELECT rowid, {column} FROM {table} WHERE {column} IS NOT NULL ORDER BY rowid")
    assert rows
    assert look(log).exit_code == 0

    put = f"UPDATE OR IGNORE {table} SET {column} = CAST(? AS {type_of(rows[0][1])}) WHERE rowid = ?"

    @settings(max_examples=25, database=None)
    @given(data=st.data())
    def any_byte(data: st.DataObject) -> None:
        row, value = data.draw(st.sampled_from(rows))
        changed = flipped(value, data)
        log.sql(put, changed, row)
        assume(log.sql("SELECT changes()") == [(1,)])  # else its key was taken
        ((there,),) = log.sql(f"SELECT count(*) FROM {table} WHERE rowid = ?", row)

        report = look(log)

        log.sql(put, value, row if there else changed)
        assert report.exit_code in (2, 3, 4, 5)

    any_byte()
    assert look(log).exit_code == 0
    log.close()


def type_of(value: object) -> str:
    return {int: "INTEGER", str: "TEXT", bytes: "BLOB"}[type(value)]


def flipped(value: object, data: st.DataObject) -> object:
    """That value with one bit of it the other way round; of a text, its bytes."""
    if isinstance(value, int):
        return value ^ 1 << data.draw(st.integers(0, 62))
    raw = bytearray(value if isinstance(value, bytes) else str(value).encode())
    if not raw:
        return b"x"
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    return bytes(raw)
