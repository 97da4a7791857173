"""services: the catalog in a chat, one service in full, and alerts that no service owns, with settings to paste."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot.alerts.classification import AlertRules
from bot.alerts.unowned import settings_lines, unowned
from bot.config.settings import read_settings
from bot.core.catalog import Catalog, Service, Team
from bot.core.message import Contact
from bot.notifications.card import CardSettings
from tests.house import ACCOUNTS, ANA, NOON, SEVERITIES, House, alert

_CATALOG = Catalog(
    services=(
        Service(
            name="prod/shop",
            match={"service": "shop"},
            owner="web",
            environment="production",
            tier=1,
            runbooks=("https://wiki.example.com/shop", "the red folder"),
            links={"Traces": "https://traces.example.com/shop"},
            depends_on=("prod/db",),
        ),
        Service(name="prod/db", match={"service": "db"}, owner="data", depends_on=("prod/disk",)),
        Service(name="prod/disk", match={"service": "disk"}),
        Service(name="prod/platform"),
    ),
    teams=(Team(name="web", members=("ana",)),),
    default="prod/platform",
)


@pytest.fixture
def house(store_url: str) -> Iterator[House]:
    cards = CardSettings(
        public_url="https://vakhta.example.com",
        names={"ana": "Ana", "bo": "Bo"},
        catalog=_CATALOG,
        on_call=lambda service, _: (Contact(id="bo", name="Bo"),) if service == "prod/shop" else (),
    )
    made = House(store_url, rules=AlertRules(severities=SEVERITIES, catalog=_CATALOG), cards=cards)
    yield made
    made.close()


def fires(house: House, **labels: str) -> None:
    house.hears(alert(group=repr(labels), fingerprint=repr(labels)[:60], labels=labels))


def test_the_list_has_owner_on_call_and_open_incidents_and_what_is_in_trouble_first(house: House) -> None:
    fires(house, service="db")

    assert house.says("services").text.splitlines() == [
        "prod/db: owner data, on call nobody, open: #1",
        "prod/shop: owner web, on call Bo",
        "prod/disk: owner nobody, on call nobody",
        "prod/platform: owner nobody, on call nobody",
    ]


def test_one_service_in_full_with_the_incidents_of_what_it_depends_on(house: House) -> None:
    fires(house, service="disk")
    fires(house, service="disk", device="sdb")

    assert house.says("services prod/shop").text.splitlines() == [
        "prod/shop",
        "Owner: web (Ana)",
        "On call: Bo",
        "Open incidents: none",
        "Environment: production",
        "Tier: 1",
        "Alerts with: service=shop",
        "Depends on: prod/db",
        "Runbook: https://wiki.example.com/shop",
        "Runbook: the red folder",
        "Traces: https://traces.example.com/shop",
        "prod/disk, which prod/db depends on, has 2 incidents, the worst is 1, open",
    ]
    assert "Needed by: prod/shop" in house.says("services prod/db").text
    assert house.says("services prod/platform").text.startswith("prod/platform (of alerts that match no service)")


def test_a_service_that_there_is_not_is_refused(house: House) -> None:
    reply = house.says("services prod/nothing")

    assert not reply.ok
    assert "no service prod/nothing. Nothing was done." in reply.text


def test_show_tells_which_dependency_has_an_incident(house: House) -> None:
    fires(house, service="db")
    fires(house, service="shop")

    shown = house.says("show 2").text

    assert "prod/db, which prod/shop depends on, has incident 1 open" in shown
    assert "owner: web" in shown
    assert "Runbook: https://wiki.example.com/shop" in shown
    assert "Traces: https://traces.example.com/shop" in shown
    assert "which" not in house.says("show 1").text


def test_an_incident_of_a_service_of_my_team_is_mine(house: House) -> None:
    fires(house, service="shop")
    fires(house, service="disk")
    house.on_call = {"prod/shop": ["bo"]}
    house.settle(ACCOUNTS)

    mine = house.says("home", by=ANA).text

    assert "Your unresolved incidents: 1" in mine
    assert "Other unresolved incidents: 1" in mine
    assert "prod/shop (web): Bo" in mine


def test_alerts_that_no_service_owns_are_listed_newest_first_with_settings_that_own_them(
    house: House, tmp_path: Path
) -> None:
    fires(house, namespace="pay", app="api", pod="api-1")
    fires(house, namespace="pay", app="api", pod="api-2")
    fires(house, service="shop")
    house.clock.pass_by(minutes=5)
    house.hears(alert("Latency", group="q", labels={"queue": "mails"}, starts_at=house.clock()))

    heading, *lines = house.says("services unowned").text.splitlines()

    assert heading.endswith("These settings would own 2 of 2 sorts:")
    path = tmp_path / "vakhta.yaml"
    path.write_text("\n".join(lines))
    settings, _ = read_settings(path, {})
    assert [(one.name, one.match) for one in settings.services] == [
        ("mails", {"queue": "mails"}),
        ("pay/api", {"namespace": "pay", "app": "api"}),
    ]
    assert lines[1] == f"# 1 alert, the last began {house.clock():%Y-%m-%d %H:%M} UTC: Latency"
    assert lines[4].startswith("# 2 alerts, ")


def test_where_every_alert_has_a_service_there_is_nothing_to_list(house: House) -> None:
    fires(house, service="shop")

    assert house.says("services unowned").text == "Every alert that came lately belongs to a service of the settings."


_TEXT = st.text(max_size=30)
_LABELS = st.dictionaries(st.sampled_from(["service", "app", "namespace", "job", "alertname", "x"]), _TEXT, max_size=5)


@given(st.lists(_LABELS, max_size=5))
def test_whatever_the_labels_are_the_settings_can_be_read_and_own_what_they_were_made_of(
    heard: list[dict[str, str]],
) -> None:
    groups = unowned([(labels, NOON) for labels in heard], Catalog())

    read = yaml.safe_load("\n".join(settings_lines(groups)))["services"] or []

    assert [one["match"] for one in read] == [dict(one.match) for one in groups]
    assert all(any(one["match"].items() <= labels.items() for labels in heard) for one in read)
    assert "${" not in "".join(map(str, read))
    assert len({one["name"] for one in read}) == len(read)


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        (
            {"namespace": "pay", "job": "kube-state-metrics", "service": "ksm", "deployment": "api", "pod": "ksm-1"},
            {"namespace": "pay", "deployment": "api"},
        ),
        ({"namespace": "pay", "pod": "api-1"}, {"namespace": "pay"}),
        ({"alertname": "Backup", "severity": "warning"}, {"alertname": "Backup"}),
        ({"app": "${env:TOKEN}", "cluster": "eu"}, {"cluster": "eu"}),
    ],
)
def test_it_is_owned_by_what_says_which_program_it_is_and_never_by_the_exporter(
    labels: dict[str, str], match: dict[str, str]
) -> None:
    (group,) = unowned([(labels, NOON)], Catalog())

    assert group.match == match
