"""The signal to stop is heard whatever the bot is doing at that moment, and obeyed in time whatever hangs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from bot.app.shutdown import LEFT_BEHIND, ShutdownSteps
from tests.e2e.ground import channels
from tests.fakes.pagerduty import FakePagerDuty
from tests.fakes.slack import FakeSlack
from tests.postgres import Postgres
from tests.relay import Relay
from tests.running import TOKEN, Vakhta, answers, send, until

pytestmark = pytest.mark.waits

_DRAIN_S = 8
#: What a slow and busy machine may add. Without an end to the stop it lasted for minutes.
_SPARE_S = 30.0

_STORM = """
import os, signal, threading
from bot.app.shutdown import StopSignal

stop = StopSignal()
storm = threading.Thread(target=lambda: [os.kill(os.getpid(), signal.SIGTERM) for _ in range(20_000)])
storm.start()
while storm.is_alive():
    stop.wait(0)
storm.join()
raise SystemExit(0 if stop.wait(30.0) else 1)
"""

# ctypes' call ends only when C lets it: no handler of Python's runs meanwhile in the main thread.
_HUNG = """
import ctypes, os, signal, sys, threading
from datetime import timedelta
from bot.lib import logs
from bot.app.shutdown import StopSignal

logs.start(confidential=())
StopSignal().end_within(timedelta(seconds=1))
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
libc = ctypes.CDLL(None)
while True:
    libc.usleep(60_000_000)
"""


def test_signals_that_come_while_one_is_being_heard_keep_nobody_waiting() -> None:
    ended = subprocess.run([sys.executable, "-c", _STORM], timeout=60, check=False)

    assert ended.returncode == 0


def test_a_main_thread_that_hangs_in_a_library_does_not_keep_the_process() -> None:
    ended = subprocess.run([sys.executable, "-c", _HUNG], timeout=60, check=False, capture_output=True, text=True)

    assert ended.returncode == LEFT_BEHIND
    assert "not stopped in time" in ended.stderr
    assert "MainThread" in ended.stderr


def test_a_part_that_hangs_is_left_behind_and_named() -> None:
    ever = Event()
    done: list[int] = []
    parts = ShutdownSteps(timedelta(seconds=0.5))
    parts.do("web", ever.wait, timedelta(seconds=0.1))
    parts.do("intake", lambda: done.append(1), timedelta(seconds=5))
    hanging = parts.hanging()
    ever.set()

    assert (hanging, done) == (["web"], [1])


@pytest.fixture
def relay(postgres: Postgres) -> Iterator[Relay]:
    with Relay(postgres.port) as made:
        yield made


def fire(bot: Vakhta, group: str) -> int:
    body = (
        f'{{"version":"4","groupKey":"{{}}:{{alertname=\\"{group}\\"}}","status":"firing","alerts":[{{'
        f'"status":"firing","labels":{{"alertname":"{group}","severity":"critical"}},"annotations":{{}},'
        '"startsAt":"2026-11-23T12:00:00Z"}]}'
    )
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    return send(f"{bot.url}/alerts/alertmanager", body.encode(), headers)


@pytest.mark.slow
@pytest.mark.postgres
def test_a_bot_whose_database_fell_silent_refuses_in_time_says_so_and_stops_in_time(
    tmp_path: Path, postgres: Postgres, postgres_template: str, relay: Relay
) -> None:
    store = postgres.url("stopping", like=postgres_template).replace(f":{postgres.port}/", f":{relay.port}/")
    with (
        FakeSlack() as slack,
        FakePagerDuty() as pagerduty,
        Vakhta(tmp_path, channels(slack, pagerduty), store=store, drain_s=_DRAIN_S).start() as bot,
    ):
        assert fire(bot, "Before") == 200
        relay.silence(new=True)
        began = time.monotonic()
        assert fire(bot, "Silent") == 503
        refused_after = time.monotonic() - began
        until(lambda: not answers(f"{bot.url}/readyz"), "it is not ready")
        alive = answers(f"{bot.url}/livez")

        relay.speak()
        until(lambda: answers(f"{bot.url}/readyz"), "it is ready again", within_s=60)
        until(lambda: fire(bot, "Silent") == 200, "the alert is taken")
        until(lambda: pagerduty.became().count("opened") == 2, f"both were paged: {pagerduty.became()}")

        relay.silence(new=True)
        began = time.monotonic()
        code = bot.stop()
        stopped_after = time.monotonic() - began

    assert refused_after < 5.0 + _SPARE_S
    assert alive
    assert stopped_after < _DRAIN_S + _SPARE_S
    assert code in (0, LEFT_BEHIND)


def test_a_bot_whose_names_are_not_answered_stops_in_time(tmp_path: Path) -> None:
    deaf = {
        "slack": {
            "mode": "socket",
            "bot_token": "xoxb-1",
            "app_token": "xapp-1",
            "team_id": "T1",
            "channel": "C1",
            "api_url": "https://slack.example/api/",
        },
        "telegram": {"mode": "polling", "token": "1:a", "chat_id": -1, "api_url": "https://telegram.example/bot"},
        "pagerduty": {"routing_key": "r" * 32, "events_url": "https://pagerduty.example"},
    }
    with Vakhta(tmp_path, deaf, module="tests.deaf_names", drain_s=_DRAIN_S).start() as bot:
        until(lambda: '"watching"' in bot.said(), "it has started whole")
        assert fire(bot, "Deaf") == 200
        began = time.monotonic()
        code = bot.stop()
        stopped_after = time.monotonic() - began
        said = bot.said()

    assert stopped_after < _DRAIN_S + _SPARE_S
    assert code == LEFT_BEHIND
    assert '"left_behind"' in said
