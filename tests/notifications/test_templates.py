"""Titles, cards and pages by the templates of the settings."""

from __future__ import annotations

import logging

import pytest

from bot.alerts.classification import AlertRules
from bot.core.catalog import Catalog, Service
from bot.core.message import MessageKind
from bot.lib.sandboxed_template import SandboxedTemplate
from bot.notifications.card import CardSettings
from bot.notifications.templates import CARD, NAMES, PAGE, TITLE, Render, Templates
from tests.house import SEVERITIES, House, alert


def render(text: str) -> Render:
    return SandboxedTemplate(text, names=NAMES).render


TEMPLATES = Templates(
    of_services={("shop", TITLE): render("SHOP {{ labels.pod }}: {{ name }}"), ("shop", PAGE): render("Shop is down")},
    of_sources={
        ("alertmanager", TITLE): render("{{ name }} by {{ source }}"),
        ("alertmanager", CARD): render("Look at {{ labels.pod }}, it is {{ severity }}."),
    },
)
SHOP = Service(name="shop", match={"namespace": "shop"})


@pytest.fixture
def written(store_url: str) -> House:
    rules = AlertRules(severities=SEVERITIES, catalog=Catalog(services=(SHOP,)), templates=TEMPLATES)
    return House(store_url, rules=rules, cards=CardSettings(templates=TEMPLATES))


def test_a_template_of_the_service_comes_before_one_of_the_source(written: House) -> None:
    written.hears(alert("Down", labels={"namespace": "shop", "pod": "cart-1"}))
    written.hears(alert("Slow", group="b", labels={"namespace": "else", "pod": "x"}))
    written.drain()

    assert sorted(one.title for one in written.incidents()) == ["SHOP cart-1: Down", "Slow by alertmanager"]
    first = written.slack.given[0].card.situation
    assert first is not None
    assert first.description == "Look at cart-1, it is critical."
    pages = [one for one in written.pagerduty.given if one.kind is MessageKind.PAGE]
    assert [one.summary for one in pages] == ["Shop is down", "Slow by alertmanager"]
    written.close()


def test_a_template_that_fails_loses_no_alert_and_is_logged_once(
    store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Templates(of_sources={("alertmanager", TITLE): render("{{ 1 / (labels.pod | length) }}")})
    house = House(store_url, rules=AlertRules(severities=SEVERITIES, templates=broken))

    with caplog.at_level(logging.WARNING):
        house.hears(alert("Down"))
        house.hears(alert("Slow", group="b"))

    assert sorted(one.title for one in house.incidents()) == ["Down", "Slow"]
    assert [record.message for record in caplog.records].count("template not used") == 1
    house.close()


def test_a_title_of_values_that_the_alert_does_not_have_is_the_usual_one(store_url: str) -> None:
    titled = Templates(of_sources={("alertmanager", TITLE): render("{{ labels.team }} at {{ labels.rack }}")})
    house = House(store_url, rules=AlertRules(severities=SEVERITIES, templates=titled))

    house.hears(alert("Down"))

    assert house.incident().title == "Down"
    house.close()
