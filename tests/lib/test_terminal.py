"""No command lets a terminal interpret text from outside; and all output goes through one module."""

from __future__ import annotations

import ast
import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import bot.app.cli.ask
from bot import __main__ as command_line
from bot.__main__ import main
from bot.lib import logs, terminal
from bot.workloads import rbac
from tests.audit_place import Place, placed
from tests.cluster.world import kubeconfig
from tests.docs.papers import modules
from tests.fakes.kubernetes import FakeKubernetes
from tests.house import House, alert

#: The clipboard (OSC 52), the title, a cleared screen, C1's CSI, colours, direction marks, and the cursor to the left.
EVIL = "Disk\x1b]52;c;ZXZpbA==\x07\x1b]0;you\x07\x1b[2J\x9b31m\x90q\u202egnp.exe\u2066\x08\x7f\u200b\u2028end"

#: The files that may write to stdout or stderr directly, and what they write.
_WAYS_OUT = {
    "bot/lib/terminal.py": "the way out",
    "bot/lib/logs.py": "log lines, spelled out by the same function",
    "bot/app/build.py": "audit lines for a collector: bytes that were made safe before they were hashed",
    "bot/app/cli/audit.py": "an export, JSON of which all is spelled out",
    "bot/__main__.py": "the descriptor of a reader that has stopped",
}


def is_plain(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """A command sets up the logging of its process; here that is the process of all tests."""
    root = logging.getLogger()
    handlers, level, hooks = root.handlers[:], root.level, (sys.excepthook, threading.excepthook)
    levels = {name: logging.getLogger(name).level for name in logs._OWN}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.excepthook, threading.excepthook = hooks
    logging.captureWarnings(capture=False)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


@pytest.fixture
def place(store_url: str, tmp_path: Path) -> Place:
    return placed(store_url, tmp_path)


Told = Callable[[], str]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    """Everything written so far, to stdout and stderr."""

    def read() -> str:
        shown = capsys.readouterr()
        return shown.out + shown.err

    return read


def ask(place: Place, *words: str) -> int:
    return main(["ask", "--config", str(place.config), *words])


def test_an_alerts_name_is_spelled_out_by_every_answer_that_shows_it(house: House, place: Place, told: Told) -> None:
    house.hears(alert(EVIL, labels={"service": EVIL}))

    codes = [
        ask(place, *words) for words in (("incidents",), ("show", "1"), ("home",), ("ack", "1"), ("note", "1", EVIL))
    ]

    shown = told()
    assert codes == [0] * len(codes)
    assert is_plain(shown), [one for one in shown if not one.isprintable() and one != "\n"]
    assert shown.count("Disk\\x1b]52;c;ZXZpbA==\\x07") >= 3
    assert "\\u202egnp.exe" in shown


def test_the_lines_of_an_answer_stay(place: Place, told: Told) -> None:
    ask(place, "help")

    assert len(told().splitlines()) > 10


def test_faults_of_the_settings_are_a_line_each(tmp_path: Path, told: Told) -> None:
    config = tmp_path / "vakhta.yaml"
    config.write_text(json.dumps({"server": {f"{EVIL}\nforged: line": 1}, EVIL: 2}))

    code = main(["check", "--config", str(config)])

    shown = told()
    assert code == 78
    assert is_plain(shown)
    assert not any(line.startswith("forged") for line in shown.splitlines())


def test_what_would_start_is_a_line_each(tmp_path: Path, told: Told) -> None:
    config = tmp_path / "vakhta.yaml"
    config.write_text(json.dumps({"store": {"url": f"sqlite:///var/{EVIL}\n  forged"}}))

    main(["check", "--config", str(config)])

    shown = told()
    assert is_plain(shown)
    assert "\\n  forged" in shown


def test_what_a_cluster_answers_begins_no_line_of_the_yaml_that_is_applied(tmp_path: Path, told: Told) -> None:
    assert "scale" in rbac.VERBS
    refused = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403,
               "message": f"no{EVIL}\n---\nkind: ClusterRoleBinding"}  # fmt: skip
    with FakeKubernetes() as fake:
        settings = {
            "people": [{"id": "ana", "roles": ["ops"]}],
            "roles": {"ops": {"allow": ["scale prod/*"]}},
            "services": [{"name": "prod/api", "match": {"app": "api"}, "cluster": "main", "namespace": "shop",
                          "workload": "deployment/api"}],
            "clusters": {"main": {"kubeconfig": str(kubeconfig(fake.url, tmp_path))}},
        }  # fmt: skip
        config = tmp_path / "vakhta.yaml"
        config.write_text(json.dumps(settings))
        fake.answer_next(status=403, body=json.dumps(refused).encode(), times=20)

        code = main(["check", "--config", str(config), "--cluster"])

    shown = told()
    assert code == 1
    assert is_plain(shown)
    assert all(line.startswith(("#", "warning")) for line in shown.splitlines())


