"""The fake Slack refuses what Slack refuses, so that a card which it takes is one that people see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.fakes.slack_rules import breaches, pings


def plain(text: str = "x", **other: object) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, **other}


def mrkdwn(text: str = "x", **other: object) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True, **other}


def button(**other: object) -> dict[str, Any]:
    return {"type": "button", "text": plain(), "value": "ack 1", "action_id": "say:0", **other}


def confirm(**other: object) -> dict[str, Any]:
    return {"title": plain(), "text": plain(), "confirm": plain(), "deny": plain(), "style": "danger", **other}


def actions(*elements: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


TAKEN: Mapping[str, dict[str, Any]] = {
    "a whole button": actions(button(style="primary", confirm=confirm())),
    "fields": {"type": "section", "fields": [mrkdwn("y" * 2000), plain()] * 5},
    "a date": {"type": "section", "text": mrkdwn("<!date^1392734382^{date_short_pretty} {time}|2014-02-18 14:39 UTC>")},
    "a date with a link": {"type": "section", "text": mrkdwn("<!date^1392734382^{ago}^https://a.test/b|then>")},
}
REFUSED: Mapping[str, tuple[dict[str, Any], str]] = {
    "a section of nothing": ({"type": "section"}, "without text and fields"),
    "no field": ({"type": "section", "fields": []}, "0 fields"),
    "too many fields": ({"type": "section", "fields": [plain()] * 11}, "11 fields"),
    "a long field": ({"type": "section", "fields": [mrkdwn("y" * 2001)]}, "field text of 2001"),
    "an empty field": ({"type": "section", "fields": [plain("")]}, "field text of 0"),
    "a style that is none": (actions(button(style="default")), "style 'default'"),
    "a button of another kind": (actions(button(type="knob")), "an action of type 'knob'"),
    "a part that no button has": (actions(button(colour="red")), "button with ['colour']"),
    "a part that no section has": ({"type": "section", "text": plain(), "title": plain()}, "section with ['title']"),
    "mark-up that is told how to be plain": ({"type": "section", "text": mrkdwn(emoji=True)}, "mrkdwn with ['emoji']"),
    "plain text told to be verbatim": ({"type": "header", "text": plain(verbatim=True)}, "plain_text with"),
    "a confirm that is true": (actions(button(confirm=True)), "no object"),
    "a confirm with a long title": (actions(button(confirm=confirm(title=plain("y" * 101)))), "title text of 101"),
    "a confirm with a long text": (actions(button(confirm=confirm(text=plain("y" * 301)))), "text text of 301"),
    "a confirm with a long answer": (actions(button(confirm=confirm(deny=plain("y" * 31)))), "deny text of 31"),
    "a confirm with mark-up": (actions(button(confirm=confirm(text=mrkdwn()))), "must be plain_text"),
    "a confirm without an answer": (
        actions(button(confirm={"title": plain(), "text": plain(), "confirm": plain()})),
        "deny without a text",
    ),
    "a confirm with a style that is none": (actions(button(confirm=confirm(style="warning"))), "style 'warning'"),
    "a date without a fallback": ({"type": "section", "text": mrkdwn("<!date^1392734382^{time}>")}, "no date"),
    "a date of words": ({"type": "section", "text": mrkdwn("<!date^noon^{time}|noon>")}, "no date"),
    "a date before 1970": ({"type": "section", "text": mrkdwn("<!date^-5^{time}|then>")}, "no date"),
    "a date without a token": ({"type": "section", "text": mrkdwn("<!date^1392734382^time|then>")}, "no format"),
    "a date with a token that is none": (
        {"type": "section", "fields": [mrkdwn("<!date^1392734382^{clock}|then>")]},
        "no format",
    ),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_slack_takes_is_taken(name: str) -> None:
    assert breaches([TAKEN[name]]) == []


@pytest.mark.parametrize("name", REFUSED)
def test_what_slack_refuses_is_refused(name: str) -> None:
    block, why = REFUSED[name]

    assert any(why in breach for breach in breaches([block])), breaches([block])


def test_a_date_is_no_ping_and_a_mention_is_one_wherever_it_stands() -> None:
    blocks: list[dict[str, object]] = [
        {"type": "section", "text": mrkdwn("<!date^1392734382^{time}|then> <@U1>")},
        {"type": "section", "fields": [mrkdwn("<@U2>")]},
        actions(button(confirm=confirm(text=plain("<@U3> & co")))),
    ]

    found = pings("<!here>", blocks, parsed=False)

    assert found[:3] == ["<!here>", "<@U1>", "<@U2>"]
    assert all("unescaped" in one for one in found[3:])
    assert len(found) == 5
