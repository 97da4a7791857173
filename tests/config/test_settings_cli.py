"""The command line: the output, the exit code and the imports of each command."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from bot.__main__ import main

CONFIG = Path(__file__).parents[2] / "deploy" / "config"
HEAVY = {"kubernetes", "boto3", "telegram", "slack_bolt", "slack_sdk", "pdpyras", "sqlalchemy", "fastapi", "httpx"}


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "vakhta.yaml"
    path.write_text(text)
    return path


def test_check_says_what_would_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(
        tmp_path,
        "store: {url: 'postgresql+psycopg://u:planted-secret@db/vakhta'}\n"
        "sources:\n"
        "  alertmanager: {tokens: [planted-secret]}\n"
        "  sns: {topics: ['arn:aws:sns:eu-central-1:123456789012:alarms']}\n"
        "channels:\n"
        "  slack: {bot_token: xoxb-planted-secret, app_token: xapp-planted-secret, team_id: T1, channel: C1}\n"
        "  telegram: {token: '1001:planted-secret-of-thirty-characters', chat_id: -1001}\n"
        "  pagerduty: {routing_key: plantedsecretoftwentyfivechars00, severities: [critical]}\n"
        "people: [{id: ana, slack: U1}, {id: boris}]\n",
    )

    code = main(["check", "--config", str(path)])

    told = capsys.readouterr()
    assert code == 0
    assert told.out == (
        f"{path} has no fault. `vakhta run` would start:\n"
        "  server    http://127.0.0.1:8080 (listening on 127.0.0.1:8080)\n"
        "  store     postgresql+psycopg://[redacted]@db/vakhta\n"
        "  sources   alertmanager, sns (alarms)\n"
        "  channels  console, slack (socket, C1), telegram (polling, -1001), pagerduty (critical)\n"
        "  people    2\n"
    )
    assert told.err.count("warning: ") == 7
    assert "planted" not in told.out + told.err


def test_check_warns_of_times_soon_in_which_nobody_is_on_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turn = "turn: {unit: day}, anchor: 2020-01-01"
    layers = f"[{{name: w, members: [ana, {{vacant: true}}], {turn}}}]"
    path = written(tmp_path, f"people: [{{id: ana}}]\nrotas:\n  nights: {{zone: UTC, layers: {layers}}}\n")

    code = main(["check", "--config", str(path)])

    told = capsys.readouterr()
    assert (code, "has no fault" in told.out) == (0, True)
    assert told.err.count(":3:11 rotas.nights: Nobody is on call for rota nights from ") == 3
    assert "more such gaps within 30 days; `oncall nights` lists them" in told.err


def test_check_lists_every_fault_and_exits_78(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, "server: {listn: 1}\nstore: {url: x}\n")

    code = main(["check", "--config", str(path)])

    told = capsys.readouterr()
    assert code == 78
    assert told.out == ""
    assert told.err.splitlines() == [
        f"{path}:1:10 server.listn: is not a key here; did you mean 'listen'?",
        f"{path}:2:14 store.url: must begin with sqlite:/// or postgresql+psycopg://",
        "2 faults; nothing was started.",
    ]


@pytest.mark.parametrize("command", [["run"], ["ask"], ["migrate"]])
def test_faulty_settings_end_every_command_before_anything_starts(tmp_path: Path, command: list[str]) -> None:
    path = written(tmp_path, "sorces: {}\nstore: {url: sqlite:///made.db}\n")
    words = ["incidents"] if command == ["ask"] else []

    ran = subprocess.run(
        [sys.executable, "-m", "bot", *command, "--config", str(path), *words],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(CONFIG.parents[1])},
        cwd=tmp_path,
    )

    assert ran.returncode == 78
    assert ran.stderr.startswith(f"{path}:1:1 sorces: is not a key here; did you mean 'sources'?\n1 fault; nothing")
    assert list(tmp_path.iterdir()) == [path]


#: A stand-in for the composition root: it prints what it was asked to do, and refuses to migrate.
APP = """
import sys, types
from bot.core.request import Reply
from bot.core.errors import Rejected
from bot.__main__ import main

def refuse(settings):
    raise Rejected("The database is newer than this version. Nothing was changed.")