def test_what_stands_in_an_altered_log_is_spelled_out_by_verify_and_export(place: Place, told: Told) -> None:
    place.write()
    place.tamper('UPDATE audit_entry SET "by" = ?, target = ? WHERE id = 2', EVIL, EVIL)
    body = _body(place)
    evil = "\x9b31m\u202e".encode()
    place.tamper("UPDATE audit_entry SET body = ? WHERE id = 2", body.replace(b'"said":"', b'"said":"' + evil))

    code = place.run("verify")
    place.run("verify", "--json")

    assert code == 2
    assert is_plain(told())


def _body(place: Place) -> bytes:
    (body,) = place.asked("SELECT body FROM audit_entry WHERE id = 2")
    assert isinstance(body, bytes)
    return body


def test_an_export_to_a_terminal_holds_nothing_that_one_obeys(
    place: Place, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    place.write()
    body = _body(place)
    evil = "\x9b31m\u202e".encode()
    place.tamper("UPDATE audit_entry SET body = ? WHERE id = 2", body.replace(b'"said":"', b'"said":"' + evil))

    place.run("export")

    shown = capfdbinary.readouterr().out.decode()
    assert '"said":"' in shown.replace('"said": "', '"said":"')
    assert "\\u009b31m\\u202e" in shown
    assert is_plain(shown)


def test_a_reason_why_a_copy_was_put_back_is_spelled_out(place: Place, told: Told) -> None:
    place.write()
    place.run("restored", "--anchors", f"/nowhere/{EVIL}", "--because", EVIL)

    assert "/nowhere/Disk\\x1b" in (shown := told())
    assert is_plain(shown)


@pytest.mark.parametrize(
    "words",
    [
        [f"--{EVIL}"],
        [EVIL],
        ["check", f"--x{EVIL}"],
        ["audit", "verify", f"--x{EVIL}"],
        ["audit", "export", "--since", EVIL],
        ["audit", EVIL],
        ["schema", f"/nowhere/{EVIL}"],
        ["check", "--config", f"/nowhere/{EVIL}.yaml"],
    ],
)
def test_words_that_are_not_understood_are_not_obeyed(words: list[str], told: Told) -> None:
    with suppress(SystemExit):
        main(words)

    shown = told()
    assert shown
    assert is_plain(shown)


@pytest.mark.parametrize("verb", ["ask", "migrate"])
def test_why_a_command_ends_is_spelled_out(tmp_path: Path, verb: str, told: Told) -> None:
    config = tmp_path / "vakhta.yaml"
    (tmp_path / "file").touch()
    config.write_text(json.dumps({"store": {"url": f"sqlite:///{tmp_path}/file/{EVIL}/vakhta.db"}}))

    code = main([verb, "--config", str(config), *(["help"] if verb == "ask" else [])])

    shown = told()
    assert code == 1
    assert ("There is no database" if verb == "ask" else "cannot be used") in shown
    assert is_plain(shown)


@pytest.mark.parametrize("verb", ["ask", "check"])
@pytest.mark.parametrize("on_a_terminal", [True, False])
def test_a_trace_that_quotes_what_it_broke_on_is_spelled_out(
    place: Place, verb: str, *, on_a_terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError(EVIL)

    class Shown(io.StringIO):
        def isatty(self) -> bool:
            return on_a_terminal

    monkeypatch.setattr(bot.app.cli.ask, "ask", broken)
    monkeypatch.setattr(command_line, "_starts", broken)
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    stderr = Shown()
    monkeypatch.setattr(sys, "stderr", stderr)
    try:
        main([verb, "--config", str(place.config), *(["help"] if verb == "ask" else [])])
    except KeyError:
        sys.excepthook(*sys.exc_info())

    shown = stderr.getvalue()
    assert "KeyError" in shown
    assert is_plain(shown)


def test_a_terminal_that_has_no_such_letter_is_shown_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))

    terminal.out("вахта\n\ud800")

    assert raw.getvalue() == b"\\u0432\\u0430\\u0445\\u0442\\u0430\n\\ud800\n"


@pytest.mark.xdist_group("parsed")
def test_no_file_shows_anything_by_another_way() -> None:
    found = [
        f"{name}: {ast.unparse(node)}"
        for name, tree in modules("bot", "commands").items()
        for node in ast.walk(tree)
        if _shows(node) and name not in _WAYS_OUT
    ]

    assert found == []


def _shows(node: ast.AST) -> bool:
    """print, sys.stdout, sys.stderr and their likes; argparse's own parser, which shows what it was given."""
    if isinstance(node, ast.Name):
        return node.id in ("print", "input", "pprint")
    if isinstance(node, ast.ImportFrom):
        return node.module == "sys" and any("std" in one.name for one in node.names)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        shown = (("sys", "stdout"), ("sys", "stderr"), ("sys", "__stdout__"), ("sys", "__stderr__"),
                 ("traceback", "print_exc"), ("warnings", "showwarning"))  # fmt: skip
        return (node.value.id, node.attr) in shown
    return isinstance(node, ast.Call) and ast.unparse(node.func) in ("argparse.ArgumentParser", "ArgumentParser")


def test_the_lint_sees_what_it_is_there_for() -> None:
    for text in ("print(1)", "sys.stderr.write('x')", "from sys import stdout", "argparse.ArgumentParser()"):
        assert any(map(_shows, ast.walk(ast.parse(text)))), text
