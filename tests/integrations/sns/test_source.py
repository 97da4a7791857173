"""What the source makes of each message of SNS, and that the order of an alarm's changes does not matter."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.alert import Alert, AlertBatch, Severity
from bot.core.incident import Status
from bot.integrations.sns.source import UNLISTED, SnsSource
from tests.alerts.test_episodes import Ledger
from tests.fakes.sns import ACCOUNT, REGION, STRANGER, TOPIC, alarm, unsigned
from tests.house import NOON

MAP = {"alarms/api-*": Severity.CRITICAL, "pages/*": Severity.ERROR, "*/fyi": Severity.INFO}


def read(kind: str = "Notification", *, at: datetime = NOON, **changed: str | None) -> AlertBatch:
    body = json.dumps({**unsigned(kind, at=at, **changed), "Signature": "AAAA"}).encode()
    return SnsSource(lambda: NOON, topics=[TOPIC], severity=MAP).read({}, body)


def alert_of(**changed: Any) -> Alert:
    (alert,) = read(**changed).alerts
    return alert


def of_alarm(state: str = "ALARM", *, at: datetime = NOON, **changed: Any) -> Alert:
    return alert_of(Message=alarm(state, at=at, **changed))


def test_an_alarm_has_the_labels_that_people_go_by() -> None:
    alert = of_alarm()

    assert alert.labels == {
        "alertname": "api-5xx",
        "state": "ALARM",
        "topic": "alarms",
        "region": REGION,
        "account": ACCOUNT,
        "namespace": "AWS/ApiGateway",
        "metric": "5XXError",
        "ApiName": "shop",
        "severity": "critical",
    }
    assert alert.annotations["summary"].startswith("Threshold Crossed")
    assert alert.annotations["description"] == "too many errors"
    assert (alert.firing, alert.starts_at, alert.ends_at) == (True, NOON, None)


def test_an_ok_ends_at_its_own_time_and_is_of_the_same_alert() -> None:
    fired, ended = of_alarm(), of_alarm("OK", at=NOON + timedelta(minutes=3))

    assert (ended.firing, ended.ends_at) == (False, NOON + timedelta(minutes=3))
    assert (ended.fingerprint, ended.group) == (fired.fingerprint, fired.group)


def test_alarms_of_one_name_in_two_regions_are_two() -> None:
    elsewhere = f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:api-5xx"

    here, there = of_alarm(), of_alarm(AlarmArn=elsewhere)

    assert here.fingerprint != there.fingerprint
    assert here.group != there.group
    assert there.labels["region"] == "us-east-1"


def test_an_alarm_without_an_arn_is_known_by_account_region_and_name() -> None:
    first, other = of_alarm(AlarmArn=None), of_alarm(AlarmArn=None, AWSAccountId="210987654321")

    assert first.fingerprint == of_alarm("OK", AlarmArn=None).fingerprint != other.fingerprint
    assert first.labels["region"] == "EU (Frankfurt)"
    assert first.link == ""


def test_data_that_is_missing_fires_as_a_warning_at_most_and_ends_nothing() -> None:
    unsure = of_alarm("INSUFFICIENT_DATA")

    assert unsure.firing
    assert unsure.labels["severity"] == "warning"
    assert unsure.fingerprint == of_alarm().fingerprint
    assert of_alarm("INSUFFICIENT_DATA", name="fyi").labels["severity"] == "info"


@pytest.mark.parametrize(
    ("topic", "name", "severity"),
    [("alarms", "api-x", "critical"), ("pages", "api-x", "error"), ("alarms", "db", None), ("other", "fyi", "info")],
)
def test_the_first_glob_that_fits_topic_and_alarm_tells_the_severity(
    topic: str, name: str, severity: str | None
) -> None:
    alert = alert_of(Message=alarm(at=NOON, name=name), TopicArn=TOPIC.replace("alarms", topic))

    assert alert.labels.get("severity") == severity


def test_a_dimension_that_is_called_like_a_label_of_ours_gets_a_longer_name() -> None:
    dimensions = [{"name": "region", "value": "mars"}, {"name": "service", "value": "api"}, {"name": 5}, "x", {}]

    labels = of_alarm(Trigger={"Namespace": "Own", "Dimensions": dimensions}).labels

    assert labels["region"] == REGION
    assert labels["dimension_region"] == "mars"
    assert labels["service"] == "api"


def test_an_expression_over_one_metric_is_about_that_metric() -> None:
    metric = {"Namespace": "AWS/SQS", "MetricName": "Age", "Dimensions": [{"name": "QueueName", "value": "q"}]}
    one = {"Metrics": [{"Id": "e1", "Expression": "m1*2"}, {"Id": "m1", "MetricStat": {"Metric": metric}}]}
    two = {"Metrics": [*one["Metrics"], {"Id": "m2", "MetricStat": {"Metric": {**metric, "MetricName": "Sent"}}}]}

    about_one, about_two = of_alarm(Trigger=one).labels, of_alarm(Trigger=two).labels

    assert (about_one["metric"], about_one["QueueName"]) == ("Age", "q")
    assert "metric" not in about_two
    assert "QueueName" not in about_two


@pytest.mark.parametrize(
    "trigger", [None, 5, [], {"Metrics": 5}, {"Metrics": [5, {"MetricStat": 5}]}, {"Dimensions": 5}]
)
def test_an_alarm_whose_metric_is_not_understood_fires_all_the_same(trigger: object) -> None:
    assert of_alarm(Trigger=trigger).labels["alertname"] == "api-5xx"


def test_an_alarm_links_to_its_page_in_the_console() -> None:
    alert = of_alarm(name="a b/#é")

    base = f"https://console.aws.amazon.com/cloudwatch/home?region={REGION}#alarmsV2:alarm/"
    assert alert.link == base + "a%20b%2F%23%C3%A9"


@pytest.mark.parametrize("time", ["yesterday", None, 5, "2099-01-01T00:00:00.000+0000"])
def test_a_time_that_cannot_be_right_is_that_of_the_message_so_that_a_repeat_has_the_same(time: object) -> None:
    message = alarm(at=NOON, StateChangeTime=time)

    told = read(Message=message, at=NOON - timedelta(minutes=2))

    assert told.alerts[0].starts_at == NOON - timedelta(minutes=2)
    assert "time_replaced" in told.repairs


def test_what_is_no_alarm_is_told_in_its_own_words() -> None:
    alert = alert_of(Message="\nBackup failed\nat 3 am", Subject="Nightly backup")

    assert alert.labels["alertname"] == "Nightly backup"
    assert alert.annotations["summary"] == "Backup failed"
    assert "at 3 am" in alert.annotations["description"]
    assert (alert.firing, alert.starts_at) == (True, NOON)


@pytest.mark.parametrize(
    "message",
    [
        json.dumps({"detail-type": "EC2 Instance State-change", "detail": {"state": "stopped"}}),
        json.dumps({"AlarmName": "api", "NewStateValue": "FINE"}),
        json.dumps({"AlarmName": 5, "NewStateValue": "OK"}),
        '{"AlarmName": "api", "NewStateValue": "OK", "NewStateValue": "ALARM"}',
        "[1, 2]",
        "{",
        "",
    ],
)
def test_nothing_is_lost_of_what_is_not_understood(message: str) -> None:
    alert = alert_of(Message=message)

    assert alert.firing
    assert alert.labels["alertname"] == "alarms"
    assert alert.annotations.get("description", "") == message


def test_the_same_message_again_is_the_same_alert_and_another_is_another() -> None:
    first, again = alert_of(MessageId="m-1"), alert_of(MessageId="m-1")
    other, elsewhere = alert_of(MessageId="m-2"), alert_of(MessageId="m-1", TopicArn=STRANGER)

    assert (first.fingerprint, first.starts_at) == (again.fingerprint, again.starts_at)
    assert len({first.fingerprint, other.fingerprint, elsewhere.fingerprint}) == 3
    assert first.group == other.group != elsewhere.group


def test_messages_that_begin_differently_are_incidents_of_their_own_and_json_without_a_subject_is_one() -> None:
    groups = [alert_of(Message=text).group for text in ("disk full", "disk slow", '{"a": 1}', '{"b": 2}')]

    assert len(set(groups)) == 3
    assert groups[2] == groups[3]


def test_a_subscription_that_was_ended_fires_until_it_is_made_again() -> None:
    (gone,) = read("UnsubscribeConfirmation").alerts
    (back,) = read("SubscriptionConfirmation", at=NOON + timedelta(hours=1)).alerts

    assert (gone.firing, back.firing) == (True, False)
    assert gone.fingerprint == back.fingerprint
    assert TOPIC in gone.annotations["summary"]
    assert gone.labels["severity"] == "error"


def test_row_81_a_topic_that_is_not_listed_and_asks_is_kept_and_told() -> None:
    told = read("SubscriptionConfirmation", TopicArn=STRANGER)

    (alert,) = told.alerts
    assert told.keep_reason is not None
    assert told.keep_reason[0] == "topic_not_listed"
    assert (alert.group, alert.firing) == (UNLISTED, True)
    assert STRANGER in alert.annotations["summary"]


def test_the_token_of_a_subscription_is_in_nothing_that_is_shown() -> None:
    for kind in ("SubscriptionConfirmation", "UnsubscribeConfirmation"):
        for topic in (TOPIC, STRANGER):
            told = read(kind, TopicArn=topic, Token="the-token", SubscribeURL="https://x/?Token=the-token")

            assert "the-token" not in repr((told.alerts, told.keep_reason, told.repairs))


Told = tuple[str, datetime]
#: (state, minutes after noon): in the order in which they happened.
LIVES = [
    [("ALARM", 0), ("OK", 2)],
    [("ALARM", 0), ("OK", 2), ("ALARM", 4)],
    [("ALARM", 0), ("OK", 2), ("ALARM", 4), ("OK", 30)],
    [("ALARM", 0), ("INSUFFICIENT_DATA", 9), ("OK", 10)],
    [("INSUFFICIENT_DATA", 0), ("ALARM", 5), ("INSUFFICIENT_DATA", 50)],
]


def left(ledger: Ledger, told: Sequence[Alert], pauses: Sequence[int]) -> tuple[bool, list[tuple[Any, ...]]]:
    """Whether the alarm fires after these were told with so many minutes between, and its incidents."""
    for alert, pause in zip(told, pauses, strict=True):
        ledger.now += timedelta(minutes=pause)
        ledger.commit(AlertBatch(source="sns", group=alert.group, alerts=(alert,)))
    firing = [one for one in ledger.standings.values() if one.firing]
    unresolved = [one for one in ledger.incidents.values() if one.status is not Status.RESOLVED]
    return bool(firing), [(one.key, one.severity, one.firing) for one in unresolved]


@pytest.mark.parametrize("life", LIVES, ids=lambda life: " ".join(state for state, _ in life))
@pytest.mark.parametrize("pause", [0, 1, 7, 20])
def test_changes_in_any_order_and_however_late_end_in_the_state_of_the_last_one(
    life: list[tuple[str, int]], pause: int
) -> None:
    told = [of_alarm(state, at=NOON + timedelta(minutes=minute)) for state, minute in life]
    fires = life[-1][0] != "OK"

    for order in permutations(told):
        firing, unresolved = left(Ledger(), order, [pause] * len(order))

        assert firing == fires
        assert [count for _, _, count in unresolved] == ([1] if fires else [])


@given(
    life=st.lists(st.sampled_from(["ALARM", "OK", "INSUFFICIENT_DATA"]), min_size=1, max_size=5),
    data=st.data(),
)
@settings(max_examples=150)
def test_repeats_late_copies_and_any_order_end_in_the_state_of_the_last_change(
    life: list[str], data: st.DataObject
) -> None:
    told = [of_alarm(state, at=NOON + timedelta(minutes=3 * place)) for place, state in enumerate(life)]
    copies = data.draw(st.lists(st.sampled_from(told), max_size=4))
    order = data.draw(st.permutations([*told, *copies]))
    pauses = data.draw(st.lists(st.integers(0, 40), min_size=len(order), max_size=len(order)))

    firing, unresolved = left(Ledger(), order, pauses)

    assert firing == (life[-1] != "OK")
    assert len(unresolved) == (life[-1] != "OK")
