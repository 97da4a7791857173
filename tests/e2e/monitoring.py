"""Debian's Prometheus and Alertmanager on loopback, hurried to seconds, and something for Prometheus to watch."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.fakes.calls import Answer, Call
from tests.fakes.pagerduty import ROUTING_KEY, FakePagerDuty
from tests.fakes.server import StrictServer
from tests.running import TOKEN, Program, Vakhta, answers, free_port

_NEEDED = {"prometheus": "prometheus", "prometheus-alertmanager": "prometheus-alertmanager"}


def why_not() -> str:
    """What is missing, "" when nothing is."""
    missing = [f"{name} (Debian package {package})" for name, package in _NEEDED.items() if not shutil.which(name)]
    return f"not installed: {', '.join(missing)}" if missing else ""


class Shop(StrictServer):
    """Something to watch: how many orders wait in each of its queues."""

    def __init__(self) -> None:
        super().__init__()
        self.queues = {"payments": 0, "parcels": 0}

    def answer(self, call: Call) -> Answer:
        if call.path != "/metrics":
            self.fault(f"unexpected {call.verb} {call.path}")
            return Answer(status=404)
        lines = [f'shop_queue{{queue="{name}"}} {length}\n' for name, length in self.queues.items()]
        return Answer(body="".join(lines).encode(), headers={"Content-Type": "text/plain; version=0.0.4"})


class Alertmanager(Program):
    """One Alertmanager that sends to the bot; with `pager` also to PagerDuty by itself, as a fallback route would.
    Without a bot it sends to nobody.

    `cluster`: the ports at which it and its peers gossip, its own one first. None waits for the others before it
    sends, so that each sends every alert.
    """

    def __init__(
        self, place: Path, bot: Vakhta | None, *, cluster: Sequence[int] = (), pager: FakePagerDuty | None = None
    ) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        name = f"alertmanager-{cluster[0]}" if cluster else "alertmanager"
        config = place / f"{name}.yml"
        config.write_text(json.dumps(_routing(bot, pager)))
        super().__init__(
            [
                "prometheus-alertmanager",
                f"--config.file={config}",
                f"--storage.path={place / name}",
                f"--web.listen-address={self.address}",
                *_gossip(cluster),
            ],
            log=place / f"{name}.log",
            ready=lambda: answers(f"http://{self.address}/-/ready"),
        )

    def peers(self) -> int:
        """How many there are in the cluster, this one included."""
        return len(_get(f"http://{self.address}/api/v2/status")["cluster"].get("peers", []))

    def metric(self, start: str) -> float:
        """The sum of the series whose line begins so."""
        with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(start))


class Prometheus(Program):
    """Watches the shop; each queue of more than ten fires an alert of its own name."""

    def __init__(self, place: Path, shop: Shop, alertmanagers: Sequence[Alertmanager]) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        config, rules = place / "prometheus.yml", place / "rules.yml"
        rules.write_text(json.dumps(_rules(shop)))
        config.write_text(json.dumps(_watching(shop, rules, [one.address for one in alertmanagers])))
        super().__init__(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={place / 'prometheus'}",
                f"--web.listen-address={self.address}",
                "--rules.alert.resend-delay=1s",
            ],
            log=place / "prometheus.log",
            ready=lambda: answers(f"http://{self.address}/-/ready"),
        )

    def firing(self) -> list[str]:
        """Names of the alerts that fire, by what Prometheus says itself."""
        alerts = _get(f"http://{self.address}/api/v1/alerts")["data"]["alerts"]
        return [alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"]


def _gossip(cluster: Sequence[int]) -> list[str]:
    if not cluster:
        return ["--cluster.listen-address="]
    own, *others = cluster
    peers = [f"--cluster.peer=127.0.0.1:{port}" for port in others]
    hurried = ["--cluster.gossip-interval=20ms", "--cluster.peer-timeout=1ms", "--cluster.reconnect-interval=200ms"]
    return [f"--cluster.listen-address=127.0.0.1:{own}", *peers, *hurried]


def _routing(bot: Vakhta | None, pager: FakePagerDuty | None) -> dict[str, object]:
    if bot is None:
        return {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}
    webhook = {
        "url": f"{bot.url}/alerts/alertmanager",
        "http_config": {"authorization": {"type": "Bearer", "credentials": TOKEN}},
        "send_resolved": True,
        "max_alerts": 0,
    }
    receiver: dict[str, object] = {"name": "vakhta", "webhook_configs": [webhook]}
    if pager is not None:
        page = {"routing_key": ROUTING_KEY, "url": f"{pager.url}/v2/enqueue", "send_resolved": True}
        receiver["pagerduty_configs"] = [page]
    route = {
        "receiver": "vakhta",
        "group_by": ["alertname", "queue"],
        "group_wait": "100ms",
        "group_interval": "500ms",
        "repeat_interval": "1h",
    }
    return {"route": route, "receivers": [receiver]}


def _rules(shop: Shop) -> dict[str, object]:
    rules = [
        {
            "alert": f"{name.capitalize()}Waiting",
            "expr": f'shop_queue{{queue="{name}"}} > 10',
            "labels": {"severity": "critical", "service": "shop"},
            "annotations": {"summary": "{{ $value }} orders wait"},
        }
        for name in shop.queues
    ]
    return {"groups": [{"name": "shop", "rules": rules}]}


def _watching(shop: Shop, rules: Path, alertmanagers: Sequence[str]) -> dict[str, object]:
    return {
        "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms", "evaluation_interval": "200ms"},
        "rule_files": [str(rules)],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": list(alertmanagers)}]}]},
        "scrape_configs": [{"job_name": "shop", "static_configs": [{"targets": [f"127.0.0.1:{shop.port}"]}]}],
    }


def _get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
    return found
