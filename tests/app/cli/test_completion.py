"""`vakhta completion`: what a press of Tab offers, asked of the real shells."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import commands
from bot.__main__ import main
from bot.app.cli.verbs import chat_verbs

_BASH = """
source {script}
COMP_WORDS=({words} '{last}')
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
COMP_LINE="${{COMP_WORDS[*]}}"
COMP_POINT=${{#COMP_LINE}}
COMP_TYPE=9
complete -p vakhta >/dev/null
_shtab_vakhta vakhta '{last}' ''
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def offered(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str], list[str]]:
    """What the shell offers for a line that is typed so far; its last word is completed."""
    shell: str = request.param
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    written = subprocess.run(
        [sys.executable, "-m", "bot", "completion", shell], capture_output=True, text=True, check=True
    )
    script = tmp_path / f"vakhta.{shell}"
    script.write_text(written.stdout)
    (tmp_path / "settings.yaml").touch()

    def ask(line: str) -> list[str]:
        words, _, last = line.rpartition(" ")
        if shell == "bash":
            command = ["bash", "--norc", "-c", _BASH.format(script=script, words=words, last=last)]
        else:
            command = ["fish", "--no-config", "-c", f"source {script}; complete -C '{line}'"]
        home = {**os.environ, "HOME": str(tmp_path), "TERM": "dumb"}
        ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=home, timeout=60)
        return [one.partition("\t")[0] for one in ran.stdout.splitlines() if one]

    return ask


each_shell = pytest.mark.parametrize("offered", ["bash", "fish"], indirect=True)
Offered = Callable[[str], list[str]]


@each_shell
def test_commands_are_offered(offered: Offered) -> None:
    assert {"run", "check", "ask", "migrate", "audit", "completion"} <= set(offered("vakhta "))
    assert offered("vakhta mi") == ["migrate"]


@each_shell
def test_the_verbs_of_a_command_are_offered(offered: Offered) -> None:
    assert sorted(offered("vakhta audit ")) == ["export", "prune", "restored", "rotate", "verify"]
    assert sorted(offered("vakhta completion ")) == ["bash", "fish", "zsh"]


@each_shell
def test_the_verbs_of_chat_are_offered_to_ask(offered: Offered) -> None:
    assert offered("vakhta ask inci") == ["incidents"]
    assert {"ack", "break-glass", "resolve", "show"} <= set(offered("vakhta ask "))


@each_shell
def test_options_are_offered(offered: Offered) -> None:
    assert {"--config", "--cluster"} <= set(offered("vakhta check --"))
    assert {"--from", "--anchors", "--json"} <= set(offered("vakhta audit verify --"))


@each_shell
def test_files_are_offered_for_the_settings(offered: Offered) -> None:
    assert offered("vakhta check --config sett") == ["settings.yaml"]


@pytest.mark.parametrize(
    ("typed", "becomes"),
    [
        ("vakhta mi", b"vakhta migrate"),
        ("vakhta audit ver", b"vakhta audit verify"),
        ("vakhta ask inci", b"vakhta ask incidents"),
        ("vakhta check --config sett", b"--config settings.yaml"),
    ],
)
def test_zsh_completes_on_a_terminal(tmp_path: Path, typed: str, becomes: bytes) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    (tmp_path / "settings.yaml").touch()
    script = subprocess.run(
        [sys.executable, "-m", "bot", "completion", "zsh"], capture_output=True, check=True, text=True
    )
    (tmp_path / "script").write_text(script.stdout)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execvpe("zsh", ["zsh", "-f", "-i"], {**os.environ, "TERM": "dumb", "HOME": str(tmp_path)})
    try:
        os.write(terminal, b"autoload -U compinit && compinit -u -D; eval \"$(cat script)\"; echo READ''Y\n")
        _read_until(terminal, b"READY")
        os.write(terminal, typed.encode() + b"\t")
        assert becomes in _read_until(terminal, becomes)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def _read_until(terminal: int, text: bytes) -> bytes:
    """What the shell has shown by then."""
    shown, deadline = b"", time.monotonic() + 60
    while text not in shown and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 65536)
    return shown


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_reads_its_script_without_a_complaint(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    written = subprocess.run(
        [sys.executable, "-m", "bot", "completion", shell], capture_output=True, text=True, check=True
    )
    script = tmp_path / "script"
    script.write_text(written.stdout)

    ran = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert written.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_names_all_that_can_be_typed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0

    script = capsys.readouterr().out
    assert all(word in script for word in ("migrate", "restored", "incidents", "break-glass", "cluster"))


def test_the_verbs_of_chat_are_the_commands_that_there_are() -> None:
    assert chat_verbs() == sorted({*commands.find(), *commands.actions()})
