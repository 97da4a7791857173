"""`vakhta audit verify` reports an anchor of the settings that cannot be read whole: never exit code 0.

What it guards against: a log cut at a checkpoint agrees with itself, so whoever cuts it only has to see to it that the
anchor is not read.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.audit import anchors
from bot.audit.verify.anchors import find_anchors
from tests.audit_log import HandMade
from tests.audit_place import SEED, Place, placed

_NOT_WHOLE = 8


@pytest.fixture
def place(store_url: str, tmp_path: Path) -> Place:
    """Two starts of a bot are written, sealed, signed and anchored; the settings name the file."""
    made = placed(store_url, tmp_path)
    made.write()
    made.write()
    _set(made, f"file: '{made.outside}'")
    return made


def _set(place: Place, named: str) -> None:
    place.config.write_text(f"store: {{url: '{place.url}'}}\naudit: {{key: '{SEED}', anchors: {{{named}}}}}\n")


def cut_at_the_first_checkpoint(place: Place) -> None:
    hand = HandMade(place.url)
    ((size,),) = hand.sql("SELECT min(size) FROM audit_checkpoint")
    hand.sql("DELETE FROM audit_anchor WHERE size > ?", size)
    hand.sql("DELETE FROM audit_checkpoint WHERE size > ?", size)
    gone = [row[0] for row in hand.sql("SELECT entry_id FROM audit_seal WHERE pos >= ?", size)]
    hand.sql("DELETE FROM audit_seal WHERE pos >= ?", size)
    for entry in gone:
        hand.sql("DELETE FROM audit_entry WHERE id = ?", entry)
    hand.close()


def test_a_file_of_anchors_that_is_whole_shows_a_whole_log_and_a_cut_one(place: Place) -> None:
    assert place.run("verify") == 0

    cut_at_the_first_checkpoint(place)

    assert place.run("verify") == 4


def _gone(file: Path) -> None:
    file.unlink()


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _unreadable(file: Path) -> None:
    """For everybody, whatever their rights."""
    file.unlink()
    file.symlink_to(file)


def _last_line_damaged(file: Path) -> None:
    first, last = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(first + b"\x00" * len(last))


def _last_line_blank(file: Path) -> None:
    first, last = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(first + b" " * (len(last) - 1) + b"\n")


def _last_line_empty(file: Path) -> None:
    first, _ = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(first + b"\n")


def _a_root_damaged(file: Path) -> None:
    first, last = file.read_text().splitlines()
    file.write_text(f"{first}\n{last.replace(last.split()[1], '????')}\n")


def _a_note_damaged(file: Path) -> None:
    first, last = file.read_text().splitlines()
    file.write_text(f"{first}\n{last[:-30]}{'A' * 30}\n")


def _all_damaged(file: Path) -> None:
    file.write_text("not an anchor\nnor this\n")


@pytest.mark.parametrize(
    "harm",
    [
        _gone,
        _empty,
        _a_folder,
        _unreadable,
        _last_line_damaged,
        _last_line_blank,
        _last_line_empty,
        _a_root_damaged,
        _all_damaged,
    ],
    ids=lambda one: one.__name__,
)
def test_a_cut_log_is_never_as_it_was_written_where_the_named_file_cannot_be_read_whole(
    place: Place, harm: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(harm)
    cut_at_the_first_checkpoint(place)
    harm(place.outside)

    code = place.run("verify")

    out = capsys.readouterr().out
    assert code == _NOT_WHOLE, out
    assert "ANCHORS NOT WHOLE (exit code 8)" in out
    assert str(place.outside) in out


def test_a_damaged_note_behind_a_whole_root_is_told_of_a_whole_log_as_well(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    _a_note_damaged(place.outside)

    assert place.run("verify") == _NOT_WHOLE
    assert f"{place.outside}:2 is damaged, and is not the beginning of a line of the bot" in capsys.readouterr().out


def test_the_export_of_a_log_is_held_against_the_same_anchors(place: Place, tmp_path: Path) -> None:
    place.run("export", "--to", tmp_path / "log.jsonl")
    assert place.run("verify", "--from", tmp_path / "log.jsonl") == 0

    _last_line_damaged(place.outside)

    assert place.run("verify", "--from", tmp_path / "log.jsonl") == _NOT_WHOLE


def test_damage_in_a_file_given_by_hand_is_told_too(place: Place, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.write_bytes(place.outside.read_bytes())
    _last_line_damaged(copy)

    assert place.run("verify", "--anchors", copy) == _NOT_WHOLE


def test_lines_out_of_a_chat_may_stand_among_other_words(place: Place, tmp_path: Path) -> None:
    chat = tmp_path / "chat.txt"
    said = [f"12:0{n} vakhta: audit log: {' '.join(line.split()[:2])}" for n, line in enumerate(_lines(place.outside))]
    chat.write_text("\n".join(["ana: good morning", *said, "boris: and to you"]))

    assert place.run("verify", "--anchors", chat) == 0


def test_an_empty_folder_agrees_with_nothing(place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "objects").mkdir()

    assert place.run("verify", "--anchors", tmp_path / "objects") == 1
    assert "has no anchor" in capsys.readouterr().err


def test_objects_of_a_bucket_are_found_in_folders_within_folders(place: Place, tmp_path: Path) -> None:
    deep = tmp_path / "objects" / "vakhta"
    deep.mkdir(parents=True)
    for (size,) in _asked(place, "SELECT size FROM audit_checkpoint"):
        ((note,),) = _asked(place, f"SELECT note FROM audit_checkpoint WHERE size = {size}")
        (deep / f"{size}.note").write_text(str(note))
    cut_at_the_first_checkpoint(place)

    assert place.run("verify", "--anchors", tmp_path / "objects") == 4


@pytest.mark.parametrize(
    "named", ["s3: {bucket: example-audit}", "chat: {channel: telegram}"], ids=["in a bucket", "in a chat"]
)
def test_anchors_that_only_a_person_can_fetch_are_asked_for(
    place: Place, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _set(place, named)
    if "telegram" in named:
        with place.config.open("a") as config:
            token = f"123456:{'A' * 35}"
            config.write(f"channels: {{telegram: {{token: '{token}', chat_id: -1001}}}}\n")
            config.write("people: [{id: ana, telegram: 5}]\n")

    code = place.run("verify")

    out = capsys.readouterr()
    assert code == _NOT_WHOLE, out
    assert f"audit.anchors.{named.partition(':')[0]} is configured" in out.out
    assert place.run("verify", "--anchors", place.outside) == 0


def test_beside_a_file_that_is_whole_a_bucket_is_only_named(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    _set(place, f"file: '{place.outside}', s3: {{bucket: example-audit}}")

    assert place.run("verify") == 0
    assert "flagged: audit.anchors.s3 is configured" in capsys.readouterr().out


def test_a_file_whose_last_whole_lines_were_taken_out_is_told_by_what_the_database_knows(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.outside.write_text(_lines(place.outside)[0] + "\n")

    assert place.run("verify") == _NOT_WHOLE
    assert "were written there: its end is missing" in capsys.readouterr().out


def test_checkpoints_that_nobody_has_anchored_for_longer_than_usual_are_told(
    store_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = placed(store_url, tmp_path)
    place.write(days_ago=2)
    put, place.outside = place.outside, tmp_path / "elsewhere"
    place.write(days_ago=1)
    place.tamper("DELETE FROM audit_anchor WHERE size > 3")
    _set(place, f"file: '{put}'")

    assert place.run("verify") == _NOT_WHOLE
    assert "were signed 5 min ago or earlier" in capsys.readouterr().out


def test_settings_that_name_a_file_where_nothing_was_ever_put_are_not_whole(place: Place, tmp_path: Path) -> None:
    _set(place, f"file: '{tmp_path / 'never'}'")

    assert place.run("verify") == _NOT_WHOLE


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.99])
def test_a_write_of_the_bots_that_ended_in_its_midst_is_told_as_that(
    place: Place, share: float, capsys: pytest.CaptureFixture[str]
) -> None:
    """The disk was full, or the machine lost its power: the bot says the same checkpoint again at its next start."""
    first, last = place.outside.read_bytes().splitlines(keepends=True)
    place.outside.write_bytes(first + last[: max(1, int(len(last) * share))])

    place.write()

    assert place.run("verify") == 0
    assert f"{place.outside}:2 is not whole: it was written only partly" in capsys.readouterr().out
    cut_at_the_first_checkpoint(place)
    assert place.run("verify") == 4


def test_a_line_that_an_earlier_version_wrote_onto_a_torn_one_is_read(place: Place) -> None:
    first, last = place.outside.read_bytes().splitlines(keepends=True)
    place.write()
    newest = place.outside.read_bytes().splitlines(keepends=True)[-1]
    place.outside.write_bytes(first + last[:40] + newest)

    assert place.run("verify") == 0
    assert [one.size for one in find_anchors(place.outside, own=True).anchors] == [3, 9]


def test_what_looks_like_a_torn_line_and_is_of_no_checkpoint_is_damage(place: Place) -> None:
    first, _ = place.outside.read_bytes().splitlines(keepends=True)
    place.outside.write_bytes(first + b"5 AAAAAAAAAAAA\n")
    place.write()

    assert place.run("verify") == _NOT_WHOLE


def test_the_next_line_begins_on_a_line_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "anchors"
    put = anchors.to_file(file)
    put(1, b"root", "note")
    file.write_bytes(file.read_bytes() + b"2 torn")

    receipt = put(3, b"root", "note")

    at = int(receipt.rpartition("@")[2])
    assert file.read_bytes()[at - 1 :].startswith(b"\n3 ")


def test_nothing_is_pruned_while_the_anchors_are_not_whole(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _last_line_damaged(place.outside)

    assert place.run("prune", "--to", tmp_path) == _NOT_WHOLE
    assert "Nothing was pruned" in capsys.readouterr().out


def test_the_report_for_programs_tells_how_far_the_anchors_reach(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.run("verify", "--json")

    report = json.loads(capsys.readouterr().out)
    assert report["anchored"] == report["sealed"] == 6


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines()


def _asked(place: Place, statement: str) -> list[tuple[object, ...]]:
    hand = HandMade(place.url)
    rows = hand.sql(statement)
    hand.close()
    return rows