app = types.ModuleType("bot.app.bot")
app.run = lambda settings: print("ran on", settings.server.listen)
asked = types.ModuleType("bot.app.cli.ask")
asked.ask = lambda settings, words, config: Reply(text=f"heard {words}", ok=words == "ack 42")
sys.modules["bot.app.cli.ask"] = asked
app.migrate = refuse
sys.modules["bot.app.bot"] = app
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("arguments", "code", "out", "err"),
    [
        (["run"], 0, "ran on 127.0.0.1:8080\n", ""),
        (["ask", "ack", "42"], 0, "heard ack 42\n", ""),
        (["ask", "scale it all"], 1, "heard scale it all\n", ""),
        (["migrate"], 1, "", "The database is newer than this version. Nothing was changed.\n"),
    ],
)
def test_a_command_hands_the_settings_to_the_house(
    tmp_path: Path, arguments: list[str], code: int, out: str, err: str
) -> None:
    path = written(tmp_path, "")
    verb, *words = arguments
    command = [sys.executable, "-c", APP, verb, "--config", str(path), *words]

    ran = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout, ran.stderr) == (code, out, err)


def test_a_secret_in_plain_sight_is_logged_when_the_bot_starts(tmp_path: Path) -> None:
    path = written(tmp_path, "server: {api_token: planted-secret}\npeople: [{id: ana}]")

    ran = subprocess.run(
        [sys.executable, "-c", APP, "run", "--config", str(path)], capture_output=True, text=True, check=True
    )

    (line,) = ran.stderr.splitlines()
    assert json.loads(line)["message"].startswith(f"{path}:1:21 server.api_token: is a secret in plain text")
    assert "planted-secret" not in line


def test_a_newcomer_at_the_keyboard_is_not_greeted_with_a_warning(tmp_path: Path) -> None:
    path = written(tmp_path, "server: {api_token: planted-secret}")

    ran = subprocess.run(
        [sys.executable, "-c", APP, "run", "--config", str(path)], capture_output=True, text=True, check=True
    )

    assert ran.stderr == ""


def test_a_newcomer_too_is_told_of_a_second_database(tmp_path: Path) -> None:
    config, work = written(tmp_path, "store: {url: 'sqlite:///x.db'}"), tmp_path / "work"
    work.mkdir()
    (tmp_path / "x.db").touch()
    (work / "x.db").touch()

    ran = subprocess.run(
        [sys.executable, "-c", APP, "run", "--config", str(config)],
        capture_output=True,
        text=True,
        check=True,
        cwd=work,
        env=os.environ | {"PYTHONPATH": str(CONFIG.parents[1])},
    )

    (line,) = ran.stderr.splitlines()
    assert f"leads to {tmp_path}/x.db; there is also {work}/x.db" in json.loads(line)["message"]


def test_the_settings_may_be_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAKHTA_CONFIG", str(written(tmp_path, "")))

    assert main(["check"]) == 0


def test_an_unknown_command_is_not_understood(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["replay"])

    assert ended.value.code == 2
    assert "There is no COMMAND 'replay'." in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--help"], ["audit", "verify", "--help"], ["check", "--config", str(CONFIG / "local.yaml")]]
)
def test_help_and_check_load_no_sdk_and_are_quick(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from bot.__main__ import main\n"
        "try: code = main(sys.argv[1:])\n"
        "except SystemExit as ended: code = ended.code\n"
        "print('LOADED', code, *sorted(sys.modules))"
    )
    command = [sys.executable, "-c", code, *arguments]

    took, out = min(_timed(command) for _ in range(3))

    _, exit_code, *modules = out.splitlines()[-1].split()
    assert exit_code == "0"
    assert not {name.partition(".")[0] for name in modules} & HEAVY
    assert took < 0.5 * _slowness()


def _timed(command: list[str]) -> tuple[float, str]:
    """Seconds of processor time, which a busy machine does not stretch as it does the clock's, and the output."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, ran.stdout


def _slowness() -> float:
    """How much slower than usual this machine starts a bare interpreter now; 1 or more."""
    bare = min(_timed([sys.executable, "-c", "pass"])[0] for _ in range(3))
    return max(1.0, bare / 0.02)
