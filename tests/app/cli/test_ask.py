"""`vakhta ask`: it creates no database, migrates none, and loads nothing that a command does not need."""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from bot.__main__ import main
from bot.core.incident import EventType
from tests.house import House, alert

#: All channels and clients that a command could need, none of which is reached.
_ALL = {
    "sources": {"alertmanager": {"tokens": ["planted"], "api_url": "http://127.0.0.1:9"}},
    "channels": {
        "slack": {"bot_token": "xoxb-1", "app_token": "xapp-1", "team_id": "T1", "channel": "C1"},
        "telegram": {"token": "1:" + "A" * 35, "chat_id": -1001},
        "pagerduty": {"routing_key": "a" * 32, "severities": ["critical"]},
    },
    "metrics": {"url": "http://127.0.0.1:9"},
    "clusters": {"main": {}},
    "services": [
        {"name": "prod/api", "match": {"service": "api"}, "cluster": "main", "workload": "deployment/api"},
    ],
}
_HEAVY = (
    "kubernetes", "boto3", "telegram", "httpx", "slack_bolt", "slack_sdk", "pdpyras", "requests",
    "prometheus_api_client", "fastapi", "uvicorn", "apscheduler", "alembic", "sqlmodel", "prometheus_client", "jinja2",
)  # fmt: skip


def settings(folder: Path, **more: object) -> Path:
    path = folder / "vakhta.yaml"
    path.write_text(json.dumps(more))
    return path


def asked(config: Path, *words: str) -> int:
    return main(["ask", "--config", str(config), *words])


def test_a_database_that_is_not_there_is_no_answer_and_is_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(tmp_path)
    other = tmp_path / "elsewhere"
    other.mkdir()
    monkeypatch.chdir(other)

    code = asked(config, "incidents")

    told = capsys.readouterr()
    assert (code, told.out) == (1, "")
    assert told.err == (
        f"There is no database {tmp_path}/var/vakhta.db. Nothing was done, and nothing was created."
        f" The settings file {config} leads there (store.url). Name the settings of the running bot with --config,"
        f" or start a bot with this file: vakhta run --config {config}\n"
    )
    assert sorted(tmp_path.rglob("*")) == [other, config]


@pytest.mark.parametrize(
    "command",
    [["audit", "rotate"], ["audit", "restored", "--because", "so"], ["audit", "prune", "--to", "."]],
)
def test_what_administers_the_audit_log_makes_no_database_either(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    config = settings(tmp_path)

    code = main([*command, "--config", str(config)])

    assert code != 0
    assert f"{tmp_path}/var/vakhta.db" in capsys.readouterr().err
    assert list(tmp_path.rglob("*")) == [config]


def test_a_file_without_tables_is_no_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = settings(tmp_path, store={"url": "sqlite:///vakhta.db"})
    (tmp_path / "vakhta.db").touch()

    code = asked(config, "incidents")

    assert code == 1
    assert f"The database sqlite:///{tmp_path}/vakhta.db is empty. Nothing was done" in capsys.readouterr().err
    with closing(sqlite3.connect(tmp_path / "vakhta.db")) as base:
        assert base.execute("SELECT name FROM sqlite_master").fetchall() == []


def test_a_path_that_cannot_be_looked_at_is_told_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = settings(tmp_path, store={"url": f"sqlite:///{'x' * 300}.db"})

    code = asked(config, "incidents")

    assert code == 1
    assert "cannot be used: [Errno 36] File name too long" in capsys.readouterr().err


@pytest.mark.parametrize(("version", "todo"), [("0003", "vakhta migrate --config "), ("9999", "the running bot.")])
def test_a_database_of_another_version_is_not_changed(
    tmp_path: Path, sqlite_template: Path, capsys: pytest.CaptureFixture[str], version: str, todo: str
) -> None:
    config = settings(tmp_path, store={"url": "sqlite:///vakhta.db"})
    database = tmp_path / "vakhta.db"
    database.write_bytes(Path(sqlite_template).read_bytes())
    with closing(sqlite3.connect(database)) as base:
        base.execute("UPDATE alembic_version SET version_num = ?", (version,))
        base.commit()

    code = asked(config, "incidents")

    told = capsys.readouterr()
    assert (code, told.out) == (1, "")
    assert f"({version})" in told.err
    assert todo in told.err
    with closing(sqlite3.connect(database)) as base:
        assert base.execute("SELECT version_num FROM alembic_version").fetchall() == [(version,)]


@pytest.fixture
def whole(house: House, store_url: str, tmp_path: Path) -> Path:
    """Settings with every channel, on a database with two incidents."""
    house.hears(alert(labels={"service": "api"}))
    house.hears(alert("DiskFull", group="disk", severity="warning"))
    return settings(tmp_path, store={"url": store_url}, **_ALL)


def test_a_change_is_owed_to_every_channel_as_if_the_bot_had_made_it(house: House, whole: Path) -> None:
    codes = [asked(whole, "ack", "1"), asked(whole, "ack", "2")]

    assert codes == [0, 0]
    assert _acknowledged(house, 1) == {("slack", "line"), ("telegram", "line"), ("pagerduty", "page")}
    assert _acknowledged(house, 2) == {("slack", "line"), ("telegram", "line")}, "PagerDuty takes critical ones only"


def _acknowledged(house: House, number: int) -> set[tuple[str, str]]:
    """What is owed about its acknowledgement."""
    with house.store.read() as seen:
        return {(one.channel, str(one.kind)) for one in seen.deliveries(number) if one.what == EventType.ACKED}


_LOADED = """
import sys
from bot.__main__ import main
code = main(sys.argv[1:])
print("LOADED", code, *sorted(sys.modules))
"""


@pytest.mark.parametrize("words", [["incidents"], ["ack", "1"], ["incidnets"]])
def test_it_loads_no_sdk(whole: Path, words: list[str]) -> None:
    command = [sys.executable, "-c", _LOADED, "ask", "--config", str(whole), *words]

    _, out = _timed(command)

    _, code, *modules = out.splitlines()[-1].split()
    assert code == ("1" if words == ["incidnets"] else "0")
    loaded = {name.partition(".")[0] for name in modules} & set(_HEAVY)
    assert loaded <= ({"sqlmodel"} if "postgres" in whole.read_text() else set())  # its types, before the first query


def test_nothing_but_the_answer_is_shown(whole: Path) -> None:
    command = [sys.executable, "-m", "bot", "ask", "--config", str(whole), "incidents"]

    ran = subprocess.run(command, capture_output=True, text=True, check=True)

    assert ran.stderr == ""
    assert "DiskFull" in ran.stdout


@pytest.mark.parametrize("words", [["incidents"], ["ack", "1"]])
def test_it_takes_less_than_a_second_of_the_processor(sqlite_template: Path, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "vakhta.db").write_bytes(Path(sqlite_template).read_bytes())
    config = settings(tmp_path, store={"url": "sqlite:///vakhta.db"}, **_ALL)
    command = [sys.executable, "-c", f"{_LOADED}\nsys.exit(0)", "ask", "--config", str(config), *words]

    allowed = 1.0 * _slowness()

    assert any(_timed(command)[0] < allowed for _ in range(4))


def _timed(command: list[str]) -> tuple[float, str]:
    """Seconds of processor time, and the output. Bytecode is kept, as an installation has it."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=environ)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, ran.stdout


def _slowness() -> float:
    """How much slower than usual this machine starts a bare interpreter now; 1 or more."""
    bare = min(_timed([sys.executable, "-c", "pass"])[0] for _ in range(3))
    return max(1.0, bare / 0.02)
