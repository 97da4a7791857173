"""The name, sentence, description and links of an alert, whoever wrote it."""

from __future__ import annotations

import pytest

from bot.lib.open_links import can_open
from bot.notifications.alert_texts import (
    description_of,
    first_sentence,
    links_of,
    name_of,
    summary_of,
    unsaid,
    value_of,
)

NAMES = [
    ({"alertname": "Down", "rulename": "r"}, "Down"),
    ({"rulename": "Disk full", "title": "t"}, "Disk full"),
    ({"title": "Checkout is slow", "name": "n"}, "Checkout is slow"),
    ({"name": "probe-eu"}, "probe-eu"),
    ({"team": "core"}, "cluster=eu, tenant=acme"),
]


@pytest.mark.parametrize(("labels", "name"), NAMES)
def test_an_alert_without_a_name_is_called_by_what_it_has(labels: dict[str, str], name: str) -> None:
    assert name_of(labels, '{}/{a="b"}:{cluster="eu", tenant="acme"}') == name


def test_an_alert_of_which_nothing_is_known_still_has_a_name() -> None:
    assert name_of({}) == "(no alertname)"
    assert name_of({"alertname": "  "}, "{}:{}") == "(no alertname)"
    assert name_of({"severity": "info", "team": "core"}, "{}:{}") == "team=core"


def test_a_rule_of_grafana_that_could_not_be_evaluated_is_called_by_its_own_name() -> None:
    labels = {"alertname": "DatasourceNoData", "rulename": "Checkout is slow"}

    assert name_of(labels) == "Checkout is slow, no data (DatasourceNoData)"
    assert name_of({"alertname": "DatasourceNoData"}) == "DatasourceNoData"


def test_what_a_name_has_said_is_not_said_again() -> None:
    labels = {"name": "probe", "host": "db-1", "team": "core"}

    assert unsaid(labels, "probe") == {"host": "db-1", "team": "core"}
    assert unsaid({"host": "db-1", "team": "core"}, "host=db-1") == {"team": "core"}
    assert unsaid(labels | {"alertname": "probe"}, "probe") == labels | {"alertname": "probe"}


def test_of_grafanas_list_of_values_each_query_is_said_with_its_value() -> None:
    listed = "[ var='B' labels={pod=a, job=b} value=93.4 ], [ var='C' labels={} value=1 ]"

    assert value_of({"__value_string__": listed}) == "B=93.4, C=1"


def test_without_a_summary_the_message_or_the_first_sentence_of_the_description_is_taken() -> None:
    assert summary_of({"summary": "S.", "message": "M."}) == "S."
    assert summary_of({"message": "M\n is  here."}) == "M is here."
    assert summary_of({"message": "M is here. More of M."}) == "M is here."
    assert summary_of({"Error": "connection refused"}) == "connection refused"
    assert summary_of({"description": "Disk at 97.2% on /var. It fills in 3 h."}) == "Disk at 97.2% on /var."
    assert summary_of({}) == ""


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("See e.g. the log. More.", "See e.g. the log."),
        ("Version 1.2.3 failed. Roll back.", "Version 1.2.3 failed."),
        ("No end", "No end"),
        ("It failed with code 2. Again.", "It failed with code 2."),
        ("No full stop\nin this paragraph\n\nThe next one.", "No full stop in this paragraph"),
        ("Really? Yes.", "Really?"),
    ],
)
def test_a_sentence_ends_where_a_reader_ends_it(text: str, sentence: str) -> None:
    assert first_sentence(text) == sentence


def test_a_description_is_not_said_twice() -> None:
    assert description_of({"summary": "Pod loops", "description": "checkout restarts"}, "X: Pod loops") == (
        "checkout restarts"
    )
    assert description_of({"message": "Pod loops"}, "X: Pod loops") == ""
    assert description_of({"summary": "Pod loops"}) == "Pod loops"


def test_links_are_shown_only_where_their_reader_can_open_them() -> None:
    notes = {
        "runbook_url": "https://runbooks.example.com/kubepodcrashlooping",
        "dashboard": "http://grafana.monitoring.svc:3000/d/x",
        "dashboard_url": "https://grafana.example.com/d/x",
    }

    assert links_of({}, notes, "http://prometheus-k8s-0:9090/graph?g0.expr=up") == {
        "Runbook": "https://runbooks.example.com/kubepodcrashlooping",
        "Dashboard": "https://grafana.example.com/d/x",
    }


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        ("https://prom.example.com/graph?g0.expr=up", "Query"),
        ("https://grafana.example.com/explore?left=x", "Query"),
        ("https://grafana.example.com/alerting/grafana/abc/view?orgId=1", "Rule"),
        ("https://vm.example.com/vmalert/alert?group_id=1&alert_id=2", "Rule"),
        ("https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#alarmsV2:alarm/Disk", "Alarm"),
    ],
)
def test_an_alerts_own_page_is_named_for_what_it_is(page: str, kind: str) -> None:
    assert links_of({}, {}, page) == {kind: page}


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:9090/", "http://127.0.0.1/", "http://[::1]/", "http://prometheus:9090/", "http://a.b.svc/",
        "http://a.svc.cluster.local./", "http://169.254.169.254/", "http://0.0.0.0/", "javascript:alert(1)", "",
        "https://bank.example@evil.example/", "http://[broken", "https://x.example/\u202e", "http://a.example:x/",
    ],
)  # fmt: skip
def test_a_link_to_this_machine_or_into_the_cluster_cannot_be_opened(url: str) -> None:
    assert not can_open(url)


def test_a_link_to_a_name_or_to_an_address_of_the_company_can_be_opened() -> None:
    assert can_open("https://grafana.example.com:3000/d/1?x=%20")
    assert can_open("http://10.2.0.7:3000/")


def test_the_value_is_what_the_sender_wrote() -> None:
    assert value_of({"value": "97.2 %"}) == "97.2 %"
    assert value_of({"__value_string__": "[ var='A' value=3 ]"}) == "[ var='A' value=3 ]"
    assert value_of({}) == ""
