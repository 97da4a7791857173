"""What one delivered alert means against what is stored of it: pure, and the same in any order.

An episode is one firing of one alert: (source, fingerprint, startsAt). Alertmanager sends no sequence number and
no time of sending, and HA pairs send copies, late and out of order; so the verdict rests on these rules alone:

| stored of the fingerprint       | the delivery says              | verdict                                          |
|---------------------------------|--------------------------------|--------------------------------------------------|
| nothing, or an older episode    | firing                         | FIRED   (an older one still firing is superseded)|
| the same episode, firing        | firing                         | AGAIN                                            |
| the same episode, firing        | resolved                       | ENDED                                            |
| the same episode, ended         | firing, within `late_copy`     | LATE    (a delayed copy: the end stands)         |
| the same episode, ended         | firing, after `late_copy`      | FIRED   (its sender had lost sight of it)        |
| the same episode, ended         | resolved                       | KNOWN                                            |
| nothing, or an older episode    | resolved                       | UNHEARD (remembered, so that its firing is LATE) |
| a newer episode                 | anything                       | OLDER                                            |

The one rule that looks at the clock is there because a sender cut off from Prometheus times an alert out and later
fires it again with the same startsAt: to hold such a firing for a late copy for ever would lose it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from bot.model import Alert, Standing


class Verdict(StrEnum):
    """What a delivered alert does to the newest stored episode of its fingerprint."""

    FIRED = "fired"
    AGAIN = "again"
    ENDED = "ended"
    LATE = "late"
    KNOWN = "known"
    UNHEARD = "unheard"
    OLDER = "older"


def judge(alert: Alert, standing: Standing | None, *, now: datetime, late_copy: timedelta) -> Verdict:
    """`standing` is the newest stored episode of the alert's fingerprint, None when there is none."""
    if standing is None or alert.starts_at > standing.starts_at:
        return Verdict.FIRED if alert.firing else Verdict.UNHEARD
    if alert.starts_at < standing.starts_at:
        return Verdict.OLDER
    if standing.firing:
        return Verdict.AGAIN if alert.firing else Verdict.ENDED
    if not alert.firing:
        return Verdict.KNOWN
    fresh = standing.ended_at is not None and now - standing.ended_at <= late_copy
    return Verdict.LATE if fresh else Verdict.FIRED
