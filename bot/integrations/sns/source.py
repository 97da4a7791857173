"""Amazon SNS over HTTP: CloudWatch's alarms, and whatever else people publish to a topic.

CloudWatch tells each change of an alarm once, with its time, and SNS may deliver them in any order. So an alert's state
is that of its latest change: ALARM fires, OK ends, and INSUFFICIENT_DATA fires too, as a warning at most. Nobody gets
that last one who has not asked for it (InsufficientDataActions), and an alarm that lost sight of its metric is no end
of anything. What is no alarm is told in its own words, and a person has to end it.

Whether a message is genuine was settled before it is read here (`bot/integrations/sns/verification.py`). The form of
an alarm: "Notifying users on alarm changes" in the Amazon CloudWatch User Guide.
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
#: All who ask without being listed stand in one incident: anybody with an AWS account can ask.
STRANGERS = "sns/strangers"
_STATES = frozenset({"ALARM", "OK", "INSUFFICIENT_DATA"})
_ALARM = re.compile(r"arn:(aws[a-z-]{0,20}):cloudwatch:([a-z0-9-]{1,32}):([0-9]{12}):alarm:.+", re.DOTALL)
_CONSOLES = {"aws": "console.aws.amazon.com", "aws-cn": "console.amazonaws.cn"}
_MOST_LINE = 200
_MOST_GROUP = 1024  #: characters of a group's key
_NOT_LISTED = "topic_not_listed"

_Told = Mapping[str, object]


class SnsSource:
    """`topics`: ARNs of those that may send. `severity`: globs of TOPIC/ALARM; the first that fits counts."""

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
        letter = parse_message(body)
        if letter.kind == SUBSCRIBE and letter.topic not in self._topics:
            return _from_stranger(letter, body)
        mend = Repair()
        if letter.kind != NOTIFICATION:
            return _delivered(_of_subscription(letter, mend), body, mend)
        told = _alarm_in(letter.message)
        alert = self._in_its_own_words(letter, mend) if told is None else self._of_alarm(told, letter, mend)
        return _delivered(alert, body, mend)

    def _of_alarm(self, told: _Told, letter: SnsMessage, mend: Repair) -> Alert:
        name, state = _text(told, "AlarmName"), _text(told, "NewStateValue")
        labels = _labels_of(told, letter)
        fact = _text(told, "AlarmArn") or f"{labels.get('account')}/{labels.get('region')}/{name}"
        severity = self._severity_of(letter, name)
        if state == "INSUFFICIENT_DATA" and severity is not Severity.INFO:
            severity = Severity.WARNING
        at = self._changed_at(told, letter, mend)
        notes = {"summary": _text(told, "NewStateReason"), "description": _text(told, "AlarmDescription")}
        return Alert(
            source=NAME,
            group=mend.key(f"cloudwatch/{fact}", _MOST_GROUP, "group_hashed"),
            fingerprint=digest(fact),
            firing=state != "OK",
            labels=mend.labels(labels | _as_label(severity)),
            annotations=mend.notes(_given(notes)),
            starts_at=at,
            ends_at=at if state == "OK" else None,
            link=_link_of(_text(told, "AlarmArn"), name),
            sent_once=True,
        )

    def _in_its_own_words(self, letter: SnsMessage, mend: Repair) -> Alert:
        """Messages that begin alike stand in one incident; JSON without a subject is all alike."""
        region, account, topic = place_of(letter.topic)
        first = "" if _is_object(letter.message) else _line(letter.message)
        name = letter.subject or topic
        labels = {"alertname": name, "topic": topic, "region": region, "account": account}
        severity = self._severity_of(letter, name)
        return Alert(
            source=NAME,
            group=mend.key(f"sns/{letter.topic}/{letter.subject or first}", _MOST_GROUP, "group_hashed"),
            fingerprint=digest(f"{letter.topic}/{letter.message_id}"),
            firing=True,
            labels=mend.labels(_given(labels) | _as_label(severity)),
            annotations=mend.notes(_given({"summary": first, "description": letter.message})),
            starts_at=letter.sent_at,
            sent_once=True,
        )

    def _severity_of(self, letter: SnsMessage, name: str) -> Severity | None:
        message = f"{place_of(letter.topic)[2]}/{name}"
        return next((severity for glob, severity in self._severity.items() if fnmatchcase(message, glob)), None)

    def _changed_at(self, told: _Told, letter: SnsMessage, mend: Repair) -> datetime:
        """The signed time of the message in place of one that cannot be right: repeats must find the same."""
        at = parse_time(told.get("StateChangeTime"))
        if at is not None and at <= self._now() + AHEAD:
            return at
        mend.record("time_replaced")
        return letter.sent_at


def _delivered(alert: Alert, body: bytes, mend: Repair) -> AlertBatch:
    return AlertBatch(source=NAME, group=alert.group, alerts=(alert,), body=body, repairs=mend.repairs)


def _of_subscription(letter: SnsMessage, mend: Repair) -> Alert:
    """It fires when the topic was unsubscribed, and ends when it is subscribed again."""
    region, account, topic = place_of(letter.topic)
    labels = {"alertname": "SnsUnsubscribed", "severity": "error", "topic": topic}
    subscribed = letter.kind == SUBSCRIBE
    return Alert(
        source=NAME,
        group=f"sns/subscription/{digest(letter.topic)}",
        fingerprint=digest(f"{letter.topic}/subscription"),
        firing=not subscribed,
        labels=mend.labels(_given(labels | {"region": region, "account": account})),
        annotations={
            "summary": f"alerts of {mend.text(letter.topic, MOST_NOTE, 'notes_cut')} no longer come here",
            "description": "Its subscription was ended. Subscribe it again, or take it out of the settings.",
        },
        starts_at=letter.sent_at,
        ends_at=letter.sent_at if subscribed else None,
        sent_once=True,
    )


def _from_stranger(letter: SnsMessage, body: bytes) -> AlertBatch:
    """A topic that asks to be confirmed and is not listed: kept, told, and left alone."""
    mend = Repair()
    region, account, topic = place_of(letter.topic)
    labels = {"alertname": "SnsNotListed", "severity": "warning", "topic": topic, "region": region, "account": account}
    shown = mend.text(letter.topic, MOST_NOTE, "notes_cut")
    message = "It is not under sources.sns.topics, so it was not confirmed and sends nothing"
    alert = Alert(
        source=NAME,
        group=STRANGERS,
        fingerprint=digest(f"{letter.topic}/stranger"),
        firing=True,
        labels=mend.labels(_given(labels)),
        annotations={
            "summary": f"{shown} asks to send alerts here",
            "description": f"{message}. If it is yours: list it, restart, and subscribe it again. The request is kept.",
        },
        starts_at=letter.sent_at,
        sent_once=True,
    )
    kept = (_NOT_LISTED, f"{shown}: {message}")
    return AlertBatch(source=NAME, group=STRANGERS, alerts=(alert,), body=body, keep_reason=kept)


def _alarm_in(message: str) -> _Told | None:
    """The alarm that a message holds; None for anything else."""
    told = _object(message)
    if told is None or not _text(told, "AlarmName") or told.get("NewStateValue") not in _STATES:
        return None
    return told


def _is_object(message: str) -> bool:
    return _object(message) is not None


def _object(message: str) -> _Told | None:
    try:
        return decode(message.encode("utf-8", "surrogatepass"))
    except Rejected:
        return None


def _labels_of(told: _Told, letter: SnsMessage) -> dict[str, str]:
    """What of it services and people go by. A dimension that is called like one of ours gets a longer name."""
    region, account, topic = place_of(letter.topic)
    where = _ALARM.fullmatch(_text(told, "AlarmArn"))
    metric = _metric_of(told)
    labels = {
        "alertname": _text(told, "AlarmName"),
        "state": _text(told, "NewStateValue"),
        "topic": topic,
        "region": where[2] if where else _text(told, "Region") or region,
        "account": _text(told, "AWSAccountId") or (where[3] if where else account),
        "namespace": _text(metric, "Namespace"),
        "metric": _text(metric, "MetricName"),
    }
    for name, value in _dimensions(metric):
        labels.setdefault(f"dimension_{name}" if name in labels else name, value)
    return _given(labels)


def _metric_of(told: _Told) -> _Told:
    """The one metric that it watches; {} for an expression over several, and for an alarm over alarms."""
    trigger = _part(told, "Trigger")
    several = trigger.get("Metrics")
    if not isinstance(several, list):
        return trigger
    found = [_part(_part(one, "MetricStat"), "Metric") for one in several if isinstance(one, dict)]
    found = [one for one in found if one]
    return found[0] if len(found) == 1 else {}


def _dimensions(metric: _Told) -> Iterator[tuple[str, str]]:
    listed = metric.get("Dimensions")
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict):
            name, value = _text(one, "name"), _text(one, "value")
            if name and value:
                yield name, value


def _link_of(arn: str, name: str) -> str:
    """Its page in the console, where that is known for its part of AWS."""
    where = _ALARM.fullmatch(arn)
    console = _CONSOLES.get(where[1]) if where else None
    if where is None or console is None:
        return ""
    link = f"https://{console}/cloudwatch/home?region={where[2]}#alarmsV2:alarm/"
    return link + quote(name, safe="", errors="replace")


def _line(message: str) -> str:
    """The first line with anything on it."""
    return next((line.strip() for line in message.splitlines() if line.strip()), "")[:_MOST_LINE]


def _part(told: _Told, name: str) -> _Told:
    value = told.get(name)
    return value if isinstance(value, dict) else {}


def _text(told: _Told, name: str) -> str:
    value = told.get(name)
    return value if isinstance(value, str) else ""


def _given(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if value}


def _as_label(severity: Severity | None) -> dict[str, str]:
    return {} if severity is None else {"severity": str(severity)}
