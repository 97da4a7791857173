"""The real bot, run as `python -m tests.crash.unhurried`, with three clocks set for tests and nothing else changed.

Platforms' rate limits are off, because a test of crashes does not wait for Slack's one message a second; a lease and
an armed stall last as many seconds as VAKHTA_LEASE_S and VAKHTA_STALL_S say.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta

from bot import __main__
from bot.core.channel import RateLimit
from bot.integrations.pagerduty.channel import PagerDuty
from bot.integrations.slack.channel import Slack
from bot.lib import failpoints
from bot.notifications import sender

if __name__ == "__main__":
    for channel in (Slack, PagerDuty):
        channel.limits = (RateLimit(count=1_000, per=timedelta(seconds=1)),)
    sender.LEASE = timedelta(seconds=int(os.environ.get("VAKHTA_LEASE_S", "30")))
    failpoints._STALL_S = int(os.environ.get("VAKHTA_STALL_S", "120"))
    sys.exit(__main__.main())
