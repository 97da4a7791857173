"""A strict Alertmanager 0.25: alerts, silences, and their API of version 2, with its own refusals.

What it says was taken down from the real one; `tests/integrations/alertmanager/test_client.py` holds both to the
same. Stricter in one way: a field, a query's name or a path that the API does not have is a fault, where the real one
passes it over.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.fakes.calls import Answer, Call
from tests.fakes.server import StrictServer

_SILENCE = re.compile(r"/api/v2/silence/([^/]+)")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MATCHER = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|=|!=|!~)\s*(.*?)\s*", re.DOTALL)
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_FIELDS: dict[str, type] = {
    "id": str,
    "matchers": list,
    "startsAt": str,
    "endsAt": str,
    "createdBy": str,
    "comment": str,
}
_REQUIRED = ("comment", "createdBy", "endsAt", "matchers", "startsAt")
_OF_MATCHER: dict[str, type] = {"name": str, "value": str, "isRegex": bool, "isEqual": bool}
_QUERY = {"active", "silenced", "inhibited", "unprocessed", "filter", "receiver"}


@dataclass(kw_only=True)
class Fired:
    """One alert that fires until `ends_at`."""

    labels: dict[str, str]
    starts_at: datetime
    ends_at: datetime
    inhibited_by: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class Standing:
    """One silence, in whatever state."""

    id: str
    matchers: list[dict[str, Any]]
    starts_at: datetime
    ends_at: datetime
    by: str
    comment: str
    updated_at: datetime

    def state(self, now: datetime) -> str:
        if now < self.starts_at:
            return "pending"
        return "expired" if now >= self.ends_at else "active"

    def covers(self, labels: Mapping[str, str]) -> bool:
        return all(
            _matches(one["isRegex"], one["isEqual"], one["value"], labels.get(one["name"], "")) for one in self.matchers
        )


class Refused(Exception):
    """What is answered instead."""

    def __init__(self, status: int, said: object) -> None:
        super().__init__(str(said))
        self.answer = Answer.json(said, status=status)


class FakeAlertmanager(StrictServer):
    """`authorization`: what every request has to carry, "" for nothing."""

    def __init__(self, *, authorization: str = "") -> None:
        super().__init__()
        self.authorization = authorization
        self.alerts: list[Fired] = []
        self.silences: dict[str, Standing] = {}

    def answer(self, call: Call) -> Answer:
        if self.authorization and call.headers.get("authorization") != self.authorization:
            return Answer(status=401, body=b"Unauthorized\n", headers={"Content-Type": "text/plain"})
        if call.verb == "POST" and call.headers.get("content-type") != "application/json":
            return Answer.json({"code": 415, "message": "unsupported media type"}, status=415)
        if (call.verb, call.path) == ("GET", "/api/v2/status"):
            return Answer.json({"cluster": {"status": "ready"}, "versionInfo": {"version": "0.25.0"}, "config": {}})
        try:
            with self._lock:
                return self._serve(call, datetime.now(UTC))
        except Refused as refused:
            return refused.answer

    def _serve(self, call: Call, now: datetime) -> Answer:
        one = _SILENCE.fullmatch(call.path)
        if one is not None:
            return self._one(call.verb, one[1], now)
        match call.verb, call.path:
            case "POST", "/api/v2/alerts":
                return self._fire(json.loads(call.body), now)
            case "GET", "/api/v2/alerts":
                return Answer.json(self._firing(call.asked, now))
            case "POST", "/api/v2/silences":
                return self._silence(_decoded(call.body), now)
            case "GET", "/api/v2/silences":
                return Answer.json([_told(each, now) for each in self.silences.values()])
        self.fault(f"unexpected {call.verb} {call.path}")
        return Answer.json({"code": 404, "message": f"path {call.path} was not found"}, status=404)

    def _one(self, verb: str, number: str, now: datetime) -> Answer:
        if not _UUID.fullmatch(number):
            said = f'silenceID in path must be of type uuid: "{number}"'
            raise Refused(422, {"code": 601, "message": said})
        found = self.silences.get(number)
        if verb == "GET":
            return Answer.json(_told(found, now)) if found else Answer(status=404)
        if found is None:
            raise Refused(500, "silence not found")
        if found.state(now) != "expired":
            found.starts_at, found.ends_at, found.updated_at = min(found.starts_at, now), now, now
        return Answer()

    def _fire(self, told: Sequence[Mapping[str, Any]], now: datetime) -> Answer:
        for one in told:
            labels = {name: value for name, value in one["labels"].items() if value}
            ends_at = _moment(one["endsAt"]) if "endsAt" in one else now + timedelta(minutes=5)
            self.alerts = [each for each in self.alerts if each.labels != labels]
            self.alerts.append(Fired(labels=labels, starts_at=now, ends_at=ends_at))
        return Answer()

    def _firing(self, asked: Sequence[tuple[str, str]], now: datetime) -> list[dict[str, Any]]:
        strange = {name for name, _ in asked} - _QUERY
        if strange:
            self.fault(f"GET /alerts has no {', '.join(sorted(strange))}")
        flags = {name: value != "false" for name, value in asked if name != "filter"}
        filters = [_parsed(value) for name, value in asked if name == "filter"]
        found = []
        for alert in self.alerts:
            by = [one.id for one in self.silences.values() if one.state(now) == "active" and one.covers(alert.labels)]
            active = not by and not alert.inhibited_by
            shown = (
                alert.ends_at > now
                and (flags.get("active", True) or not active)
                and (flags.get("silenced", True) or not by)
                and (flags.get("inhibited", True) or not alert.inhibited_by)
                and all(
                    _matches(regex, equal, value, alert.labels.get(name, "")) for name, regex, equal, value in filters
                )
            )
            if shown:
                found.append(_told_alert(alert, by))
        return found

    def _silence(self, told: dict[str, Any], now: datetime) -> Answer:
        self._fault_strange(told)
        _check_shape(told)
        starts_at, ends_at = _moment(told["startsAt"]), _moment(told["endsAt"])
        if starts_at >= ends_at:
            raise Refused(400, "Failed to create silence: start time must be before end time")
        if ends_at < now:
            raise Refused(400, "Failed to create silence: end time can't be in the past")
        matchers = [{"isEqual": True, **one} for one in told["matchers"]]
        _check_matchers(matchers)
        if told.get("id"):
            self.fault("nothing here changes a silence that stands")
            raise Refused(404, "silence not found")
        number = str(uuid.uuid4())
        self.silences[number] = Standing(
            id=number,
            matchers=matchers,
            starts_at=max(starts_at, now),
            ends_at=ends_at,
            by=told["createdBy"],
            comment=told["comment"],
            updated_at=now,
        )
        return Answer.json({"silenceID": number})

    def _fault_strange(self, told: Mapping[str, Any]) -> None:
        matchers = told.get("matchers")
        listed = matchers if isinstance(matchers, list) else []
        strange = set(told) - set(_FIELDS) | {name for one in listed for name in set(one) - set(_OF_MATCHER)}
        if strange:
            self.fault(f"a silence has no {', '.join(sorted(strange))}")


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        raise _unread("unexpected EOF") from None
    if not isinstance(told, dict):
        raise _unread("json: cannot unmarshal it into Go value of type models.PostableSilence")
    return told


def _unread(why: str) -> Refused:
    return Refused(400, {"code": 400, "message": f'parsing silence body from "" failed, because {why}'})


def _check_shape(told: Mapping[str, Any]) -> None:
    """Types first, as Go's decoder does, then what is missing."""
    _check_types(told, _FIELDS)
    for one in told.get("matchers", []):
        _check_types(one, _OF_MATCHER)
    for name in {"startsAt", "endsAt"} & told.keys():
        _moment(told[name])
    _check_there(told, _REQUIRED)
    if not told["matchers"]:
        raise Refused(422, {"code": 612, "message": "matchers in body should have at least 1 items"})
    for number, one in enumerate(told["matchers"]):
        _check_there(one, ("isRegex", "name", "value"), f"matchers.{number}.")


