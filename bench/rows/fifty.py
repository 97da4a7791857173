"""Payloads of 50 distinct alerts against what Alertmanager takes of the same, in alerts a second."""

from __future__ import annotations

from bench.ground import Ground
from bench.rows.one import compare
from bench.table import Line


def measure(ground: Ground) -> list[Line]:
    return compare(ground, alerts=50, grouped=True, what="alerts/s in payloads of 50, 500 groups", least=0.5, aim=1.0)
