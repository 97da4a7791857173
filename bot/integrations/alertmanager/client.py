"""Alertmanager's API, version 2: alerts and silences. Implements `bot.core.silences.Silences` and `AlertStates`.

Tested with 0.25 and later. Matchers are written so that the old parser and the UTF-8 parser of 0.27 read the same: a
classic label name, and the value always in quotes with \\, " and the line feed escaped. The trap: 0.25 answers 500 to
the end of a silence that does not exist, so callers look for the silence first.
https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from urllib.parse import quote

from bot.core.alert import Alert, Severity
from bot.core.errors import OutcomeUnknown, Rejected
from bot.core.severity_words import severity_of
from bot.core.silences import ActiveSilence, MatchedAlert, Matcher
from bot.integrations.alertmanager.settings import AlertmanagerSettings
from bot.integrations.http import HttpApi
from bot.lib.text import spell_moment

_CALLED = "Alertmanager"
_TIMEOUT = timedelta(seconds=10)
_MAX_BYTES = 64 * 1024 * 1024  # Some 50,000 alerts: it is read in a storm too.
#: Alertmanager replaces a past start by its own time. Our time could be ahead of it, and the silence would start late.
_LONG_AGO = "1970-01-01T00:00:00.000Z"
_MOST_NAMES = 20
_OPERATORS = {(False, True): "=", (False, False): "!=", (True, True): "=~", (True, False): "!~"}
_FLAGS = {operator: flags for flags, operator in _OPERATORS.items()}

Json = Mapping[str, object]


class AlertmanagerClient:
    """`service`: the service of an alert by its labels, None where it is unknown; usually from the settings."""

    def __init__(self, section: AlertmanagerSettings, service: Callable[[Mapping[str, str]], str | None]) -> None:
        assert section.api_url is not None, "a client needs an address"
        self._section = section
        self._service = service
        self._api = api_of(section)

    def matching_alerts(self, matchers: Sequence[Matcher]) -> Sequence[MatchedAlert]:
        flags = [("active", "true"), ("silenced", "false"), ("inhibited", "true")]
        return [self._matched(one) for one in self._alerts(flags, matchers)]

    def silenced_alerts(self, silence_id: str) -> Sequence[MatchedAlert]:
        flags = [("active", "false"), ("silenced", "true"), ("inhibited", "false")]
        return [self._matched(one) for one in self._alerts(flags, ()) if _silenced_by(one) == [silence_id]]

    def states(self, alerts: Sequence[Alert]) -> Mapping[str, str]:
        """As `AlertStates.states`. One request for each name of an alert, or one for all where there are too many."""
        names = {one.labels.get("alertname", "") for one in alerts}
        filters: list[Sequence[Matcher]] = [(Matcher(name="alertname", op="=", value=name),) for name in names]
        flags = [("active", "true"), ("silenced", "true"), ("inhibited", "true")]
        if len(names) > _MOST_NAMES:
            filters = [()]
        found = [row for one in filters for row in self._alerts(flags, one)]
        silenced = any(_of(row, "status").get("silencedBy") for row in found)
        ends = {one.id: one.ends_at for one in self.active("")} if silenced else {}
        said = {_text(row, "fingerprint"): _state(row, ends) for row in found}
        return {one.fingerprint: said[one.fingerprint] for one in alerts if one.fingerprint in said}

    def active(self, comment: str, *, ended: bool = False) -> Sequence[ActiveSilence]:
        rows = _rows(self._api.get("GET", "/silences"))
        found = [one for one in rows if ended or _of(one, "status").get("state") in ("active", "pending")]
        return [_silence(one) for one in found if comment in _text(one, "comment")]

    def create(self, matchers: Sequence[Matcher], *, until: datetime, by: str, comment: str) -> str:
        body = {
            "matchers": [_as_json(one) for one in matchers],
            "startsAt": _LONG_AGO,
            "endsAt": until.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "createdBy": by,
            "comment": comment,
        }
        answer = self._api.send("POST", "/silences", body=body)
        silence_id = answer.get("silenceID") if isinstance(answer, dict) else None
        if not isinstance(silence_id, str) or not silence_id:
            raise OutcomeUnknown(
                "Alertmanager accepted the silence but gave no id for it. It is not known whether it is active."
            )
        return silence_id

    def expire(self, silence_id: str) -> None:
        self._api.send("DELETE", f"/silence/{quote(silence_id, safe='')}")

    def _alerts(self, flags: Sequence[tuple[str, str]], matchers: Sequence[Matcher]) -> Sequence[Json]:
        filters = [("filter", _filter(one)) for one in matchers]
        return _rows(self._api.get("GET", "/alerts", query=[*flags, *filters]))

    def _matched(self, alert: Json) -> MatchedAlert:
        labels = {name: value for name, value in _of(alert, "labels").items() if isinstance(value, str)}
        return MatchedAlert(
            title=labels.get("alertname") or "(no alertname)",
            severity=self._severity(labels),
            service=self._service(labels) or "",
        )

    def _severity(self, labels: Mapping[str, str]) -> Severity:
        """As for incidents."""
        known, unknown = severity_of(labels, self._section.severity_labels, self._section.severity)
        return known or (self._section.unknown_severity if unknown else Severity.WARNING)


def api_of(section: AlertmanagerSettings) -> HttpApi:
    """Its API; the section has an address."""
    return HttpApi(
        f"{(section.api_url or '').rstrip('/')}/api/v2",
        called=_CALLED,
        token=section.api_token,
        user=section.api_user,
        timeout=_TIMEOUT,
        most=_MAX_BYTES,
    )


def _filter(matcher: Matcher) -> str:
    value = matcher.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{matcher.name}{matcher.op}"{value}"'


def _as_json(matcher: Matcher) -> Json:
    regex, equal = _FLAGS[matcher.op]
    return {"name": matcher.name, "value": matcher.value, "isRegex": regex, "isEqual": equal}


def _silence(row: Json) -> ActiveSilence:
    try:
        ends_at = datetime.fromisoformat(_text(row, "endsAt")).astimezone(UTC)
    except ValueError:
        raise _unreadable() from None
    return ActiveSilence(
        id=_text(row, "id"),
        matchers=tuple(_matcher(one) for one in _rows(row.get("matchers"))),
        ends_at=ends_at,
        by=_text(row, "createdBy"),
        comment=_text(row, "comment"),
    )


def _matcher(row: Json) -> Matcher:
    # Before 0.22 there was no isEqual, and nothing negative.
    operator = _OPERATORS[row.get("isRegex") is True, row.get("isEqual", True) is not False]
    return Matcher(name=_text(row, "name"), op=operator, value=_text(row, "value"))


def _state(alert: Json, ends: Mapping[str, datetime]) -> str:
    """What keeps it from being notified, as a clause about it. `ends`: of the silences, by id."""
    status = _of(alert, "status")
    by = status.get("silencedBy")
    until = [ends[one] for one in by if one in ends] if isinstance(by, list) else []
    if by:
        return f"is silenced in {_CALLED}" + (f" until {spell_moment(max(until))}" if until else "")
    if status.get("inhibitedBy"):
        return f"is inhibited in {_CALLED} by another alert"
    return f"fires in {_CALLED}"


def _silenced_by(alert: Json) -> object:
    return _of(alert, "status").get("silencedBy")


def _rows(answer: object) -> Sequence[Json]:
    if not isinstance(answer, list) or not all(isinstance(one, dict) for one in answer):
        raise _unreadable()
    return answer


def _of(row: Json, name: str) -> Json:
    value = row.get(name)
    if not isinstance(value, dict):
        raise _unreadable()
    return value


def _text(row: Json, name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        raise _unreadable()
    return value


def _unreadable() -> Rejected:
    message = (
        f"The answer of {_CALLED} is not one of its API. Nothing was done."
        " Check that api_url is the address of an Alertmanager."
    )
    return Rejected(message, code="unreadable", status=HTTPStatus.BAD_GATEWAY)
