"""The commands of docs/operating.md for the bot's own database: back up, drill, restore, and the audit log verified."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import yaml

from bot.app.bot import Bot
from bot.config.settings import load_settings
from bot.core.request import Principal, Request
from tests.docs.papers import ROOT
from tests.postgres import Postgres, _programs

pytestmark = [pytest.mark.waits]

_PAGE = (ROOT / "docs" / "operating.md").read_text()
_OK, _TRUNCATED = 0, 4


@dataclass
class OwnDatabase:
    """One bot's database, its settings, and the page's variables. `drills`: databases for the copy, one a drill."""

    kind: str
    place: Path
    env: dict[str, str]

    def works(self, *texts: str) -> None:
        """The bot runs, takes these requests, stops, and has published what it sealed."""
        bot = Bot(load_settings(self.place / "vakhta.yaml", {}))
        bot.start()
        for text in texts:
            bot.dispatcher.handle(Request(by=Principal(id="local", name="local"), text=text, channel="console"))
        assert bot.stop() == []

    def follows(self, what: str, **also: str) -> list[int]:
        """The exit codes of the commands that the page has for this kind of database."""
        found = re.search(rf"<!-- own database: {what} {self.kind} -->\n```sh\n(.*?)```", _PAGE, re.DOTALL)
        assert found, f"the page has no commands to {what} {self.kind}"
        commands = [one for one in found[1].splitlines() if one and not one.startswith("#")]
        return [self._run(one, also) for one in commands]

    def _run(self, command: str, also: dict[str, str]) -> int:
        path = os.pathsep.join([str(Path(sys.executable).parent), str(_programs() or ""), os.environ["PATH"]])
        done = subprocess.run(
            ["bash", "-euc", command],
            env={"PATH": path, "HOME": str(self.place), **self.env, **also},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return done.returncode


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def own(request: pytest.FixtureRequest, tmp_path: Path) -> OwnDatabase:
    if request.param == "sqlite":
        url, drill_url, env = f"sqlite:///{tmp_path}/v.db", "", {"DB": f"{tmp_path}/v.db", "DRILL": f"{tmp_path}/d.db"}
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        template = request.getfixturevalue("postgres_template")
        url, drill_url = postgres.url("own", like=template), postgres.url("owndrill")
        env = {"DB": url.replace("+psycopg", ""), "DRILL": drill_url.replace("+psycopg", "")}
    key = tmp_path / "key"
    key.write_text(base64.b64encode(os.urandom(32)).decode())
    key.chmod(0o400)
    settings = {
        "server": {"listen": "127.0.0.1:0"},
        "store": {"url": url},
        "audit": {"key": "${file:key}", "anchors": {"file": "anchors.txt"}},
    }
    (tmp_path / "vakhta.yaml").write_text(yaml.safe_dump(settings))
    (tmp_path / "drill.yaml").write_text(yaml.safe_dump({**settings, "store": {"url": drill_url or url}}))
    env |= {
        "COPY": f"{tmp_path}/copy",
        "ANCHORS": f"{tmp_path}/anchors.txt",
        "CONFIG": f"{tmp_path}/vakhta.yaml",
        "DRILL_CONFIG": f"{tmp_path}/drill.yaml",
    }
    return OwnDatabase(request.param, tmp_path, env)


def test_a_copy_is_drilled_and_restored_as_the_page_says_and_the_log_tells_what_was_lost(
    own: OwnDatabase, request: pytest.FixtureRequest
) -> None:
    own.works("page prod/api disk full")
    assert own.follows("back up") == [_OK]
    assert own.follows("drill")[-1] == _OK, "nothing was anchored since"

    own.works("page prod/api once more")
    drill = _another(own, request)
    assert own.follows("drill", **drill)[-1] == _TRUNCATED, "the anchors see what a restore would lose"

    *put_back, recorded, verified = own.follows("restore", **_emptied(own))
    assert set(put_back) == {_OK}
    assert (recorded, verified) == (_OK, _OK)


def test_a_copy_that_was_cut_short_fails_the_drill(own: OwnDatabase) -> None:
    own.works("page prod/api disk full")
    own.follows("back up")
    copy = Path(own.env["COPY"])
    copy.write_bytes(copy.read_bytes()[: copy.stat().st_size // 2])

    assert own.follows("drill")[-1] not in (_OK, _TRUNCATED)


def _another(own: OwnDatabase, request: pytest.FixtureRequest) -> dict[str, str]:
    """Where the next drill goes."""
    if own.kind == "sqlite":
        return {"DRILL": f"{own.place}/d2.db"}
    url = request.getfixturevalue("postgres").url("owndrill2")
    settings = yaml.safe_load((own.place / "drill.yaml").read_text())
    (own.place / "drill2.yaml").write_text(yaml.safe_dump({**settings, "store": {"url": url}}))
    return {"DRILL": url.replace("+psycopg", ""), "DRILL_CONFIG": f"{own.place}/drill2.yaml"}


def _emptied(own: OwnDatabase) -> dict[str, str]:
    """On PostgreSQL the page restores into a new database of the same name, and the old one is renamed before."""
    if own.kind == "postgres":
        server, _, name = own.env["DB"].partition("?")[0].rpartition("/")
        with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
            admin.execute(f'ALTER DATABASE "{name}" RENAME TO "{name}_replaced"')
            admin.execute(f'CREATE DATABASE "{name}"')
    return {}
