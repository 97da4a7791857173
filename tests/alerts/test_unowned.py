"""Alerts that no service owns are counted once each, and the bot's own are not among them."""

from __future__ import annotations

from msgspec.structs import replace

from bot.alerts.classification import AlertRules
from bot.alerts.internal import OWN
from bot.core.catalog import Catalog, Service
from tests.house import SEVERITIES, House, alert


def test_each_new_alert_that_no_service_owns_is_counted_once_and_goes_to_the_default(store_url: str) -> None:
    counted: list[None] = []
    services = (Service(name="shop", match={"app": "shop"}), Service(name="platform"))
    known = Catalog(services=services, default="platform")
    rules = AlertRules(severities=SEVERITIES, catalog=known, on_unowned=lambda: counted.append(None))
    house = House(store_url, rules=rules)
    try:
        stray = alert("Stray", group="stray", fingerprint="s", labels={"app": "other"})
        house.hears(stray)
        house.hears(stray)  # a repeat
        house.hears(alert("Owned", group="owned", fingerprint="o", labels={"app": "shop"}))
        house.hears(alert("Named", group="named", fingerprint="n", labels={"service": "shop"}))
        house.hears(replace(alert("Own", group="vakhta/x", fingerprint="v"), source=OWN))
        with house.store.begin() as tx:
            found = [tx.incident(number) for number in (1, 2, 3)]
    finally:
        house.close()

    assert len(counted) == 1
    assert [one.service for one in found if one] == ["platform", "shop", "shop"]
