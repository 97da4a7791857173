"""The card of an incident in Slack: what each state shows, whom it mentions, and that no text breaks out of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from bot.core.alert import Severity
from bot.core.errors import Undelivered
from bot.core.incident import Status
from bot.core.message import AlertSummary, Card, Contact, Notification, Situation
from bot.integrations.slack.blocks import text_only
from bot.integrations.slack.channel import Slack
from bot.integrations.slack.incident_blocks import first_line, incident_blocks, mentions
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_rules import breaches, pings, unrendered
from tests.integrations.slack.notices import NOON, card
from tests.integrations.slack.test_blocks import CORPUS

ANA, BO = Contact(id="ana", name="Ana", account="U1"), Contact(id="bo", name="Bo <!here>")
TOLD = Situation(
    headword="CRITICAL",
    holder="nobody has it yet; on call: Ana",
    summary="Pod is crash looping.",
    since=NOON,
    count="8 firing, 1 ended",
    description="It restarts every 40 s.\nSee https://wiki.test/a?b=1&c=2",
    facts={"namespace": "payments"},
    alerts=(AlertSummary(text="cart-0", firing=True, since=NOON, value="7 restarts"),),
    more=7,
    links={"Runbook": "https://runbooks.test/loop", "Dashboard": "https://grafana.test/d"},
    on_call=(ANA,),
    notes=("Runs: 1 running. Details: `runs`",),
)
CARD = Card(
    title="#42 KubePodCrashLooping payments/cart-0: Pod is crash looping.",
    buttons={"Acknowledge": "ack 42", "Resolve": "resolve 42", "Silence 2h": "silence a=b for 2h"},
    primary="Acknowledge",
    confirm={"Resolve": "8 alerts still fire."},
    severity=Severity.CRITICAL,
    link="https://vakhta.test/incidents/42",
    situation=TOLD,
)
DATE = "<!date^1777896000^{date_short_pretty} {time}|2026-05-04 12:00 UTC>"


def drawn(told: Situation = TOLD, card: Card = CARD, *, call: bool = False) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = incident_blocks(card, told, 42, call=call)
    assert breaches(blocks) == []
    return blocks


def texts(blocks: list[dict[str, Any]]) -> list[str]:
    return [block["text"]["text"] for block in blocks if "text" in block]


def test_the_parts_of_an_open_card_stand_in_the_order_in_which_they_are_needed() -> None:
    blocks = drawn()

    assert texts(blocks) == [
        "🔴 #42 KubePodCrashLooping payments/cart-0",
        f"*CRITICAL* · nobody has it yet\nOn call: Ana\nBegan {DATE} · 8 firing, 1 ended",
        "Pod is crash looping.",
        "> It restarts every 40 s.\n> See <https://wiki.test/a?b=1&amp;c=2>",
        "• `cart-0` 7 restarts\nand 7 more: `show 42`",
    ]
    assert [field["text"] for block in blocks for field in block.get("fields", [])] == ["*namespace:* `payments`"]
    assert [block["type"] for block in blocks[-3:]] == ["context", "actions", "actions"]


def test_acknowledge_stands_out_and_resolve_asks_before_it_counts() -> None:
    acts, links = (block["elements"] for block in drawn()[-2:])

    assert [(one["text"]["text"], one["value"], one.get("style")) for one in acts] == [
        ("Acknowledge", "ack 42", "primary"),
        ("Resolve", "resolve 42", None),
        ("Silence 2h", "silence a=b for 2h", None),
    ]
    assert [one["text"]["text"] for one in acts if "confirm" in one] == ["Resolve"]
    assert {part: acts[1]["confirm"][part]["text"] for part in ("title", "text", "confirm", "deny")} == {
        "title": "Resolve?",
        "text": "8 alerts still fire.",
        "confirm": "Resolve",
        "deny": "Cancel",
    }
    assert [(one["text"]["text"], one["url"]) for one in links] == [
        ("Runbook", "https://runbooks.test/loop"),
        ("Dashboard", "https://grafana.test/d"),
        ("Open the board", "https://vakhta.test/incidents/42"),
    ]


def test_open_acknowledged_and_resolved_look_different_from_the_header_on() -> None:
    acked = replace(CARD, status=Status.ACKED)
    over = replace(CARD, status=Status.RESOLVED)
    by_severity = [replace(CARD, severity=severity) for severity in Severity]

    heads = [texts(drawn(card=one))[0][0] for one in (*by_severity, acked, over)]

    assert heads == ["🔴", "🟠", "🟡", "🔵", "👀", "✅"]


def test_an_acknowledged_card_says_who_has_it_since_when() -> None:
    told = replace(
        TOLD, headword="ACKNOWLEDGED (critical)", holder="Ana has it", acknowledged_at=NOON + timedelta(minutes=4)
    )

    state = texts(drawn(told, replace(CARD, status=Status.ACKED)))[1]

    assert state.startswith("*ACKNOWLEDGED* (critical) · Ana has it since <!date^1777896240^")
    assert "On call" not in state


def test_a_resolved_card_is_short_and_says_what_how_long_and_by_whom() -> None:
    told = replace(
        TOLD,
        headword="RESOLVED (critical)",
        holder="resolved by Ana",
        resolved_at=NOON + timedelta(hours=1, minutes=5, seconds=9),
    )
    over = replace(CARD, status=Status.RESOLVED, buttons={}, confirm={})

    blocks = drawn(told, over)

    assert texts(blocks)[0] == "✅ #42 KubePodCrashLooping payments/cart-0"
    assert texts(blocks)[1].splitlines()[:2] == [
        "*RESOLVED* (critical) by Ana after 1 h 5 min",
        "Pod is crash looping.",
    ]
    assert len(blocks) == 4
    assert [one["text"]["text"] for one in blocks[-1]["elements"]] == ["Open the board"]
    assert first_line(over, told) == (
        "✅ RESOLVED (critical) #42 KubePodCrashLooping payments/cart-0 · by Ana after 1 h 5 min"
        " · Pod is crash looping."
    )


def test_a_board_that_nobody_can_open_has_no_button() -> None:
    shown = [one["text"]["text"] for one in drawn(card=replace(CARD, link=""))[-1]["elements"]]

    assert shown == ["Runbook", "Dashboard"]


def test_the_first_line_keeps_severity_place_and_holder_where_a_phone_cuts_it() -> None:
    place = "prod-eu-west-1-blue/customer-facing-edge-gateways/ingress-nginx-controller-6d8f7c9b5d-00000"
    long = replace(CARD, title=f"#42 HighRequestLatencyOnIngressController {place}: Pod is crash looping.")

    line = first_line(long, TOLD)

    assert line.startswith("🔴 CRITICAL #42 HighRequest")
    assert "controller-6d8f7c9b5d-00000 · nobody has it yet · Pod" in line
    assert line.index("nobody has it yet") + len("nobody has it yet") <= 100


@pytest.mark.parametrize("status", [Status.ACKED, Status.RESOLVED])
def test_whoever_is_on_call_is_mentioned_in_the_first_message_of_an_open_incident_alone(
    fake: FakeSlack, slack: Slack, status: Status
) -> None:
    ref = slack.deliver(_notification(CARD))
    assert fake.message(str(ref)).pings == ["<@U1>"]

    slack.deliver(_notification(CARD, ref))
    slack.deliver(_notification(replace(CARD, status=status), ref))
    assert fake.message(str(ref)).pings == ["<@U1>"]

    fake.forget(str(ref))
    again = slack.deliver(_notification(CARD, ref))
    other = slack.deliver(_notification(replace(CARD, status=status)))
    assert [fake.message(str(one)).pings for one in (again, other)] == [[], []]


def test_an_incident_whose_first_message_is_looked_for_and_found_mentions_nobody_again(
    fake: FakeSlack, slack: Slack
) -> None:
    fake.answer_next(after_effect=True, reset=True, path="chat.postMessage")
    with pytest.raises(Undelivered):
        slack.deliver(_notification(CARD))

    slack.deliver(replace(_notification(CARD), attempted=True))

    assert [message.pings for message in fake.messages] == [["<@U1>"]]


def test_whoever_is_on_call_is_mentioned_where_slack_refuses_the_blocks(fake: FakeSlack, slack: Slack) -> None:
    fake.may_draw = False

    ref = slack.deliver(_notification(CARD))

    assert fake.message(str(ref)).text.startswith("On call: <@U1>\n🔴 #42")
    assert fake.message(str(ref)).pings == ["<@U1>"]


def test_a_contact_without_an_account_is_named_and_no_account_is_made_up() -> None:
    odd = Contact(id="x", name="X", account="channel|U1")

    assert mentions((ANA, BO, odd)) == "<@U1>, Bo &lt;!here&gt; and X"
    assert "<@U1>, Bo &lt;!here&gt; and X" in texts(drawn(replace(TOLD, on_call=(ANA, BO, odd)), call=True))[1]


@pytest.mark.parametrize("nasty", CORPUS)
def test_nothing_of_an_alert_pings_pretends_or_breaks_out(nasty: str) -> None:
    told = _all_of(nasty)
    hostile = replace(CARD, title=f"#42 {nasty}: {nasty}", confirm={"Resolve": nasty}, situation=told)

    for status in Status:
        one = replace(hostile, status=status)
        blocks = drawn(told, one)
        assert pings(first_line(one, told), blocks, parsed=False) == []
        assert unrendered(first_line(one, told), blocks, mrkdwn=False) == []
        json.dumps(blocks).encode()


@given(st.text(max_size=700), st.sampled_from([1, 40]), st.sampled_from(list(Status)))
def test_no_text_is_too_much_for_a_card(text: str, copies: int, status: Status) -> None:
    told = _all_of(text * copies)
    card = replace(CARD, title=text, confirm={"Resolve": text * copies}, buttons={f"{text}!": "ack 42"}, status=status)

    drawn(told, card, call=True)
    assert 0 < len(first_line(card, told)) <= 4000
    assert len(text_only(card, mentions(told.on_call))) <= 4000


@pytest.mark.parametrize("moment", [datetime(1, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)])
def test_a_time_that_slack_cannot_show_stands_as_text(moment: datetime) -> None:
    state = texts(drawn(replace(TOLD, since=moment)))[1]

    assert f"Began {moment.isoformat(' ', 'minutes').partition('+')[0]} UTC" in state
    assert "<!date" not in state


def _all_of(text: str) -> Situation:
    return replace(
        TOLD,
        holder=text,
        summary=text,
        description=text,
        count=text,
        facts={text or "x": text, f"{text}y": f"`{text}`"},
        alerts=(AlertSummary(text=text, firing=True, since=NOON, value=text),),
        links={"Runbook": text},
        notes=(text,) * 9,
        on_call=(replace(BO, name=text),) * 12,
    )


def _notification(told: Card, ref: str | None = None) -> Notification:
    one = card(ref, told=told)
    return replace(one, incident=structs.replace(one.incident, status=told.status))
