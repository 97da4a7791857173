"""The audit log over the lives of a real bot: what a killed one left is sealed and signed by the next."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tests.running import Vakhta, read, until

pytestmark = pytest.mark.crash


def test_what_a_killed_bot_left_is_sealed_and_signed_by_the_next(tmp_path: Path) -> None:
    with Vakhta(tmp_path, {}) as bot:
        bot.start()
        until(lambda: "started" in _events(bot), "the first life has begun")
        bot.kill()
        bot.start()
        until(lambda: _events(bot).count("started") == 2, "the second life has begun")

        assert bot.stop() == 0

    with sqlite3.connect(tmp_path / "vakhta.db") as log:
        events = [json.loads(body)["event"] for (body,) in log.execute("SELECT body FROM audit_entry ORDER BY id")]
        places = [pos for (pos,) in log.execute("SELECT pos FROM audit_seal ORDER BY entry_id")]
        signed = log.execute("SELECT max(size) FROM audit_checkpoint").fetchone()
    log.close()
    assert events == ["started", "started", "stopped"]
    assert places == [0, 1, 2]
    assert signed == (3,)
    assert (tmp_path / "vakhta-audit.key").stat().st_mode & 0o777 == 0o600
    assert '"verifier_key": "vakhta+' in bot.said()


def _events(bot: Vakhta) -> list[str]:
    """Newest first."""
    return [one["event"] for one in read(f"{bot.url}/api/audit")["entries"]]
