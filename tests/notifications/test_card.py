"""An incident as a card."""

from __future__ import annotations

import dataclasses

from msgspec.structs import replace

from bot.core.alert import Severity
from bot.core.incident import Status
from bot.core.run_state import RunStatus, State
from bot.incidents import lifecycle
from bot.incidents.transitions import AlertsChanged, LeadAlert
from bot.notifications import card as cards
from tests.house import NOON

LEAD = LeadAlert(order="0|a", title="Down: api is down", severity=Severity.CRITICAL, service="prod/api")
OPEN = lifecycle.opened_by_alerts(
    7, "api", AlertsChanged(source="am", fired=2, lead=LEAD, truncated=900), now=NOON
).incident


def test_an_open_incident_says_what_is_the_matter_and_offers_to_take_it() -> None:
    card = cards.incident_card(OPEN, public_url="https://vakhta.example/")

    assert card.title == "#7 Down: api is down"
    assert card.lines == (
        "critical, open: nobody has it yet",
        "Alerts: 2 firing of 2, 900 more not sent",
        "Service: prod/api",
        "Opened 2026-11-23 12:00 UTC",
    )
    assert card.buttons == {"Acknowledge": f"ack {OPEN.marked}", "Resolve": f"resolve {OPEN.marked}"}
    assert card.link == f"https://vakhta.example/incidents/7?mark={OPEN.mark}"


def test_an_acknowledged_incident_says_who_has_it() -> None:
    card = cards.incident_card(replace(OPEN, status=Status.ACKED, owner="ana"), public_url="")

    assert card.lines[0] == "critical, acknowledged: ana has it"
    assert card.buttons == {"Resolve": f"resolve {OPEN.marked}"}


def test_a_resolved_incident_says_by_whom_and_offers_nothing() -> None:
    over = replace(OPEN, status=Status.RESOLVED, resolved_by="alertmanager", resolved_at=NOON)

    card = cards.incident_card(over, public_url="")

    assert card.lines[0] == "critical, resolved by alertmanager 2026-11-23 12:00 UTC"
    assert card.buttons == {}


def test_a_card_says_which_runs_need_somebody_or_go_on_and_is_silent_of_those_that_are_at_rest() -> None:
    one = RunStatus(
        run="1a2b3c4d" * 4, command="scale prod/api 4", by="ana", target="prod/api", state=State.DONE, reason="",
        began_at=NOON,
    )  # fmt: skip
    unwell, running = (
        dataclasses.replace(one, state=State.DEGRADED),
        dataclasses.replace(one, state=State.RUNNING),
    )

    told = cards.incident_card(OPEN, public_url="", runs=(running, unwell, one))
    quiet = cards.incident_card(OPEN, public_url="", runs=(one,))

    assert told.lines[-1] == "Runs: 1 done but not well, 1 running; `runs` says why"
    assert quiet.lines == cards.incident_card(OPEN, public_url="").lines
