"""The board as the composition root joins it: lines of the console's log reach an open board."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from bot.app.bot import Bot
from bot.config.settings import Settings
from bot.integrations.console.channel import Console
from tests.web.web_house import wait_for

pytestmark = pytest.mark.waits


def test_what_the_bot_says_to_the_console_is_told_to_an_open_board(tmp_path: Path) -> None:
    bot = Bot(
        Settings.model_validate({"server": {"listen": "127.0.0.1:0"}, "store": {"url": f"sqlite:///{tmp_path}/v.db"}})
    )
    url = bot.start()
    try:
        console = bot.channels["console"]
        assert isinstance(console, Console)
        key = re.findall(r'name="vakhta-page" content="([^"]+)"', httpx.get(f"{url}/", trust_env=False).text)[0]
        headers = {"X-Vakhta-Page": key}
        with httpx.stream("GET", f"{url}/events", headers=headers, trust_env=False, timeout=60) as board:
            wait_for(lambda: console.print_line("a", "2 of 6 are ready"))
            told = next(line for line in board.iter_lines() if "2 of 6 are ready" in line)
    finally:
        bot.stop()

    assert told.startswith('data: {"name": "a", "at": "')
