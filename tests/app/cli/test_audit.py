"""`vakhta audit verify` and `vakhta audit export`, on what the bot itself has written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from base64 import b64decode, b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from bot.__main__ import main
from bot.core.audit import AuditEntry, Code
from bot.lib import crypto
from tests.audit_log import Pen
from tests.audit_place import SEED, Place, placed, signer_of

_ODD = 'He said "yes\\no"\n\x00\x1b[31m \u202egnp.exe \U0001f6a8 \ud800 вахта'


@pytest.fixture
def place(store_url: str, tmp_path: Path) -> Place:
    return placed(store_url, tmp_path)


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_what_the_bot_writes_is_found_as_it_was_written(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    more = {_ODD: _ODD, "\ue000": "1", "\U0001f6a8": "2", "a": ""}
    odd = AuditEntry(
        code=Code.DENIED, by=_ODD, message=_ODD * 300, run=_ODD, verb=_ODD, target=_ODD, channel=_ODD, details=more
    )
    place.write(odd, AuditEntry(code=Code.INTENT, by="ana", message="", run="r1"), odd)

    code = place.run("verify", "--anchors", place.outside)

    out = told(capsys)
    assert code == 0, out
    assert "as it was written (exit code 0)" in out
    assert "5 entries sealed" in out
    assert "1 anchors from outside" in out
    assert "the keys are from the settings" in out


def test_row_87_an_altered_log_is_exit_2_with_the_first_bad_position(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write()
    place.tamper("UPDATE audit_entry SET body = ? WHERE id = 2", b"forged")

    code = place.run("verify", "--json")

    report = json.loads(told(capsys))
    assert (code, report["exit_code"], report["ok"]) == (2, 2, False)
    assert report["findings"][0]["pos"] == 1
    assert report["findings"][0]["found"] == sha256(b"\x00forged").hexdigest()
    assert len(report["findings"][0]["expected"]) == 64


def test_a_log_cut_at_its_end_is_exit_4_by_the_file_that_the_settings_name(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write()
    place.config.write_text(f"{place.config.read_text()[:-2]}, anchors: {{file: '{place.outside}'}}}}\n")
    for table, key in (
        ("audit_anchor", "size"),
        ("audit_checkpoint", "size"),
        ("audit_seal", "pos"),
        ("audit_entry", "id"),
    ):
        place.tamper(f"DELETE FROM {table} WHERE {key} >= 0")

    assert place.run("verify") == 4
    assert "TRUNCATED" in told(capsys)


def test_a_line_of_the_anchors_that_was_altered_is_exit_5(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.write()
    size, root, note = place.outside.read_text().split()
    place.outside.write_text(f"{int(size) - 1} {root} {note}\n")

    assert place.run("verify", "--anchors", place.outside) == 5


def test_a_key_that_is_pinned_is_the_only_one_that_is_believed(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write()
    mine = f"{signer_of().key_id}+{_vkey()}"

    good, other = place.run("verify", "--public-key", mine), place.run("verify", "--public-key", Pen(7).key.text)

    assert (good, other) == (0, 5)
    assert "from the settings" not in told(capsys)


def _vkey() -> str:
    return b64encode(b"\x01" + signer_of().public).decode()


def test_settings_whose_key_was_exchanged_are_exit_5(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.write()
    place.config.write_text(place.config.read_text().replace(SEED, crypto.new_seed()))

    assert place.run("verify") == 5


def test_an_export_of_everything_is_verified_like_the_database(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write(AuditEntry(code=Code.DENIED, by=_ODD, message=_ODD, details={_ODD: "1"}))
    out = tmp_path / "log.jsonl"

    exported, verified = place.run("export", "--to", out), place.run("verify", "--from", out)

    lines = [json.loads(line) for line in out.read_bytes().splitlines()]
    first = lines[0]
    assert (exported, verified) == (0, 0)
    assert [next(iter(line)) for line in lines] == ["body", "body", "body", "checkpoint", "anchor"]
    assert sha256(b"\x00" + b64decode(first["raw"])).hexdigest() == first["leaf"]
    assert json.loads(b64decode(first["raw"])) == first["body"]
    assert out.stat().st_mode & 0o777 == 0o600


def test_an_export_needs_neither_settings_nor_the_bots_machine(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write()
    place.run("export", "--to", tmp_path / "log.jsonl")
    words = ["--from", str(tmp_path / "log.jsonl"), "--public-key", f"{signer_of().key_id}+{_vkey()}"]

    code = main(["audit", "verify", "--config", str(tmp_path / "none.yaml"), *words])

    assert code == 0


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b'"by":"ana"', b'"by":"eve"', 2),  # what is shown for reading
        (b'"pos":1', b'"pos":7', 2),
        (b'"leaf":"', b'"leaf":"00', 2),
        (b'{"body"', b'x{"body"', 2),
        (b'"size":3', b'"size":2', 2),
        (b"\\n3\\n", b"\\n2\\n", 5),
        (b'{"checkpoint":{', b'{"checkpoint":[{', 3),
    ],
)
def test_an_export_that_was_altered_shows(place: Place, tmp_path: Path, old: bytes, new: bytes, code: int) -> None:
    place.write()
    out = tmp_path / "log.jsonl"
    place.run("export", "--to", out)
    text = out.read_bytes()
    assert old in text
    out.write_bytes(text.replace(old, new, 1))

    assert place.run("verify", "--from", out) == code


def test_a_part_of_the_log_is_exported_by_time_and_incident(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write()
    out = tmp_path / "log.jsonl"

    counts = []
    for words in (["--incident", "42"], ["--since", "2999-01-01"], ["--until", "2999-01-01T00:00Z"]):
        place.run("export", "--to", out, *words)
        counts.append(sum(b'"body"' in line for line in out.read_bytes().splitlines()))

    assert counts == [1, 0, 3]


def test_an_export_of_a_part_is_missing_the_rest(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write()
    place.run("export", "--to", tmp_path / "log.jsonl", "--incident", "42")
    place.write()
    place.run("export", "--to", tmp_path / "later.jsonl", "--incident", "42")

    assert place.run("verify", "--from", tmp_path / "later.jsonl") == 3


def test_parts_in_a_folder_are_read_as_one(place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place.write()
    folder = tmp_path / "parts"
    folder.mkdir()
    place.run("export", "--to", tmp_path / "log.jsonl")
    lines = (tmp_path / "log.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "1.jsonl").write_bytes(b"".join(lines[:2]))
    (folder / "2.jsonl").write_bytes(b"".join(lines[2:]))

    assert place.run("verify", "--from", folder) == 0


def test_an_entry_that_is_no_json_forges_no_line_of_an_export(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write()
    place.tamper("UPDATE audit_entry SET body = ? WHERE id = 1", b'{}}\n{"body":{"by":"eve"}')
    out = tmp_path / "log.jsonl"

    place.run("export", "--to", out)

    lines = [json.loads(line) for line in out.read_bytes().splitlines()]
    assert len(lines) == 5
    assert lines[0]["body"] is None
    assert place.run("verify", "--from", out) == 2


def test_an_export_to_a_reader_that_stops_says_so(place: Place) -> None:
    place.write()
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "bot", "audit", "export", "--config", str(place.config)]

    ran = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)

    assert ran.returncode == 1
    assert ran.stderr == "The export is not complete: the program that read it has stopped.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "nowhere.jsonl"], "nowhere.jsonl cannot be read (No such file or directory)"),
        (["--anchors", "nowhere"], "nowhere cannot be read (No such file or directory)"),
        (["--public-key", "x+1+2"], "'x+1+2' is not a verifier key of Ed25519"),
    ],
)
def test_what_cannot_be_looked_at_is_exit_1_and_says_why(
    place: Place, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write()

    code = place.run("verify", *words)

    err = capsys.readouterr().err
    assert code == 1
    assert said in err


@pytest.mark.parametrize("url", ["sqlite:///{}/none.db", "postgresql+psycopg://nobody@127.0.0.1:1/none"])
def test_a_database_that_cannot_be_opened_is_exit_1(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "vakhta.yaml"
    config.write_text(f"store: {{url: '{url.format(tmp_path)}'}}\n")

    code = main(["audit", "verify", "--config", str(config)])

    assert code == 1
    assert capsys.readouterr().err.startswith("The audit log was not read: ")
    assert not (tmp_path / "none.db").exists()


def test_a_key_file_that_holds_no_key_is_exit_1_and_says_what_a_key_is(
    sqlite_template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(sqlite_template, tmp_path / "vakhta.db")
    place = placed(f"sqlite:///{tmp_path}/vakhta.db", tmp_path)
    place.write()
    place.config.write_text(f"store: {{url: '{place.url}'}}\n")
    (tmp_path / "vakhta-audit.key").write_text("broken")

    code = place.run("verify")

    assert code == 1
    assert "must be 32 bytes in base64" in capsys.readouterr().err


def test_a_database_without_an_audit_log_is_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "vakhta.db").touch()
    config = tmp_path / "vakhta.yaml"
    config.write_text(f"store: {{url: 'sqlite:///{tmp_path}/vakhta.db'}}\n")

    assert main(["audit", "verify", "--config", str(config)]) == 1
    assert "no such table" in capsys.readouterr().err
    assert not (tmp_path / "vakhta-audit.key").exists()


@pytest.mark.parametrize("words", [["verify", "--bad"], ["verify", "--anchors"], ["export", "--since", "noon"]])
def test_words_that_are_not_understood_never_end_with_the_code_of_an_altered_log(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["audit", *words])

    assert ended.value.code == 1


def test_an_anchors_file_without_an_anchor_agrees_with_nothing(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write()
    place.outside.write_text("")

    assert place.run("verify", "--anchors", place.outside) == 1
    assert "has no anchor" in capsys.readouterr().err


def test_faulty_settings_end_it_with_78(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "vakhta.yaml"
    config.write_text("audit: {kee: 1}\n")

    assert main(["audit", "verify", "--config", str(config)]) == 78
