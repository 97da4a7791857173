"""What Events v2 refuses, for the fake PagerDuty.

From PagerDuty's own documents (Events API v2: overview, trigger events, size limits) and its OpenAPI description.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from tests.fakes.calls import Call

_BODY_MOST = 512 * 1024
_ACTIONS = ("trigger", "acknowledge", "resolve")
_FIELDS = {"routing_key", "event_action", "dedup_key", "payload", "client", "client_url", "links", "images"}
_PAYLOAD = {"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"}
_SEVERITIES = ("critical", "error", "warning", "info")


#: A code span: PagerDuty shows no mark-up, so that people would read its backticks.
_CODE = re.compile(r"(?<!`)`[^`\n]*[^`\s][^`\n]*`(?!`)")


def read_event(call: Call) -> tuple[dict[str, Any], list[str]]:
    """The event, and everything PagerDuty would refuse it for."""
    if len(call.body) > _BODY_MOST:
        return {}, [f"a body of {len(call.body)} bytes"]
    if "application/json" not in call.headers.get("content-type", ""):
        return {}, ["a body that is not declared as JSON"]
    try:
        event = json.loads(call.body)
    except ValueError:
        return {}, ["a body that is not JSON"]
    if not isinstance(event, dict):
        return {}, ["a body that is no object"]
    return event, _wrong(event)


def _wrong(event: dict[str, Any]) -> list[str]:
    key, action, dedup = event.get("routing_key"), event.get("event_action"), event.get("dedup_key")
    payload = event.get("payload")
    wrong = [f"unknown field {name!r}" for name in event.keys() - _FIELDS]
    if not isinstance(key, str) or len(key) != 32:
        wrong.append("Length of 'routing_key' is incorrect (should be 32 characters)")
    if action not in _ACTIONS:
        wrong.append("'event_action' is invalid (should be one of the following values: trigger, acknowledge, resolve)")
    if dedup is not None and not (isinstance(dedup, str) and 0 < len(dedup) <= 255):
        wrong.append("'dedup_key' is invalid (a text of at most 255 characters)")
    if dedup is None and action != "trigger":
        wrong.append("'dedup_key' is missing or blank")
    if action == "trigger":
        wrong += _wrong_payload(payload) if isinstance(payload, dict) else ["'payload' is missing or blank"]
    for name, needed in (("links", "href"), ("images", "src")):
        rows = event.get(name) or []
        if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get(needed) for row in rows):
            wrong.append(f"'{name}' is invalid (each needs {needed})")
    return wrong


def _wrong_payload(payload: dict[str, Any]) -> list[str]:
    wrong = [f"unknown field 'payload.{name}'" for name in payload.keys() - _PAYLOAD]
    blank = [name for name in ("summary", "source", "severity") if not str(payload.get(name) or "").strip()]
    wrong += [f"'payload.{name}' is missing or blank" for name in blank]
    texts = json.dumps(payload, ensure_ascii=False)
    wrong += [f"literal backticks: {literal}" for literal in _CODE.findall(texts)]
    if len(str(payload.get("summary"))) > 1024:
        wrong.append("'payload.summary' is longer than 1024 characters")
    if payload.get("severity") not in _SEVERITIES:
        wrong.append("'payload.severity' is invalid")
    if not isinstance(payload.get("custom_details") or {}, dict):
        wrong.append("'payload.custom_details' is invalid (should be an object)")
    if "timestamp" in payload:
        try:
            datetime.fromisoformat(payload["timestamp"])
        except (TypeError, ValueError):
            wrong.append("'payload.timestamp' is invalid")
    return wrong
