"""Alertmanager's API, version 2: who is silenced, by what, and what fires. Implements `acting.Silences`.

Held to 0.25 and later. Matchers are written so that the parser of before 0.27 and the UTF-8 one after it read the same:
a classic label name, and the value always in quotes with \\, " and the line feed escaped. The trap: 0.25 answers 500
where a silence to be ended does not exist, so that whoever ends one looks for it first.
https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from urllib.parse import quote

from bot.core.alert import Severity
from bot.core.errors import OutcomeUnknown, Rejected
from bot.core.silences import ActiveSilence, MatchedAlert, Matcher
from bot.integrations.alertmanager.settings import AlertmanagerSettings
from bot.integrations.http import HttpApi

_CALLED = "Alertmanager"
_PATIENCE = timedelta(seconds=10)
_MOST = 64 * 1024 * 1024  # Bytes: some 50,000 alerts, because a storm is when it is asked.
#: Alertmanager puts its own now in the place of a start that is past; ours could lie ahead of it, and the silence wait.
_LONG_AGO = "1970-01-01T00:00:00.000Z"
_OPERATORS = {(False, True): "=", (False, False): "!=", (True, True): "=~", (True, False): "!~"}
_FLAGS = {operator: flags for flags, operator in _OPERATORS.items()}

Json = Mapping[str, object]


class AlertmanagerClient:
    """`service` tells whose an alert is by its labels, None where nobody knows; the settings' services, usually."""

    def __init__(self, section: AlertmanagerSettings, service: Callable[[Mapping[str, str]], str | None]) -> None:
        assert section.api_url is not None, "without an address there is nobody to ask"
        self._section = section
        self._service = service
        self._api = HttpApi(
            f"{section.api_url.rstrip('/')}/api/v2",
            called=_CALLED,
            token=section.api_token,
            user=section.api_user,
            timeout=_PATIENCE,
            most=_MOST,
        )

    def matching_alerts(self, matchers: Sequence[Matcher]) -> Sequence[MatchedAlert]:
        flags = [("active", "true"), ("silenced", "false"), ("inhibited", "true")]
        return [self._seen(one) for one in self._alerts(flags, matchers)]

    def silenced_alerts(self, silence_id: str) -> Sequence[MatchedAlert]:
        flags = [("active", "false"), ("silenced", "true"), ("inhibited", "false")]
        return [self._seen(one) for one in self._alerts(flags, ()) if _silenced_by(one) == [silence_id]]

    def active(self, comment: str, *, ended: bool = False) -> Sequence[ActiveSilence]:
        told = _rows(self._api.get("GET", "/silences"))
        found = [one for one in told if ended or _of(one, "status").get("state") in ("active", "pending")]
        return [_silence(one) for one in found if comment in _text(one, "comment")]

    def create(self, matchers: Sequence[Matcher], *, until: datetime, by: str, comment: str) -> str:
        body = {
            "matchers": [_sent(one) for one in matchers],
            "startsAt": _LONG_AGO,
            "endsAt": until.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "createdBy": by,
            "comment": comment,
        }
        told = self._api.send("POST", "/silences", body=body)
        number = told.get("silenceID") if isinstance(told, dict) else None
        if not isinstance(number, str) or not number:
            raise OutcomeUnknown(
                "Alertmanager took the silence and gave no number for it. Nobody knows whether it stands."
            )
        return number

    def expire(self, silence_id: str) -> None:
        self._api.send("DELETE", f"/silence/{quote(silence_id, safe='')}")

    def _alerts(self, flags: Sequence[tuple[str, str]], matchers: Sequence[Matcher]) -> Sequence[Json]:
        filters = [("filter", _filter(one)) for one in matchers]
        return _rows(self._api.get("GET", "/alerts", query=[*flags, *filters]))

    def _seen(self, alert: Json) -> MatchedAlert:
        labels = {name: value for name, value in _of(alert, "labels").items() if isinstance(value, str)}
        return MatchedAlert(
            title=labels.get("alertname") or "(no alertname)",
            severity=self._severity(labels),
            service=self._service(labels) or "",
        )

    def _severity(self, labels: Mapping[str, str]) -> Severity:
        """As incidents are weighed: the first label with a known value, else warning."""
        message = (labels.get(name, "").lower() for name in self._section.severity_labels)
        return next((self._section.severity[one] for one in message if one in self._section.severity), Severity.WARNING)


def _filter(matcher: Matcher) -> str:
    value = matcher.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{matcher.name}{matcher.op}"{value}"'


def _sent(matcher: Matcher) -> Json:
    regex, equal = _FLAGS[matcher.op]
    return {"name": matcher.name, "value": matcher.value, "isRegex": regex, "isEqual": equal}


def _silence(told: Json) -> ActiveSilence:
    try:
        ends_at = datetime.fromisoformat(_text(told, "endsAt")).astimezone(UTC)
    except ValueError:
        raise _strange() from None
    return ActiveSilence(
        id=_text(told, "id"),
        matchers=tuple(_matcher(one) for one in _rows(told.get("matchers"))),
        ends_at=ends_at,
        by=_text(told, "createdBy"),
        comment=_text(told, "comment"),
    )


def _matcher(told: Json) -> Matcher:
    # Before 0.22 there was no isEqual, and nothing negative.
    operator = _OPERATORS[told.get("isRegex") is True, told.get("isEqual", True) is not False]
    return Matcher(name=_text(told, "name"), op=operator, value=_text(told, "value"))


def _silenced_by(alert: Json) -> object:
    return _of(alert, "status").get("silencedBy")


def _rows(told: object) -> Sequence[Json]:
    if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
        raise _strange()
    return told


def _of(told: Json, name: str) -> Json:
    value = told.get(name)
    if not isinstance(value, dict):
        raise _strange()
    return value


def _text(told: Json, name: str) -> str:
    value = told.get(name)
    if not isinstance(value, str):
        raise _strange()
    return value


def _strange() -> Rejected:
    message = (
        f"{_CALLED} answered what its API does not say. Nothing was done. Is api_url the address of an Alertmanager?"
    )
    return Rejected(message, code="unreadable", status=HTTPStatus.BAD_GATEWAY)
