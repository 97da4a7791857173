"""Checks that a request is genuinely Slack's, fresh, readable, and for our workspace.

The trap: Bolt's own check answers 500 to a timestamp that is not a number, to a signature that is not ASCII and to a
body that is not UTF-8, and never compares the workspace. So all of it is checked here, on the raw bytes, before Bolt.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from bot.core.errors import Rejected

BODY_LIMIT = 1024 * 1024  #: bytes; Slack's own payloads stay far below it
_FRESH_S = 300  #: seconds that a request may be old, or ahead of our clock
_TIMESTAMP = re.compile(r"[0-9]{1,12}")

#: The types of fields at the top of a payload or of its event; Bolt relies on them without a check.
_SHAPES: dict[str, tuple[type, ...]] = {
    "action_id": (str,),
    "actions": (list,),
    "api_app_id": (str,),
    "assistant_thread": (dict,),
    "authorizations": (list,),
    "block_id": (str,),
    "bot_access_token": (str,),
    "callback_id": (str,),
    "channel": (dict, str),
    "channel_id": (str,),
    "command": (str,),
    "container": (dict,),
    "enterprise": (dict, str),
    "enterprise_id": (str,),
    "event": (dict,),
    "function": (dict,),
    "function_data": (dict,),
    "inputs": (dict,),
    "item": (dict, str),
    "message": (dict,),
    "previous_message": (dict,),
    "response_url": (str,),
    "subtype": (str,),
    "team": (dict, str),
    "team_id": (str,),
    "thread_ts": (str,),
    "ts": (str,),
    "type": (str,),
    "user": (dict, str),
    "user_id": (str,),
    "view": (dict,),
}

_IDS = frozenset(
    {"id", "user", "user_id", "user_team", "team", "team_id", "channel", "channel_id", "api_app_id", "trigger_id"}
    | {"action_id", "block_id", "action_ts", "ts", "thread_ts", "message_ts", "event_id", "event_ts", "response_url"}
    | {"view_id", "hash"}
)


def verify(headers: Mapping[str, str], body: bytes, *, secret: str, now: float) -> str:
    """The body of a genuine request as text. `headers` in lower case, `now` in seconds since the epoch.

    The signature covers `v0:<timestamp>:<body>`, see "Verifying requests from Slack" in Slack's documentation.

    Raises:
        Rejected: unsigned, stale, wrongly signed, too large or not UTF-8.
    """
    if not secret:
        raise Rejected(
            "Requests from Slack cannot be checked. Nothing was done. Set channels.slack.signing_secret.",
            code="unsigned",
            status=401,
        )
    if len(body) > BODY_LIMIT:
        raise Rejected("The body is over 1 MiB. Nothing was done.", code="too_large", status=413)
    stamp = headers.get("x-slack-request-timestamp", "")
    signed = headers.get("x-slack-signature", "")
    if not stamp or not signed:
        raise Rejected("The request is not signed. Nothing was done.", code="unsigned", status=401)
    if not _TIMESTAMP.fullmatch(stamp) or abs(now - int(stamp)) > _FRESH_S:
        raise Rejected(
            "The request's timestamp is more than 5 minutes off. Nothing was done. Check this machine's clock.",
            code="stale",
            status=401,
        )
    expected = "v0=" + hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), signed.encode("utf-8", "replace")):
        raise Rejected(
            "The signature does not match. Nothing was done. Check channels.slack.signing_secret.",
            code="bad_signature",
            status=401,
        )
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Rejected("The body is not UTF-8. Nothing was done.", code="unreadable", status=401) from None


def read(text: str, content_type: str) -> dict[str, object]:
    """The payload: a JSON body, a form's `payload` field, or the form itself (slash commands)."""
    if "json" in content_type or text.startswith("{"):
        return _object(text)
    form = dict(parse_qsl(text, keep_blank_values=True))
    if "payload" in form:
        return _object(form["payload"])
    return dict(form)


def check_workspace(payload: Mapping[str, object], *, team_id: str, app_id: str | None) -> None:
    """Refuse a payload for another workspace or app. `app_id` None: not known yet, not compared."""
    if _team(payload) != team_id:
        raise Rejected(
            "This comes from another Slack workspace than channels.slack.team_id. Nothing was done.",
            code="wrong_team",
            status=403,
        )
    addressed = payload.get("api_app_id")
    if app_id is not None and addressed is not None and addressed != app_id:
        raise Rejected("This is meant for another Slack app. Nothing was done.", code="wrong_team", status=403)


def check_shape(payload: Mapping[str, object]) -> None:
    """Refuse a payload that Bolt would fail on. Slack sends none; a proxy or a test might."""
    event = payload.get("event")
    for part in (payload, event if isinstance(event, dict) else {}):
        for key, kinds in _SHAPES.items():
            if part.get(key) is not None and not isinstance(part[key], kinds):
                raise _unreadable(f"{key} has the wrong type")
    view = payload.get("view")
    if isinstance(view, dict) and not isinstance(view.get("callback_id", ""), str):
        raise _unreadable("view.callback_id has the wrong type")
    if isinstance(view, dict) and view.get("type") not in ("modal", "home"):
        raise _unreadable("view is neither a modal nor a home")
    _check_ids(payload)
    for key in ("authorizations", "actions"):
        rows = payload.get(key)
        if isinstance(rows, list) and not (rows and all(isinstance(row, dict) for row in rows)):
            raise _unreadable(f"{key} has the wrong type")
    if payload.get("type") == "block_actions":
        _check_actions(payload.get("actions"))
    if isinstance(event, dict) and not isinstance(event.get("type"), str):
        raise _unreadable("event has no type")


def _object(text: str) -> dict[str, object]:
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        raise _unreadable("the payload is not JSON") from None
    if not isinstance(payload, dict):
        raise _unreadable("the payload is not a JSON object")
    return payload


def _check_ids(payload: Mapping[str, object]) -> None:
    """An id with a NUL or a lone surrogate would break a database or a log, and no id of Slack's has one."""
    parts = [payload, *(part for part in payload.values() if isinstance(part, dict))]
    actions = payload.get("actions")
    parts += [row for row in actions if isinstance(row, dict)] if isinstance(actions, list) else []
    for part in parts:
        for key in _IDS & part.keys():
            value = part[key]
            if isinstance(value, str) and not (value.isascii() and value.isprintable()):
                raise _unreadable(f"{key} is not an id")


def _check_actions(actions: object) -> None:
    action = actions[0] if isinstance(actions, list) else {}
    if not isinstance(action.get("action_id"), str) or not isinstance(action.get("block_id", ""), str):
        raise _unreadable("the action has no id")


def _unreadable(reason: str) -> Rejected:
    return Rejected(f"This cannot be read: {reason}. Nothing was done.", code="unreadable", status=400)


def _team(payload: Mapping[str, object]) -> object:
    """The workspace. Interactive payloads of an organisation-wide app have no `team`, only the user's."""
    team = payload.get("team") or payload.get("team_id")
    if team is None and isinstance(user := payload.get("user"), dict):
        return user.get("team_id")
    return team.get("id") if isinstance(team, dict) else team
