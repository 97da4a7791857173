"""Builds an incident's card, independent of any platform: the channel escapes it and cuts it to its limits. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.core import run_state
from bot.core.incident import Incident, Status
from bot.core.message import Card
from bot.core.run_state import RunStatus


def incident_card(incident: Incident, *, public_url: str, runs: Sequence[RunStatus] = ()) -> Card:
    """The latest state, with the buttons that apply to it. `runs`: the runs of actions that belong to it."""
    return Card(
        title=f"#{incident.id} {incident.title}",
        lines=(*_lines(incident), *_runs(runs)),
        buttons=_buttons(incident),
        severity=incident.severity,
        status=incident.status,
        link=f"{public_url.rstrip('/')}/incidents/{incident.id}?mark={incident.mark}",
    )


def _lines(incident: Incident) -> list[str]:
    lines = [_status(incident)]
    alerts = f"{incident.firing} firing of {incident.total}"
    if incident.truncated:
        alerts += f", {incident.truncated} more not sent by the source"
    if incident.total:  # an incident opened by a person has none, and "0 of 0" would look as if all were well
        lines.append(f"Alerts: {alerts}")
    if incident.is_flapping:
        lines.append(incident.firing_words.capitalize())
    if incident.service:
        lines.append(f"Service: {incident.service}")
    lines.append(f"Opened {_at(incident.opened_at)}")
    return lines


def _runs(runs: Sequence[RunStatus]) -> list[str]:
    counts = run_state.count_unfinished(runs)
    return [f"Runs: {counts}. Details: `runs`"] if counts else []


def _status(incident: Incident) -> str:
    match incident.status:
        case Status.ACKED:
            return f"{incident.severity}, acknowledged: {incident.owner} has it"
        case Status.RESOLVED:
            when = f" {_at(incident.resolved_at)}" if incident.resolved_at else ""
            return f"{incident.severity}, resolved by {incident.resolved_by}{when}"
        case _ if incident.owner:
            return f"{incident.severity}, open: assigned to {incident.owner}, who has not acknowledged it"
        case _:
            return f"{incident.severity}, open: nobody has it yet"


def _buttons(incident: Incident) -> dict[str, str]:
    match incident.status:
        case Status.OPEN:
            return {"Acknowledge": f"ack {incident.marked}", "Resolve": f"resolve {incident.marked}"}
        case Status.ACKED:
            again = {"Acknowledge": f"ack {incident.marked}"} if incident.awaits_ack else {}
            return again | {"Resolve": f"resolve {incident.marked}"}
        case _:
            return {}


def _at(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
