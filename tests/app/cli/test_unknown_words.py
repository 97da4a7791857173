"""A word that is not understood is answered with the nearest that is, and nothing is done: a guess is never run."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.__main__ import main
from bot.chatops.tokens import unknown_verb
from bot.lib.similar_words import offer, similar
from tests.house import House, alert


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """The exit code, and the last line of what is said."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    told = capsys.readouterr()
    assert told.out == ""
    assert isinstance(ended.value.code, int)
    return ended.value.code, told.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["chek"], "vakhta: error: There is no COMMAND 'chek'. Did you mean `check`? Nothing was done."),
        (["Check"], "vakhta: error: There is no COMMAND 'Check'. Did you mean `check`? Nothing was done."),
        (
            ["incidnets"],
            "vakhta: error: There is no COMMAND 'incidnets'. Did you mean `vakhta ask incidents`? Nothing was done.",
        ),
        (["ack", "1"], "vakhta: error: There is no COMMAND 'ack'. Did you mean `vakhta ask ack`? Nothing was done."),
        (
            ["check", "--confg", "x"],
            "vakhta check: error: There is no option --confg. Did you mean `--config`? Nothing was done.",
        ),
        (["check", "--clutser=x"], "vakhta check: error: There is no option --clutser. Did you mean `--cluster`? "),
        (["check", "--xyzzy"], "vakhta check: error: There is no option --xyzzy. Nothing was done."),
        (["check", "all"], "vakhta check: error: Not understood: all. Nothing was done."),
        (["ask", "incidents", "--confg", "x"], "vakhta ask: error: There is no option --confg. Did you mean "),
        (["--config", "x", "check"], "vakhta: error: --config must follow a command, as in: vakhta check --config "),
        (["completion", "tcsh"], "There is no SHELL 'tcsh'. Known: bash, zsh, fish. Nothing was done."),
    ],
)
def test_the_command_line_names_the_nearest(capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    code, line = refused(capsys, *words)

    assert code == 2
    assert said in line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["audit", "verfy"], "There is no VERB 'verfy'. Did you mean `verify`? Nothing was done."),
        (["audit", "verify", "--jsn"], "There is no option --jsn. Did you mean `--json`? Nothing was done."),
    ],
)
def test_a_mistyped_audit_command_does_not_end_as_an_altered_log(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    code, line = refused(capsys, *words)

    assert code == 1
    assert said in line


def test_what_could_be_a_control_character_is_spelled_out(capsys: pytest.CaptureFixture[str]) -> None:
    _, line = refused(capsys, "check", "--\x1b[31m")

    assert line.isprintable()


def test_a_mistyped_verb_is_asked_back_and_never_run(house: House, tmp_path: Path) -> None:
    number = house.hears(alert()).incidents[0]

    reply = house.says(f"akc {number}")
    other = house.says("incidnets")

    assert not reply.ok
    assert reply.text == "No command 'akc'. Did you mean `ack`? Nothing was done."
    assert other.text == "No command 'incidnets'. Did you mean `incidents`? Nothing was done."
    assert house.incident(number).owner is None


@pytest.mark.parametrize(
    ("typed", "known", "named"),
    [
        ("pasue", ["pause", "resume"], "Did you mean `pause`?"),
        ("silenc", ["silence", "silences", "unsilence"], "Did you mean `silence`"),
        ("асk", ["ack", "page"], "Did you mean `ack`?"),  # the first two letters are Cyrillic
        ("ack42", ["ack", "page"], "Did you mean `ack`?"),
        ("cordo", ["cordon", "uncordon"], "Did you mean `cordon`?"),
        ("frobnicate", ["ack"], "`help` lists the commands that you may use."),
        ("x" * 100_000, ["ack"], "`help` lists the commands that you may use."),
    ],
)
def test_the_nearest_verbs_are_named(typed: str, known: list[str], named: str) -> None:
    message = unknown_verb(typed, known).message

    assert named in message
    assert "Nothing was done." in message
    assert len(message) < 200


def test_verbs_that_are_about_as_near_are_all_named() -> None:
    assert sorted(similar("abc", ["abd", "abe", "xyz"])) == ["abd", "abe"]
    assert offer(["a", "b"]) == " Did you mean `a` or `b`?"
    assert offer([]) == ""
    assert similar("abc", []) == []
