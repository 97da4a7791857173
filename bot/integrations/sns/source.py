"""Amazon SNS over HTTP: CloudWatch's alarms, and any other messages that people publish to a topic.

CloudWatch sends each change of an alarm once, with its time, and SNS may deliver them in any order. So an alert's state
is that of its latest change: ALARM fires, OK ends, and INSUFFICIENT_DATA fires too, as a warning at most. That last
state is sent only to those who have configured it (InsufficientDataActions), and missing data does not end a problem.
A message that is not an alarm becomes an alert with its own text, and a person has to resolve it.

Messages are verified before they are read here (`bot/integrations/sns/verification.py`). The format of an alarm:
"Notifying users on alarm changes" in the Amazon CloudWatch User Guide.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from urllib.parse import quote

from bot.core.alert import Alert, AlertBatch, Severity
from bot.core.errors import Rejected
from bot.integrations.payload import AHEAD, MOST_NOTE, Repair, decode, digest, parse_time
from bot.integrations.sns.message import NOTIFICATION, SUBSCRIBE, SnsMessage, parse_message, place_of

NAME = "sns"
#: The one group of all unlisted topics that ask to subscribe: anybody with an AWS account can ask.
UNLISTED = "sns/strangers"
_STATES = frozenset({"ALARM", "OK", "INSUFFICIENT_DATA"})
_ALARM = re.compile(r"arn:(aws[a-z-]{0,20}):cloudwatch:([a-z0-9-]{1,32}):([0-9]{12}):alarm:.+", re.DOTALL)
_CONSOLES = {"aws": "console.aws.amazon.com", "aws-cn": "console.amazonaws.cn"}
_MOST_LINE = 200
_MOST_GROUP = 1024  #: characters of a group's key
_NOT_LISTED = "topic_not_listed"

_Fields = Mapping[str, object]


class SnsSource:
    """`topics`: ARNs of those that may send. `severity`: globs of TOPIC/ALARM; the first match counts."""

    name = NAME

    def __init__(
        self,
        now: Callable[[], datetime],
        *,
        topics: Collection[str] = (),
        severity: Mapping[str, Severity] | None = None,
    ) -> None:
        self._now = now
        self._topics = frozenset(topics)
        self._severity = severity or {}

    def read(self, headers: Mapping[str, str], body: bytes) -> AlertBatch:  # noqa: ARG002  (all is in the body)
        message = parse_message(body)
        if message.kind == SUBSCRIBE and message.topic not in self._topics:
            return _from_unlisted(message, body)
        repair = Repair()
        if message.kind != NOTIFICATION:
            return _delivered(_of_subscription(message, repair), body, repair)
        fields = _alarm_in(message.message)
        alert = self._of_text(message, repair) if fields is None else self._of_alarm(fields, message, repair)
        return _delivered(alert, body, repair)

    def _of_alarm(self, fields: _Fields, message: SnsMessage, repair: Repair) -> Alert:
        name, state = _text(fields, "AlarmName"), _text(fields, "NewStateValue")
        labels = _labels_of(fields, message)
        fact = _text(fields, "AlarmArn") or f"{labels.get('account')}/{labels.get('region')}/{name}"
        severity = self._severity_of(message, name)
        if state == "INSUFFICIENT_DATA" and severity is not Severity.INFO:
            severity = Severity.WARNING
        at = self._changed_at(fields, message, repair)
        notes = {"summary": _text(fields, "NewStateReason"), "description": _text(fields, "AlarmDescription")}
        return Alert(
            source=NAME,
            group=repair.key(f"cloudwatch/{fact}", _MOST_GROUP, "group_hashed"),
            fingerprint=digest(fact),
            firing=state != "OK",
            labels=repair.labels(labels | _as_label(severity)),
            annotations=repair.notes(_given(notes)),
            starts_at=at,
            ends_at=at if state == "OK" else None,
            link=_link_of(_text(fields, "AlarmArn"), name),
            sent_once=True,
        )

    def _of_text(self, message: SnsMessage, repair: Repair) -> Alert:
        """Messages with the same subject or first line share an incident; JSON without a subject is all one."""
        region, account, topic = place_of(message.topic)
        first = "" if _is_object(message.message) else _line(message.message)
        name = message.subject or topic
        labels = {"alertname": name, "topic": topic, "region": region, "account": account}
        severity = self._severity_of(message, name)
        return Alert(
            source=NAME,
            group=repair.key(f"sns/{message.topic}/{message.subject or first}", _MOST_GROUP, "group_hashed"),
            fingerprint=digest(f"{message.topic}/{message.message_id}"),
            firing=True,
            labels=repair.labels(_given(labels) | _as_label(severity)),
            annotations=repair.notes(_given({"summary": first, "description": message.message})),
            starts_at=message.sent_at,
            sent_once=True,
        )

    def _severity_of(self, message: SnsMessage, name: str) -> Severity | None:
        path = f"{place_of(message.topic)[2]}/{name}"
        return next((severity for glob, severity in self._severity.items() if fnmatchcase(path, glob)), None)

    def _changed_at(self, fields: _Fields, message: SnsMessage, repair: Repair) -> datetime:
        """A time that cannot be right is replaced by the message's signed time, which is the same at every retry."""
        at = parse_time(fields.get("StateChangeTime"))
        if at is not None and at <= self._now() + AHEAD:
            return at
        repair.record("time_replaced")
        return message.sent_at


