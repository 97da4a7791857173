"""Every verb of the command line: what it needs, and that it does nothing without that.

A person at the machine is `local`, with the rights that the settings give to `local`: the keyboard gives none.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.__main__ import _parser, main
from bot.core.audit import Code
from bot.lib import terminal
from tests.authority.ground import Night
from tests.authority.table import SAID, expected

_EXPECTED = expected()


@dataclass(frozen=True)
class Needs:
    """What a verb cannot do without."""

    settings: bool = True
    database: bool = True
    local: bool = False  #: somebody of that name under `people`, with the role for what they say
    words: tuple[str, ...] = ()


VERBS: dict[str, Needs] = {
    "run": Needs(),
    "check": Needs(database=False),
    "ask": Needs(local=True, words=("show", "1")),
    "migrate": Needs(),
    "schema": Needs(settings=False, database=False),
    "completion": Needs(settings=False, database=False, words=("bash",)),
    "dr export": Needs(database=False, words=("-",)),
    "audit verify": Needs(),
    "audit export": Needs(),
    "audit rotate": Needs(),
    "audit restored": Needs(words=("--because", "so")),
    "audit prune": Needs(words=("--to", ".")),
}


def _verbs(parser: argparse.ArgumentParser, before: str = "") -> Iterator[str]:
    if isinstance(parser, terminal.Parser) and parser.fill is not None:
        parser.fill()
        parser.fill = None
    inner = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    if not inner:
        yield before
    for choices in inner:
        for name, sub in choices.choices.items():
            yield from _verbs(sub, f"{before} {name}".strip())


@dataclass(frozen=True)
class Place:
    """A database, and settings that name it."""

    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / "vakhta.db"

    def settings(self, people: str = "") -> Path:
        path = self.folder / "vakhta.yaml"
        path.write_text(
            f"server: {{listen: '127.0.0.1:0'}}\nstore: {{url: 'sqlite:///{self.database}'}}\n"
            "services: [{name: prod/api, environment: prod, match: {service: api}}]\n"
            f"people: [{people}]\n"
        )
        return path

    def runs(self, verb: str, *words: str, config: Path) -> int:
        try:
            return main([*verb.split(), "--config", str(config), *words])
        except SystemExit as ended:
            return ended.code if isinstance(ended.code, int) else 1

    def rows(self) -> dict[str, list[tuple[object, ...]]]:
        with closing(sqlite3.connect(self.database)) as base:
            names = [name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            kept = [one for one in names if not one.startswith(("audit_", "sqlite_")) and one != "seen"]
            return {name: sorted(base.execute(f'SELECT * FROM "{name}"'), key=repr) for name in kept}

    def codes(self) -> Sequence[str]:
        with closing(sqlite3.connect(self.database)) as base:
            return [json.loads(body)["code"] for (body,) in base.execute("SELECT body FROM audit_entry ORDER BY id")]


@pytest.fixture(autouse=True)
def no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command sets up the log of its whole process, which here is that of all tests."""
    monkeypatch.setattr("bot.lib.logs.start", lambda **_: None)


@pytest.fixture
def place(night: Night, tmp_path: Path) -> Place:
    shutil.copy(night.database, tmp_path / "vakhta.db")
    return Place(tmp_path)


def test_every_verb_of_the_command_line_is_in_the_table_and_nothing_else_is() -> None:
    assert set(_verbs(_parser())) == set(VERBS)


@pytest.mark.parametrize("verb", [verb for verb, needs in VERBS.items() if needs.settings])
def test_without_settings_nothing_is_started(place: Place, verb: str) -> None:
    before = place.database.read_bytes()

    code = place.runs(verb, *VERBS[verb].words, config=place.folder / "nothing.yaml")

    assert code == 78
    assert place.database.read_bytes() == before


def test_the_schema_needs_nothing(tmp_path: Path) -> None:
    assert main(["schema", str(tmp_path / "schema.json")]) == 0


@pytest.mark.parametrize("verb", [verb for verb, needs in VERBS.items() if needs.settings])
def test_without_a_database_that_can_be_read_it_is_refused(place: Place, verb: str) -> None:
    """As processes of their own: `run` would not come back where it is not refused."""
    place.database.write_bytes(b"this is no database" * 100)
    needs, config = VERBS[verb], place.settings("{id: local, roles: [admin]}")
    command = [sys.executable, "-m", "bot", *verb.split(), "--config", str(config), *needs.words]

    ended = subprocess.run(command, capture_output=True, timeout=60, check=False)

    assert (ended.returncode != 0) == needs.database, ended.stderr
    assert place.database.read_bytes() == b"this is no database" * 100
    assert b"Traceback" not in ended.stderr, ended.stderr


@pytest.mark.parametrize("words", SAID.values())
def test_whoever_is_not_listed_is_refused_and_it_is_on_record(
    place: Place, night: Night, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    stored, recorded = place.rows(), len(place.codes())

    code = place.runs("ask", *words.format(**night.names).split(), config=place.settings("{id: ana, slack: U1}"))

    assert code == 1
    assert capsys.readouterr().err.startswith("You are not listed: ")
    assert place.codes()[recorded:] == [Code.DENIED]
    assert place.rows() == stored


@pytest.mark.parametrize("role", ["viewer", "responder", "approver", "admin"])
@pytest.mark.parametrize("verb", ["ack", "note", "show", "undo", "yes"])
def test_who_is_listed_may_at_the_keyboard_what_the_role_may(place: Place, night: Night, role: str, verb: str) -> None:
    config = place.settings(f"{{id: local, roles: [{role}]}}, {{id: ash, slack: U1, roles: [admin]}}")
    recorded, cell = len(place.codes()), _EXPECTED[verb, role]

    place.runs("ask", *night.words(verb).split(), config=config)

    assert (Code.DENIED in place.codes()[recorded:]) == (cell == "no")
