"""Signed payloads that Slack never sends: refused or without effect, and never a failure of ours."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

from bot.core.errors import Rejected
from bot.integrations.slack.channel import Slack
from tests.fakes.door import SmallDoor
from tests.fakes.slack import FakeSlack

ACTION = {"action_id": "say:1", "value": "ack 1", "action_ts": "1"}
PRESS = {"type": "block_actions", "team": {"id": "T1"}, "user": {"id": "U1"}, "container": {"message_ts": "1"}}
SENT = {"type": "view_submission", "team": {"id": "T1"}, "user": {"id": "U1"}}
VIEW = {"id": "V1", "hash": "1.1", "type": "modal", "callback_id": "fill:silence"}
ODD: tuple[object, ...] = (
    {},
    {"type": ["url_verification"], "team_id": "T1"},
    {"type": "event_callback", "team_id": ["T1"], "event": {"type": "x"}},
    {"type": "block_actions", "team": {"id": "T1"}, "actions": [{}]},
    {**PRESS, "user": "U1", "actions": [ACTION]},
    {**PRESS, "user": {"id": "U1", "team_id": 5}, "actions": [ACTION | {"value": ["x"]}]},
    {**PRESS, "actions": [ACTION | {"block_id": 5}]},
    {**PRESS, "actions": [ACTION], "function_data": 3, "bot_access_token": 4},
    {**PRESS, "actions": [ACTION | {"action_ts": "1\ud800"}]},
    {**PRESS, "actions": [ACTION], "user": {"id": "U\0"}},
    {**PRESS, "actions": [ACTION], "container": {"message_ts": "1\ud800"}},
    {"type": "view_submission", "team": {"id": "T1"}, "view": {"callback_id": ["x"]}},
    {**SENT, "view": {"callback_id": "fill:silence"}},
    {**SENT, "view": {**VIEW, "state": {"values": {"matchers": "x"}}, "private_metadata": ["C1"]}},
    {**SENT, "view": {**VIEW, "state": {"values": {"matchers": {"filled": {"value": "a=b"}}}}}},
    {**SENT, "view": {**VIEW, "state": ["x"]}, "user": "U1"},
    {**SENT, "view": {**VIEW, "hash": "1.\ud800", "state": {"values": {"a": {}}}}},
    {
        "type": "block_actions",
        "team": {"id": "T1"},
        "user": {"id": "U1"},
        "container": {"type": "view"},
        "actions": [ACTION],
    },
    {**PRESS, "container": {"type": "view", "view_id": ["V1"]}, "view": {"type": "home"}, "actions": [ACTION]},
    {**PRESS, "container": {"type": "view", "view_id": "V\0"}, "view": {"type": "home"}, "actions": [ACTION]},
    {"type": "view_closed", "team": {"id": "T1"}},
    {"type": "shortcut", "team": {"id": "T1"}, "callback_id": {"a": 1}},
    {"type": "message_action", "team": {"id": "T1"}},
    {"type": "dialog_submission", "team": {"id": "T1"}},
    {"type": "options", "team": {"id": "T1"}},
    {"type": "block_suggestion", "team": {"id": "T1"}, "action_id": ["z"]},
    {"type": "workflow_step_edit", "team": {"id": "T1"}},
    {"command": ["x"], "team_id": "T1"},
    {"command": "/vakhta", "team_id": "T1", "trigger_id": "9.9", "user_id": ["U1"], "text": "ack 1"},
    {"type": "event_callback", "team_id": "T1", "enterprise": "E", "enterprise_id": {"a": 1}, "event": {"type": "x"}},
    {"type": "event_callback", "team_id": "T1", "authorizations": [{"user_id": ["x"], "team_id": [1]}], "event": {}},
)
EVENTS: tuple[dict[str, object], ...] = (
    {"type": "app_mention", "user": "U1", "text": "ack 1", "channel": "C\0", "ts": "1.9"},
    {"type": "app_mention", "user": "U1", "text": "ack 1", "channel": "C1", "ts": "1.9\ud800"},
    {"type": "message", "user": ["x"], "subtype": ["a"], "channel": {"id": 4}, "item": "str", "ts": "1.2"},
    {"type": "message", "message": "str", "previous_message": [1], "channel": ["c"]},
    {"type": "message", "item": ["x"], "user": 5, "channel": "C1"},
    {"type": "message", "user": "U1", "assistant_thread": 3, "channel": "C1"},
    {"type": "app_home_opened", "user": ["U1"], "tab": "home"},
    {"type": "app_home_opened", "tab": ["home"], "user": "U1"},
    {"type": "team_join", "user": {"id": ["u"]}},
    {"type": "function_executed", "function": {"callback_id": 1}, "inputs": 3},
    {"type": "function_executed", "function": 1},
)
ALL = ODD + tuple({"type": "event_callback", "team_id": "T1", "event": event} for event in EVENTS)


@pytest.mark.parametrize("told", ALL, ids=json.dumps)
@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
def test_an_odd_payload_is_refused_or_without_effect(
    fake: FakeSlack, slack: Slack, door: SmallDoor, told: object, kind: str
) -> None:
    text = json.dumps(told)
    body = urlencode({"payload": text}).encode() if "form" in kind else text.encode()

    try:
        status = slack.receive(fake.workspace.sign(body, kind), body).status
    except Rejected as refused:
        status = refused.status

    assert status in (200, 400, 403)
    assert door.heard == []


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://[bad", "not a url\u00e9", "", "http://127.0.0.1:bad/"])
def test_an_address_for_the_answer_that_is_none_costs_only_the_answer(
    fake: FakeSlack, slack: Slack, door: SmallDoor, url: str
) -> None:
    body = json.dumps({**PRESS, "actions": [ACTION], "response_url": url}).encode()

    try:
        status = slack.receive(fake.workspace.sign(body, "application/json"), body).status
    except Rejected as refused:
        status = refused.status

    assert status in (200, 400)
    assert fake.whispers == []