def _check_types(told: Mapping[str, Any], types: Mapping[str, type]) -> None:
    for name, kind in types.items():
        if name in told and not isinstance(told[name], kind):
            raise _unread(f"json: cannot unmarshal it into the Go struct field {name}")


def _check_there(told: Mapping[str, Any], names: Sequence[str], path: str = "") -> None:
    for name in names:
        if name not in told:
            raise Refused(422, {"code": 602, "message": f"{path}{name} in body is required"})


def _check_matchers(matchers: Sequence[Mapping[str, Any]]) -> None:
    for number, one in enumerate(matchers):
        at = f"silence invalid: invalid label matcher {number}:"
        if not _LABEL.fullmatch(one["name"]):
            raise Refused(400, f'{at} invalid label name "{one["name"]}"')
        if one["isRegex"]:
            try:
                re.compile(one["value"])
            except re.error as error:
                raise Refused(400, f'{at} invalid regular expression "{one["value"]}": {error}') from None
    if all(one["isEqual"] and _matches(one["isRegex"], one["isEqual"], one["value"], "") for one in matchers):
        raise Refused(400, "silence invalid: at least one matcher must not match the empty string")


def _parsed(text: str) -> tuple[str, bool, bool, str]:
    """(name, regex, equal, value), by the parser of before 0.27, which knows three escapes."""
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise Refused(400, f"bad matcher format: {text}")
    name, operator, raw = found.groups()
    if raw.startswith('"') != (len(raw) > 1 and raw.endswith('"')) or re.search(r'(?<!\\)(\\\\)*"', raw.strip('"')):
        raise Refused(400, f"matcher value contains unescaped double quote: {raw}")
    inside = raw[1:-1] if raw.startswith('"') else raw
    value = re.sub(r'\\([n"\\])', lambda escape: "\n" if escape[1] == "n" else escape[1], inside)
    regex = operator.endswith("~")
    if regex:
        try:
            re.compile(value)
        except re.error as error:
            raise Refused(400, f"error parsing regexp: {error}") from None
    return name, regex, operator.startswith("="), value


def _matches(regex: bool, equal: bool, value: str, label: str) -> bool:  # noqa: FBT001 (the two flags of the API)
    return (bool(re.fullmatch(value, label)) if regex else value == label) is equal


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise _unread(f'parsing time "{text}" as "2006-01-02 15:04:05": cannot parse it') from None


def _when(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _told(one: Standing, now: datetime) -> dict[str, Any]:
    return {
        "id": one.id,
        "status": {"state": one.state(now)},
        "updatedAt": _when(one.updated_at),
        "comment": one.comment,
        "createdBy": one.by,
        "endsAt": _when(one.ends_at),
        "matchers": one.matchers,
        "startsAt": _when(one.starts_at),
    }


def _told_alert(alert: Fired, by: Sequence[str]) -> dict[str, Any]:
    state = "suppressed" if by or alert.inhibited_by else "active"
    return {
        "annotations": {},
        "endsAt": _when(alert.ends_at),
        "fingerprint": uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(alert.labels, sort_keys=True)).hex[:16],
        "receivers": [{"name": "nobody"}],
        "startsAt": _when(alert.starts_at),
        "status": {"inhibitedBy": alert.inhibited_by, "silencedBy": list(by), "state": state},
        "updatedAt": _when(alert.starts_at),
        "labels": alert.labels,
    }