def _delivered(alert: Alert, body: bytes, repair: Repair) -> AlertBatch:
    return AlertBatch(source=NAME, group=alert.group, alerts=(alert,), body=body, repairs=repair.repairs)


def _of_subscription(message: SnsMessage, repair: Repair) -> Alert:
    """The alert fires when the topic was unsubscribed, and ends when it is subscribed again."""
    region, account, topic = place_of(message.topic)
    labels = {"alertname": "SnsUnsubscribed", "severity": "error", "topic": topic}
    subscribed = message.kind == SUBSCRIBE
    return Alert(
        source=NAME,
        group=f"sns/subscription/{digest(message.topic)}",
        fingerprint=digest(f"{message.topic}/subscription"),
        firing=not subscribed,
        labels=repair.labels(_given(labels | {"region": region, "account": account})),
        annotations={
            "summary": f"alerts of {repair.text(message.topic, MOST_NOTE, 'notes_cut')} no longer arrive",
            "description": "Its subscription was removed. Subscribe it again, or remove it from the settings.",
        },
        starts_at=message.sent_at,
        ends_at=message.sent_at if subscribed else None,
        sent_once=True,
    )


def _from_unlisted(message: SnsMessage, body: bytes) -> AlertBatch:
    """An unlisted topic that asks for a subscription: the request is stored and shown, and not confirmed."""
    repair = Repair()
    region, account, topic = place_of(message.topic)
    labels = {"alertname": "SnsNotListed", "severity": "warning", "topic": topic, "region": region, "account": account}
    shown = repair.text(message.topic, MOST_NOTE, "notes_cut")
    reason = "It is not under sources.sns.topics, so it was not confirmed and sends nothing"
    alert = Alert(
        source=NAME,
        group=UNLISTED,
        fingerprint=digest(f"{message.topic}/stranger"),
        firing=True,
        labels=repair.labels(_given(labels)),
        annotations={
            "summary": f"{shown} asks to send alerts here",
            "description": f"{reason}. If it is yours: list it, restart, and subscribe it again. The request is kept.",
        },
        starts_at=message.sent_at,
        sent_once=True,
    )
    kept = (_NOT_LISTED, f"{shown}: {reason}")
    return AlertBatch(source=NAME, group=UNLISTED, alerts=(alert,), body=body, keep_reason=kept)


def _alarm_in(message: str) -> _Fields | None:
    """The alarm in a message; None for any other message."""
    fields = _object(message)
    if fields is None or not _text(fields, "AlarmName") or fields.get("NewStateValue") not in _STATES:
        return None
    return fields


def _is_object(message: str) -> bool:
    return _object(message) is not None


def _object(message: str) -> _Fields | None:
    try:
        return decode(message.encode("utf-8", "surrogatepass"))
    except Rejected:
        return None


def _labels_of(fields: _Fields, message: SnsMessage) -> dict[str, str]:
    """The alert's labels. A dimension with the name of one of ours gets a prefix."""
    region, account, topic = place_of(message.topic)
    where = _ALARM.fullmatch(_text(fields, "AlarmArn"))
    metric = _metric_of(fields)
    labels = {
        "alertname": _text(fields, "AlarmName"),
        "state": _text(fields, "NewStateValue"),
        "topic": topic,
        "region": where[2] if where else _text(fields, "Region") or region,
        "account": _text(fields, "AWSAccountId") or (where[3] if where else account),
        "namespace": _text(metric, "Namespace"),
        "metric": _text(metric, "MetricName"),
    }
    for name, value in _dimensions(metric):
        labels.setdefault(f"dimension_{name}" if name in labels else name, value)
    return _given(labels)


def _metric_of(fields: _Fields) -> _Fields:
    """The alarm's one metric; {} for an expression over several, and for a composite alarm."""
    trigger = _part(fields, "Trigger")
    several = trigger.get("Metrics")
    if not isinstance(several, list):
        return trigger
    found = [_part(_part(one, "MetricStat"), "Metric") for one in several if isinstance(one, dict)]
    found = [one for one in found if one]
    return found[0] if len(found) == 1 else {}


def _dimensions(metric: _Fields) -> Iterator[tuple[str, str]]:
    listed = metric.get("Dimensions")
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict):
            name, value = _text(one, "name"), _text(one, "value")
            if name and value:
                yield name, value


def _link_of(arn: str, name: str) -> str:
    """The alarm's page in the AWS console; "" for a partition whose console is not known."""
    where = _ALARM.fullmatch(arn)
    console = _CONSOLES.get(where[1]) if where else None
    if where is None or console is None:
        return ""
    link = f"https://{console}/cloudwatch/home?region={where[2]}#alarmsV2:alarm/"
    return link + quote(name, safe="", errors="replace")


def _line(message: str) -> str:
    """The first line that is not blank."""
    return next((line.strip() for line in message.splitlines() if line.strip()), "")[:_MOST_LINE]


def _part(fields: _Fields, name: str) -> _Fields:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def _text(fields: _Fields, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _given(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if value}


def _as_label(severity: Severity | None) -> dict[str, str]:
    return {} if severity is None else {"severity": str(severity)}
