"""A real Prometheus and a real Alertmanager, the bot as a process, and what people see of it."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.ground import ground
from tests.e2e.monitoring import why_not
from tests.running import until

_WHY_NOT = why_not()

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT)]


def test_a_rule_fires_and_somebody_is_paged_and_its_end_is_told_everywhere(tmp_path: Path) -> None:
    with ground(tmp_path) as all_:
        all_.start()

        all_.shop.queues["payments"] = 50
        all_.told("opened")
        until(lambda: all_.card_says("PaymentsWaiting", "nobody has it yet"), "the card is there")
        all_.shop.queues["payments"] = 0
        all_.told("resolved")
        until(lambda: all_.card_says("PaymentsWaiting", "(critical) by alertmanager"), "the card says that it is over")

        (incident,) = all_.bot.incidents()
        assert (incident["status"], incident["severity"]) == ("resolved", "critical")
        assert all_.pagerduty.became() == ["opened", "resolved"]
        assert len(all_.cards()) == 1


def test_what_began_to_fire_while_the_bot_was_down_is_paged_when_it_is_back(tmp_path: Path) -> None:
    with ground(tmp_path) as all_:
        all_.start()
        assert all_.bot.stop() == 0
        (alertmanager,) = all_.alertmanagers

        all_.shop.queues["payments"] = 50
        until(lambda: all_.prometheus.firing() == ["PaymentsWaiting"], "the alert fires")
        failed = 'alertmanager_notification_requests_failed_total{integration="webhook"}'
        until(lambda: alertmanager.metric(failed) >= 1, "Alertmanager has found the bot down")
        assert all_.pagerduty.story == []
        all_.bot.start()
        all_.told("opened")

        (incident,) = all_.bot.incidents()
        assert (incident["status"], incident["firing"]) == ("open", 1)
        until(lambda: all_.card_says("PaymentsWaiting", "nobody has it yet"), "the card is there")


def test_two_alertmanagers_of_a_cluster_make_one_incident_and_one_page(tmp_path: Path) -> None:
    with ground(tmp_path, cluster=True) as all_:
        one, other = all_.alertmanagers
        all_.start()
        until(lambda: one.peers() == other.peers() == 2, "the two know each other")

        all_.shop.queues["payments"] = 50
        copies = 'vakhta_webhooks_total{code="duplicate",source="alertmanager"}'
        until(lambda: all_.bot.metric(copies) >= 1, "the second one's copy has come")
        all_.told("opened")

        (incident,) = all_.bot.incidents()
        assert incident["firing"] == 1
        assert all_.pagerduty.became() == ["opened"]
        assert len(all_.bot.incident(incident["id"])["alerts"]) == 1


def test_alertmanagers_own_page_and_the_bots_are_one_alert_at_the_pager(tmp_path: Path) -> None:
    with ground(tmp_path, own_pager=True) as all_:
        all_.start()

        all_.shop.queues["payments"] = 50
        all_.told("opened")
        all_.told("folded")

        (incident,) = all_.bot.incidents()
        senders = {told.event.get("client") for told in all_.pagerduty.story}
        assert len(senders) == 2
        assert {told.key for told in all_.pagerduty.story} == {hashlib.sha256(incident["key"].encode()).hexdigest()}
        assert len(all_.pagerduty.alerts) == 1


def test_an_ack_in_slack_reaches_pagerduty_and_an_ack_in_pagerduty_reaches_slack(tmp_path: Path) -> None:
    with ground(tmp_path) as all_:
        all_.start()
        all_.shop.queues.update(payments=50, parcels=50)
        all_.told("opened", 2)
        until(lambda: len(all_.cards()) == 2, "both cards are there")

        assert all_.press("Acknowledge", "PaymentsWaiting") == 200
        all_.told("acknowledged")
        parcels = next(alert for alert in all_.pagerduty.alerts if "ParcelsWaiting" in alert.summary)
        webhook = all_.pagerduty.webhook("incident.acknowledged", parcels.key)
        assert all_.pagerduty.post_to(f"{all_.bot.url}/in/pagerduty", webhook) == 202

        for name in ("PaymentsWaiting", "ParcelsWaiting"):
            until(partial(all_.card_says, name, "Ana has it"), f"the card of {name} says so")
        until(lambda: len(all_.slack.messages) == 4, "both threads tell it")
        assert {row["status"] for row in all_.bot.incidents()} == {"acknowledged"}
        assert all_.pagerduty.became().count("acknowledged") == 1
