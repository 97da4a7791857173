"""One incident with all that a person asks about it: what `show` arranges for a chat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.core.alert import AlertView
from bot.core.incident import Event
from bot.core.message import Situation
from bot.core.run_state import RunStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class IncidentDetail:
    """All of it but its numbers is untrusted text, of any length."""

    situation: Situation  #: as its card says it
    alerts: tuple[AlertView, ...]  #: those that fire, the one that names it first; when none fires, those that ended
    place_order: Sequence[str]  #: of labels, as the settings have it
    notified: tuple[str, ...]  #: who was notified, a line for each channel, and why not
    events: tuple[Event, ...]  #: the last ones, oldest first, without mere counts of alerts
    runs: tuple[RunStatus, ...]  #: of actions requested there, newest first
    now: datetime
    link: str  #: the incident on the board; "" where a reader could not open it
    dependencies: tuple[str, ...] = ()  #: what its service depends on and has an incident of its own, a sentence each
