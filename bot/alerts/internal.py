"""Alerts of the bot's own, about what it could not do: they go the way of all others. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta

from bot.core.access import BreakGlassUse
from bot.core.alert import Alert, AlertBatch
from bot.core.incident_marker import micros_of
from bot.lib.text import spell_moment

#: What a person is to do about it, where that is not to settle how a run ended.
_TODO = {
    "PlanNotRun": "If it is still wanted, say the same words again, and resolve this.",
    "RunNotChecked": "Look whether it is well, and mend it or go back: undo {run}",
    "RunNotUndone": "It stands as it was done. Look at why, and go back by hand, or: undo {run}",
    "RunUnwell": "Look at why, and mend it or go back: undo {run}",
}


def unreadable(source: str, now: datetime, code: str, reason: str, sha256: str) -> AlertBatch:
    """The alert by which people hear that something of `source` could not be read."""
    alert = Alert(
        source=source,
        group=f"vakhta/unreadable/{source}",
        fingerprint=hashlib.sha256(f"{source}/{code}".encode()).hexdigest()[:16],
        firing=True,
        labels={"alertname": "UnreadableAlerts", "severity": "error", "source": source, "code": code},
        annotations={
            "summary": f"{source} sent what could not be read ({code})",
            "description": (
                f"{reason.rstrip('.')}. It is kept whole in the quarantine, sha256 {sha256}. Alerts in it may "
                "be unknown."
            ),
        },
        starts_at=now,
    )
    return AlertBatch(source=source, group=alert.group, alerts=(alert,))


def about_run(name: str, run: str, message: str, now: datetime) -> AlertBatch:
    """The alert by which a person is called to look at a run: `name` is RunUnknown, RunUnwell, RunNotUndone or
    RunNotChecked; or at a plan that was to be one: PlanNotRun.
    """
    todo = _TODO.get(name, "Look at what it was to change, then: settle {run} done|failed")
    alert = Alert(
        source="vakhta",
        group=f"vakhta/run/{run}",
        fingerprint=hashlib.sha256(f"{name}/{run}".encode()).hexdigest()[:16],
        firing=True,
        labels={"alertname": name, "severity": "critical", "run": run},
        annotations={"summary": message, "description": todo.format(run=run[:8])},
        starts_at=now,
    )
    return AlertBatch(source="vakhta", group=alert.group, alerts=(alert,))


def clock_went_back(now: datetime, back: timedelta, pulled_back: Mapping[str, int]) -> AlertBatch:
    """The alert by which people hear that times in the database lay ahead of its clock.

    Args:
        back: how far the clock went back; zero where that is not known.
        pulled_back: how many deadlines of each kind were put right.
    """
    step = f"went back by {timedelta(seconds=round(back.total_seconds()))}" if back else "was ahead and was put right"
    what = ", ".join(f"{count} x {kind}" for kind, count in pulled_back.items()) or "none"
    alert = Alert(
        source="vakhta",
        group="vakhta/clock",
        fingerprint=hashlib.sha256(b"vakhta/clock").hexdigest()[:16],
        firing=True,
        labels={"alertname": "ClockWentBack", "severity": "warning"},
        annotations={
            "summary": f"The clock of the bot's database {step}",
            "description": (
                f"Messages are sent on time. Deadlines that lay too far ahead are counted from now: {what}. Approvals,"
                " break-glass rights and timed undos of that hour may last up to twice as long. Check that time is"
                " synchronised (NTP, chronyc tracking) on the host of the database, and resolve this."
            ),
        },
        starts_at=now,
    )
    return AlertBatch(source="vakhta", group=alert.group, alerts=(alert,))


def damaged(message: str, now: datetime) -> AlertBatch:
    """The alert by which people hear that the database's file is not whole."""
    group = "vakhta/database"
    alert = Alert(
        source="vakhta",
        group=group,
        fingerprint=hashlib.sha256(f"{group}/damaged".encode()).hexdigest()[:16],
        firing=True,
        labels={"alertname": "DatabaseDamaged", "severity": "critical"},
        annotations={
            "summary": f"The bot's database file is {message}",
            "description": (
                "Alerts that need those pages are not stored. Stop the bot, keep a copy of the file, and put back a"
                " backup, or what `sqlite3 FILE .recover` saves. The log names the pages."
            ),
        },
        starts_at=now,
    )
    return AlertBatch(source="vakhta", group=group, alerts=(alert,))


def glass_broken(use: BreakGlassUse, called: str, contact: str, *, ended_at: datetime | None = None) -> AlertBatch:
    """The alert by which everybody hears that rights for an emergency were taken; it ends when that is reviewed.

    Args:
        called: the person's name, for people.
        contact: who is to look at it, a person's id or a channel's name; "" where the settings name nobody.
    """
    group = f"vakhta/glass/{use.id}/{micros_of(use.opened_at)}"  # ids are given anew after a restore
    labels = {"alertname": "GlassBroken", "severity": "critical", "person": use.person}
    whose = f" {contact}, the security contact, looks at it." if contact else ""
    alert = Alert(
        source="vakhta",
        group=group,
        fingerprint=hashlib.sha256(group.encode()).hexdigest()[:16],
        firing=ended_at is None,
        labels=labels | ({"contact": contact} if contact else {}),
        annotations={
            "summary": f"{called} broke the glass until {spell_moment(use.until)}.{whose} {use.reason}",
            "description": f"End it, or review it: review-glass {use.person} because <text>",
        },
        starts_at=use.opened_at,
        ends_at=ended_at,
    )
    return AlertBatch(source="vakhta", group=group, alerts=(alert,))
