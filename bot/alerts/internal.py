"""The bot's own alerts, about what it could not do. They are correlated and notified like all others. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec import Struct, structs

from bot.core.access import BreakGlassUse
from bot.core.alert import Alert, AlertBatch, Severity
from bot.core.backup import BackupStore
from bot.core.incident import QUIET
from bot.core.incident_marker import micros_of
from bot.lib.text import spell_duration, spell_moment

OWN = "vakhta"  #: the source of alerts that are about the bot itself
#: The groups of senders that are refused begin with this.
REFUSED = f"{QUIET}refused/"

#: The groups of stores of backups begin with this; those of troubles that can wait until the morning with the second.
BACKUPS, QUIET_BACKUPS = "vakhta/backup/", f"{QUIET}backup/"

#: How a sender that is refused sends, by the refusal's code.
_REFUSALS = {
    "auth_required": "without a token",
    "auth_invalid": "with a wrong token",
    "wrong_receiver": "with the token of another source",
}

#: What a person should do about a run, by the alert's name.
_TODO = {
    "PlanNotRun": "If it is still wanted, send the same command again. Then resolve this.",
    "RunNotChecked": "Check whether the target is healthy. Repair it, or undo the run: undo {run}",
    "RunNotUndone": "The change is still in place. Find out why, and restore the target by hand, or: undo {run}",
    "RunUnknown": "Check the target of the run, then record the result: settle {run} done|failed because <text>",
    "RunUnwell": "Find out why. Repair the target, or undo the run: undo {run}",
}


#: The alert about copies of drills that cannot be removed.
DRILL_LEFTOVERS = "DrillLeftovers"
RESTORE_LATE = "RestoreLate"
#: Periodic work on one store that does not come back, by the alert's name.
HANGING_WORK = (
    "DrillScheduleHangs",
    "SentinelHangs",
    "DrillValidationHangs",
    "DrillReaperHangs",
    "RestoreChecksHang",
)
#: What a person should do about the drills of a store, by the alert's name.
_DRILL_TODO = {
    "DrillFailed": (
        "Do not rely on its backups. Repair what the drill has found, make a backup, and drill again: drill {store}."
        " This is over when a drill has passed."
    ),
    "DrillMissed": "Find out why it could not begin, and drill it now: drill {store}. This is over when it has passed.",
    "DrillHangs": "`runs` shows its run. If nothing goes on there, drill again: drill {store}.",
    DRILL_LEFTOVERS: (
        "Remove what is left by hand, after a look that it is a drill's copy and not in use. The bot goes on trying."
        " This is over when it is gone."
    ),
    RESTORE_LATE: (
        "Look at its own system why it takes so long. The bot checks the copy when it is complete, and says here what"
        " it found; `backups {store}` names it. No drill of {store} begins before. This is over when it has ended, or"
        " was removed with remove-copy."
    ),
} | dict.fromkeys(
    HANGING_WORK,
    "Find out why its engine does not answer: `backups {store}` looks now. The bot asks again when this call has ended;"
    " where it never ends, restart the bot. Other stores are not held up. This is over when a later call has ended.",
)


class BackupTrouble(Struct, frozen=True, kw_only=True):
    """What is wrong with a store of backups."""

    name: str  #: the alert's
    store: str
    service: str  #: "" for none
    severity: Severity
    pages: bool
    text: str  #: a sentence that the clock does not change
    todo: str


def unreadable(source: str, now: datetime, code: str, reason: str, sha256: str) -> AlertBatch:
    """A delivery of `source` could not be read, or a single alert in it."""
    return _own_alert(
        source=source,
        group=f"vakhta/unreadable/{source}",
        episode_of=f"{source}/{code}",
        labels={"alertname": "UnreadableAlerts", "severity": "error", "source": source, "code": code},
        summary=f"{source} sent alerts that could not be read ({code})",
        description=(
            f"{reason.rstrip('.')}. The whole body is kept in the quarantine, sha256 {sha256}. Alerts in it may be"
            " missing here."
        ),
        starts_at=now,
    )


def sender_refused(
    source: str, address: str, code: str, began: datetime, *, ended_at: datetime | None = None
) -> AlertBatch:
    """Requests to `/alerts/<source>` are refused, because their token is wrong. Pages nobody (`core.incident.QUIET`).

    Args:
        address: of the sender, or of the last proxy before the bot.
        code: why they are refused.
        ended_at: when it was over; None while it goes on.
    """
    how = _REFUSALS.get(code, "without proof of who it is")
    mend = f"give it a token of sources.{source}.tokens" if code in _REFUSALS else f"check the section sources.{source}"
    return _own_alert(
        group=f"{REFUSED}{source}",
        episode_of=f"refused/{source}/{address}",
        labels={"alertname": "SenderRefused", "severity": "warning", "source": source, "address": address},
        summary=f"{address} sends to /alerts/{source} {how}",
        description=(
            f"Its requests are refused ({code}), so their alerts are missing here. If it is yours, {mend}. If it is"
            " nobody's, block it. Behind a proxy the address is the proxy's: its log has the sender's. This is over"
            " after an hour without such a request."
        ),
        starts_at=began,
        ends_at=ended_at,
    )


def about_run(name: str, run: str, message: str, now: datetime) -> AlertBatch:
    """A person has to look at a run (`name` is RunUnknown, RunUnwell, RunNotUndone or RunNotChecked), or at an approved
    plan that was not run (PlanNotRun).
    """
    return _own_alert(
        group=f"vakhta/run/{run}",
        episode_of=f"{name}/{run}",
        labels={"alertname": name, "severity": "critical", "run": run},
        summary=message,
        description=_TODO.get(name, _TODO["RunUnknown"]).format(run=run[:8]),
        starts_at=now,
    )


def severity_unknown(word: str, treated_as: Severity, now: datetime) -> AlertBatch:
    """Alerts have a severity that no rule knows. Pages nobody. Each day it is one firing, however often it is told."""
    return _own_alert(
        group=f"{QUIET}severities",
        episode_of=f"severity/{word}",
        labels={"alertname": "SeverityUnknown", "severity": "info", "word": word},
        summary=f'Alerts have the severity "{word}", which is not known: each counts as {treated_as}',
        description=(
            "Say what it means under sources.alertmanager.severity, as in"
            f" `{word}: warning`, and restart; or correct the rule. Then resolve this."
        ),
        starts_at=now.replace(hour=0, minute=0, second=0, microsecond=0),
        sent_once=True,
    )


def clock_went_back(now: datetime, back: timedelta, pulled_back: Mapping[str, int]) -> AlertBatch:
    """Times in the database were ahead of its clock.

    Args:
        back: how far the clock went back; zero if that is unknown.
        pulled_back: how many deadlines of each kind were corrected.
    """
    seconds = timedelta(seconds=round(back.total_seconds()))
    step = f"went back by {spell_duration(seconds)}" if back else "was ahead and was put right"
    counts = ", ".join(f"{count} x {kind}" for kind, count in pulled_back.items()) or "none"
    return _own_alert(
        group="vakhta/clock",
        episode_of="vakhta/clock",
        labels={"alertname": "ClockWentBack", "severity": "warning"},
        summary=f"The clock of the bot's database {step}",
        description=(
            f"Messages are sent on time. Deadlines that were too far ahead are counted from now: {counts}. Approvals,"
            " break-glass rights and timed undos of that hour may last up to twice as long. Check that time is"
            " synchronised (NTP, chronyc tracking) on the host of the database, then resolve this."
        ),
        starts_at=now,
    )


def damaged(message: str, now: datetime) -> AlertBatch:
    """The database file is damaged; `message` says how."""
    return _own_alert(
        group="vakhta/database",
        episode_of="vakhta/database/damaged",
        labels={"alertname": "DatabaseDamaged", "severity": "critical"},
        summary=f"The bot's database file is {message}",
        description=(
            "Alerts that need the damaged pages are not stored. Stop the bot, keep a copy of the file, and restore a"
            " backup, or what `sqlite3 FILE .recover` saves. The log names the pages."
        ),
        starts_at=now,
    )


def glass_broken(use: BreakGlassUse, called: str, contact: str, *, ended_at: datetime | None = None) -> AlertBatch:
    """A person has taken rights for an emergency. The alert ends when that is reviewed.

    Args:
        called: the person's name.
        contact: the reviewer, a person's id or a channel's name; "" if the settings name none.
    """
    group = f"vakhta/glass/{use.id}/{micros_of(use.opened_at)}"  # after a restore the id alone is not unique
    labels = {"alertname": "GlassBroken", "severity": "critical", "person": use.person}
    reviewer = f" {contact}, the security contact, reviews it." if contact else ""
    return _own_alert(
        group=group,
        episode_of=group,
        labels=labels | ({"contact": contact} if contact else {}),
        summary=f"{called} activated break glass until {spell_moment(use.until)}.{reviewer} {use.reason}",
        description=f"Reviewing it also ends it: review-glass {use.person} because <text>",
        starts_at=use.opened_at,
        ends_at=ended_at,
    )


def drill_group(store: str) -> str:
    """The group of what is wrong with the drills of that store."""
    return f"vakhta/drill/{store}"


def drill_trouble(
    store: BackupStore, name: str, message: str, since: datetime, *, critical: bool = False
) -> AlertBatch:
    """Backups of a store are not known to restore. `name`: of `backups.drill_report.DrillAlarm`, DrillLeftovers,
    RestoreLate, or one of `HANGING_WORK`.

    The same name continues its alert.
    """
    labels = {"alertname": name, "severity": "critical" if critical else "warning", "store": store.name}
    return _own_alert(
        group=drill_group(store.name),
        episode_of=f"drill/{store.name}/{name}",
        labels=labels | ({"service": store.service} if store.service else {}),
        summary=f"{store.name}: {message}",
        description=_DRILL_TODO[name].format(store=store.name),
        starts_at=since,
    )


def backup_trouble(told: BackupTrouble, starts_at: datetime) -> AlertBatch:
    """A store of backups is not as promised. Whether it pages follows from its group."""
    labels = {"alertname": told.name, "severity": told.severity, "store": told.store}
    return _own_alert(
        group=f"{BACKUPS if told.pages else QUIET_BACKUPS}{told.store}",
        episode_of=f"backup/{told.name}/{told.store}",
        labels=labels | ({"service": told.service} if told.service else {}),
        summary=f"{told.store}: {told.text}",
        description=told.todo,
        starts_at=starts_at,
    )


def ended(alert: Alert, at: datetime, because: str = "") -> AlertBatch:
    """The end of an alert of the bot's own. `because`: why it is over although nothing got better; "" if it did."""
    over = structs.replace(alert, firing=False, ends_at=at)
    return AlertBatch(source=alert.source, group=alert.group, alerts=(over,), because=because)


def _own_alert(
    *,
    source: str = OWN,
    group: str,
    episode_of: str,
    labels: Mapping[str, str],
    summary: str,
    description: str,
    starts_at: datetime,
    ends_at: datetime | None = None,
    sent_once: bool = False,
) -> AlertBatch:
    """One alert as a delivery. The fingerprint is a hash of `episode_of`, so the same text continues an episode."""
    alert = Alert(
        source=source,
        group=group,
        fingerprint=hashlib.sha256(episode_of.encode()).hexdigest()[:16],
        firing=ends_at is None,
        labels=labels,
        annotations={"summary": summary, "description": description},
        starts_at=starts_at,
        ends_at=ends_at,
        sent_once=sent_once,
    )
    return AlertBatch(source=source, group=group, alerts=(alert,))
