"""Deprecation notices of packages do not reach an operator, however Python was told to show warnings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from bot.lib import quiet_packages
from tests.running import ROOT, Program, answers, free_port

_SHOWN_ALL = (sys.executable, "-W", "default", "-m", "bot")
_NOTICES = ("Warning", "deprecat")


def settings(folder: Path) -> tuple[Path, int]:
    """Every channel that has an SDK; none can reach its platform."""
    port, path = free_port(), folder / "vakhta.yaml"
    channels = {
        "slack": {"bot_token": "xoxb-1", "signing_secret": "s", "mode": "http", "team_id": "T1", "channel": "C1",
                  "api_url": "http://127.0.0.1:9/"},
        "telegram": {"token": "1:" + "A" * 35, "chat_id": -1001, "mode": "webhook", "secret_token": "s",
                     "api_url": "http://127.0.0.1:9/bot"},
        "pagerduty": {"routing_key": "a" * 32},
    }  # fmt: skip
    path.write_text(
        json.dumps(
            {
                "server": {"listen": f"127.0.0.1:{port}", "drain": 2},
                "sources": {"alertmanager": {"tokens": ["planted"], "api_url": "http://127.0.0.1:9"}},
                "metrics": {"url": "http://127.0.0.1:9"},
                "clusters": {"main": {"kubeconfig": "in-cluster"}},
                "channels": channels,
            }
        )
    )
    return path, port


def said(config: Path, *command: str) -> str:
    verb, *words = command
    ran = subprocess.run(
        [*_SHOWN_ALL, verb, *words[:1], "--config", str(config), *words[1:]],
        capture_output=True, text=True, check=False, cwd=ROOT, env=_environment(), timeout=120,
    )  # fmt: skip
    return ran.stderr


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}


def told(stderr: str) -> list[str]:
    """The lines that are notices to developers."""
    return [line for line in stderr.splitlines() if any(word in line for word in _NOTICES)]


@pytest.mark.waits
def test_no_command_shows_one(tmp_path: Path) -> None:
    config, port = settings(tmp_path)
    program = Program(
        [*_SHOWN_ALL, "run", "--config", str(config)],
        log=tmp_path / "run.log",
        ready=lambda: answers(f"http://127.0.0.1:{port}/livez"),
    )
    with program:
        program.start()
        program.signal(signal.SIGTERM)
        program.stop()

    assert "watching" in program.said()
    assert told(program.said()) == []
    for command in (
        ("ask", "incidents"),
        ("ask", "scale", "prod/api", "3"),
        ("check",),
        ("migrate",),
        ("audit", "verify"),
        ("audit", "export"),
        ("check", "--cluster"),
    ):
        assert told(said(config, *command)) == [], command


@pytest.mark.parametrize(
    ("category", "message"),
    [
        (DeprecationWarning, "x"),
        (PendingDeprecationWarning, "x"),
        (FutureWarning, "x"),
        (UserWarning, 'The package "pdpyras" is deprecated and as of 2025-06-20 will no longer receive updates.'),
        (UserWarning, "a line\nBoto3 will no longer support Python 3.11"),
    ],
)
def test_a_notice_is_hidden(category: type[Warning], message: str) -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        quiet_packages.hide_deprecations()
        warnings.warn(message, category, stacklevel=1)

    assert shown == []


def test_any_other_warning_is_shown() -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        quiet_packages.hide_deprecations()
        warnings.warn("Unverified HTTPS request is being made to host 'k8s'.", UserWarning, stacklevel=1)

    assert len(shown) == 1
