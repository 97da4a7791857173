"""The signal to stop is heard whatever the bot is doing at that moment."""

from __future__ import annotations

import subprocess
import sys

_STORM = """
import os, signal, threading
from bot.stopping import Stop

stop = Stop()
storm = threading.Thread(target=lambda: [os.kill(os.getpid(), signal.SIGTERM) for _ in range(20_000)])
storm.start()
while storm.is_alive():
    stop.wait(0)
storm.join()
raise SystemExit(0 if stop.wait(5.0) else 1)
"""


def test_signals_that_come_while_one_is_being_heard_keep_nobody_waiting() -> None:
    ended = subprocess.run([sys.executable, "-c", _STORM], timeout=20, check=False)

    assert ended.returncode == 0
