"""Prometheus, the only file that knows prometheus-api-client: whether an expression holds now.

Whatever keeps it from saying so is None and never an error: who asks has to decide what not knowing means.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator

from prometheus_api_client.exceptions import PrometheusApiClientException
from prometheus_api_client.prometheus_connect import PrometheusConnect

from bot.integrations.http import one_attempt_session
from bot.integrations.prometheus.settings import MetricsSettings

_logger = logging.getLogger(__name__)


class PrometheusClient:
    """Implements `acting.MetricsStore`. Safe to share between threads: each question has a connection of its own."""

    def __init__(self, section: MetricsSettings) -> None:
        self._url = section.url.rstrip("/")
        token = section.token
        self._headers = {} if token is None else {"Authorization": b"Bearer " + token.get_secret_value().encode()}
        self._patience = int(section.timeout.total_seconds())

    def holds(self, expression: str) -> bool | None:
        """True: some sample and none of them 0. False: no sample, or one of 0. None: no answer, or one of NaN."""
        try:
            told = self._ask(expression)
            values = list(_values(told))
        # Its errors on the way are all OSErrors; a strange answer breaks in whatever reads it first.
        except (OSError, PrometheusApiClientException, ValueError, LookupError, TypeError, AttributeError) as error:
            _logger.warning("Prometheus did not say whether a check holds", extra={"why": type(error).__name__})
            return None
        if 0 in values:
            return False
        return None if any(map(math.isnan, values)) else bool(values)

    def _ask(self, expression: str) -> object:
        with one_attempt_session() as session:
            asked = PrometheusConnect(
                self._url,
                headers=self._headers,
                retry=0,  # The package's own three tries wait longer than anybody here.
                session=session,
                timeout=self._patience,
                method="POST",
            )
            return asked.custom_query(expression, params={"timeout": f"{self._patience}s"})


def _values(result: object) -> Iterator[float]:
    """Of a vector: a row for each sample; of a scalar: [time, value]. https://prometheus.io/docs/prometheus/latest/querying/api/"""
    if not isinstance(result, list):
        raise TypeError("neither a vector nor a scalar")
    if result and not isinstance(result[0], dict):
        yield float(result[1])
        return
    for row in result:
        yield float(row["value"][1])
