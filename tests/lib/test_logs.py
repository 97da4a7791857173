"""One line an event, nobody else can begin one, and no secret is in it."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.lib.logs import JsonLines, Redactor, TextLines

BOT_TOKEN = "123456789:" + "AbC-_" * 7


def record(message: str, *args: object, exc_info: Any = None, **extra: object) -> logging.LogRecord:
    made = logging.getLogger("bot.test").makeRecord(
        "bot.test", logging.WARNING, __file__, 1, message, args, exc_info, extra=extra
    )
    made.created = 1735787045.5
    return made


def line(
    message: str, *args: object, known: tuple[str, ...] = (), exc_info: Any = None, **extra: object
) -> dict[str, Any]:
    text = JsonLines(Redactor(known)).format(record(message, *args, exc_info=exc_info, **extra))
    assert "\n" not in text
    read: dict[str, Any] = json.loads(text)
    return read


def caught(error: Exception) -> Any:
    try:
        raise error
    except type(error):
        return sys.exc_info()


def test_a_line_holds_time_level_logger_message_and_what_was_added() -> None:
    assert line("incident %s", "opened", incident_id=42, firing=True, channel=None) == {
        "time": "2025-01-02T03:04:05.500Z",
        "level": "warning",
        "logger": "bot.test",
        "message": "incident opened",
        "incident_id": 42,
        "firing": True,
        "channel": None,
    }
    assert datetime.fromisoformat(line("x")["time"]).utcoffset() == timedelta(0)


def test_what_is_added_cannot_replace_the_fixed_keys() -> None:
    told = line("truth", level="debug", time="never", logger="x")

    assert (told["level"], told["level_"], told["message"]) == ("warning", "debug", "truth")


def test_an_exception_is_one_string_beside_the_message() -> None:
    told = line("it failed", exc_info=caught(ValueError("first\nsecond")))

    assert told["exc"].startswith("Traceback (most recent call last):\n")
    assert told["exc"].endswith("ValueError: first\nsecond")


def test_arguments_that_do_not_fit_lose_no_line() -> None:
    assert line("only %d", "text")["message"] == "only %d ('text',)"


@pytest.mark.parametrize("place", ["message", "argument", "extra", "nested", "key", "exception"])
@pytest.mark.parametrize("secret", ["configured/one!", BOT_TOKEN, "xoxb-" + "12345678-abcdef"])
@pytest.mark.parametrize("kind", [JsonLines, TextLines])
def test_a_secret_is_scrubbed_wherever_it_stands(kind: type[JsonLines | TextLines], place: str, secret: str) -> None:
    where = {
        "message": lambda: record(f"token {secret} here"),
        "argument": lambda: record("token %s here", secret),
        "extra": lambda: record("x", url=f"https://x/?t={secret}"),
        "nested": lambda: record("x", all={"a": [{"b": (secret,)}]}),
        "key": lambda: record("x", all={secret: 1}),
        "exception": lambda: record("x", exc_info=caught(RuntimeError(secret))),
    }

    text = kind(Redactor(["configured/one!"])).format(where[place]())

    assert secret not in text
    assert "[redacted]" in text


def test_a_configured_secret_is_scrubbed_in_its_url_form_too() -> None:
    told = line("GET /?t=configured%2Fone%21", known=("configured/one!",))

    assert told["message"] == "GET /?t=[redacted]"


def test_the_longer_of_two_secrets_is_taken_out_whole() -> None:
    assert line("abcd abcdefgh", known=("abcd", "abcdefgh"))["message"] == "[redacted] [redacted]"


def test_a_secret_too_short_to_be_one_does_not_black_out_the_log() -> None:
    assert line("a cat", known=("a", ""))["message"] == "a cat"


@given(st.text() | st.text(alphabet='\n\r\x00\x1b\u2028\u2029\x85\u202e\ud800a{}"'))
def test_no_text_can_forge_a_line_of_json(text: str) -> None:
    written = JsonLines(Redactor()).format(record("%s", text, field=text))

    assert written.isascii()
    assert len(written.splitlines()) == 1
    assert json.loads(written)["field"] == json.loads(written)["message"]


@given(st.text(alphabet="\n\r\x00\x1b\u2028\u2029\x85\u202e\x9b[31ma0:"))
def test_no_text_can_forge_a_line_on_the_terminal(text: str) -> None:
    shown = TextLines(Redactor()).format(record("%s", text, field=text, exc_info=caught(ValueError(text))))

    first, *rest = shown.split("\n")
    assert first.startswith("03:04:05 WARNING ")
    assert all(row.startswith("    ") for row in rest)
    assert all(row.isprintable() for row in (first, *rest))


SCRIPT = """
import logging, sys, threading, warnings
from bot.lib import logs
logs.start(confidential=["planted-secret"])
logging.getLogger("bot").info("begun", extra={"n": 1})
for name in ("httpx", "telegram.ext", "slack_bolt.App", "urllib3", "pdpyras", "uvicorn.access", "new_sdk"):
    logging.getLogger(name).info("chatter of planted-secret")
logging.getLogger("httpx").warning("https://api.telegram.org/bot%s/x", sys.argv[1])
warnings.warn("planted-secret is old")
def fail(): raise RuntimeError("in a thread, planted-secret")
thread = threading.Thread(target=fail, name="sender"); thread.start(); thread.join()
raise RuntimeError("at the end, planted-secret")
"""


def test_a_whole_process_writes_lines_only_and_no_secret() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT, BOT_TOKEN], capture_output=True, text=True, check=False)

    lines = [json.loads(row) for row in ran.stderr.splitlines()]
    assert ran.returncode == 1
    assert [(told["logger"], told["level"]) for told in lines] == [
        ("bot", "info"),
        ("httpx", "warning"),
        ("py.warnings", "warning"),
        ("bot.lib.logs", "critical"),
        ("bot.lib.logs", "critical"),
    ]
    assert lines[3]["thread_name"] == "sender"
    assert "planted-secret" not in ran.stderr
    assert BOT_TOKEN not in ran.stderr


def test_a_terminal_gets_text_for_people() -> None:
    code = (
        "import io, logging; from bot.lib import logs;"
        "out = type('T', (io.StringIO,), {'isatty': lambda self: True})(); logs.start(stream=out);"
        "logging.getLogger('bot').info('begun', extra={'n': 1}); print(out.getvalue(), end='')"
    )

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout[8:] == " INFO     begun  n=1\n"
