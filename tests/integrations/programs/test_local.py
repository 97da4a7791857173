"""Programs on this machine: a vector and no shell, secrets by the environment, and none that outlives the bot."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest

from bot.core.errors import OutcomeUnknown, Rejected
from bot.core.programs import Program
from bot.integrations.programs.local import LocalPrograms
from tests.running import ROOT, until

pytestmark = pytest.mark.waits


@pytest.fixture
def programs() -> LocalPrograms:
    return LocalPrograms()


def _shell(text: str, key: str = "one", **more: object) -> Program:
    return Program(key=key, argv=("sh", "-c", text), **more)  # type: ignore[arg-type]


def _tell(gate: Path, text: bytes) -> None:
    """To the program that reads there; one that is dead must not hang the test."""

    def told() -> bool:
        try:
            pipe = os.open(gate, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return False
        os.write(pipe, text)
        os.close(pipe)
        return True

    until(told, "the program reads", within_s=60)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_arguments_reach_the_program_as_they_are(programs: LocalPrograms) -> None:
    ended = programs.run(Program(key="a", argv=("printf", "%s|", "$HOME", "; rm -rf /", "a b", "`id`")))

    assert (ended.code, ended.stdout) == (0, b"$HOME|; rm -rf /|a b|`id`|")


def test_a_program_gets_little_of_the_bots_environment_and_its_secrets_are_never_shown(
    programs: LocalPrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_TOKEN", "of-the-bot")

    ended = programs.run(_shell("env; echo wrong password $PGPASSWORD >&2; exit 4", secrets={"PGPASSWORD": "hunter22"}))

    assert b"of-the-bot" not in ended.stdout
    assert b"PGPASSWORD=hunter22" in ended.stdout
    assert (ended.code, ended.stderr) == (4, "wrong password [redacted]")


def test_input_and_large_output_do_not_stop_each_other(programs: LocalPrograms) -> None:
    body = os.urandom(3_000_000)

    ended = programs.run(Program(key="a", argv=("cat",), stdin=body))

    assert ended.stdout == body


def test_a_program_over_its_time_limit_is_ended_with_all_that_it_started(
    programs: LocalPrograms, tmp_path: Path
) -> None:
    file = tmp_path / "pid"

    for seconds in (1, 8, 64):  # where the machine is slow, it may be ended before it has begun
        with pytest.raises(OutcomeUnknown, match="did not end within"):
            programs.run(_shell(f"sleep 600 & echo $! > {file}; wait", time_limit=timedelta(seconds=seconds)))
        if file.exists() and file.read_text():
            break

    until(lambda: not _alive(int(file.read_text())), "its child is gone", within_s=30)


def test_output_without_end_is_cut_off(programs: LocalPrograms) -> None:
    with pytest.raises(Rejected, match="printed more than 1000 bytes"):
        programs.run(Program(key="a", argv=("yes",), output_limit=1000))


def test_a_program_that_is_not_installed_is_a_refusal(programs: LocalPrograms) -> None:
    with pytest.raises(Rejected, match="no-such-program is not installed"):
        programs.start(Program(key="a", argv=("no-such-program",)))
    with pytest.raises(LookupError):
        programs.poll("a")


def test_a_key_is_started_once_and_polled_to_its_end(programs: LocalPrograms, tmp_path: Path) -> None:
    gate, said = tmp_path / "gate", tmp_path / "said"
    os.mkfifo(gate)
    program = _shell(f"echo ran >> {said}; cat {gate}")
    programs.start(program)
    programs.start(program)
    running = programs.poll("one")

    _tell(gate, b"go\n")
    until(lambda: programs.poll("one") is not None, "it has ended", within_s=60)
    programs.start(program)
    ended = programs.poll("one")

    assert running is None
    assert ended is not None
    assert (ended.code, ended.stdout, said.read_text()) == (0, b"go\n", "ran\n")
    programs.stop("one")
    with pytest.raises(LookupError):
        programs.poll("one")


def test_a_program_lives_on_when_the_thread_that_asked_for_it_ends(programs: LocalPrograms) -> None:
    thread = Thread(target=programs.start, args=(_shell("sleep 0.3; echo lived"),))
    thread.start()
    thread.join(60)
    until(lambda: programs.poll("one") is not None, "it has ended", within_s=60)

    ended = programs.poll("one")

    assert ended is not None
    assert (ended.code, ended.stdout) == (0, b"lived\n")


def test_a_program_lives_on_when_nobody_holds_what_started_it(tmp_path: Path) -> None:
    gate, said = tmp_path / "gate", tmp_path / "said"
    os.mkfifo(gate)
    LocalPrograms().start(_shell(f"cat {gate} > {said}"))
    gc.collect()

    _tell(gate, b"lived")

    until(lambda: said.exists() and said.read_text() == "lived", "the program read it", within_s=60)


def test_a_program_dies_with_the_bot(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    text = (
        "import sys, time\nfrom bot.core.programs import Program\n"
        "from bot.integrations.programs.local import LocalPrograms\n"
        f"LocalPrograms().start(Program(key='a', argv=('sh', '-c', 'echo $$ > {file}; exec sleep 600')))\n"
        "time.sleep(600)\n"
    )
    bot = subprocess.Popen([sys.executable, "-c", text], cwd=ROOT)
    try:
        until(lambda: file.exists() and file.read_text().strip() != "", "the program runs", within_s=60)
    finally:
        bot.kill()
        bot.wait()

    until(lambda: not _alive(int(file.read_text())), "the program is gone", within_s=30)
