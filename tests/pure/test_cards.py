"""An incident as a card."""

from __future__ import annotations

from msgspec.structs import replace

from bot import cards, incidents
from bot.model import Severity, Status
from bot.wishes import Lead, Told
from tests.house import NOON

LEAD = Lead(order="0|a", title="Down: api is down", severity=Severity.CRITICAL, service="prod/api")
OPEN = incidents.opened(7, "api", Told(source="am", fired=2, lead=LEAD, truncated=900), now=NOON).incident


def test_an_open_incident_says_what_is_the_matter_and_offers_to_take_it() -> None:
    card = cards.card(OPEN, public_url="https://vakhta.example/")

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
    card = cards.card(replace(OPEN, status=Status.ACKED, owner="ana"), public_url="")

    assert card.lines[0] == "critical, acknowledged: ana has it"
    assert card.buttons == {"Resolve": f"resolve {OPEN.marked}"}


def test_a_resolved_incident_says_by_whom_and_offers_nothing() -> None:
    over = replace(OPEN, status=Status.RESOLVED, resolved_by="alertmanager", resolved_at=NOON)

    card = cards.card(over, public_url="")

    assert card.lines[0] == "critical, resolved by alertmanager 2026-11-23 12:00 UTC"
    assert card.buttons == {}
