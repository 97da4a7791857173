"""Alerts of the bot's own, about what it could not do: they go the way of all others. Pure."""

from __future__ import annotations

import hashlib
from datetime import datetime

from bot.model import Alert, Delivered


def unreadable(source: str, now: datetime, code: str, why: str, sha256: str) -> Delivered:
    """The alert by which people hear that something of `source` could not be read."""
    alert = Alert(
        source=source,
        group=f"vakhta/unreadable/{source}",
        fingerprint=hashlib.sha256(f"{source}/{code}".encode()).hexdigest()[:16],
        firing=True,
        labels={"alertname": "UnreadableAlerts", "severity": "error", "source": source, "code": code},
        notes={
            "summary": f"{source} sent what could not be read ({code})",
            "description": (
                f"{why.rstrip('.')}. It is kept whole in the quarantine, sha256 {sha256}. Alerts in it may be unknown."
            ),
        },
        starts_at=now,
    )
    return Delivered(source=source, group=alert.group, alerts=(alert,))
