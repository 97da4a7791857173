"""Prometheus, the only file that knows prometheus-api-client: whether an expression holds now.

Any failure is None and never an error: the caller decides what an unknown result means.
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
    """Implements `bot.core.action.MetricsStore`. Thread-safe: each query has a connection of its own."""

    def __init__(self, section: MetricsSettings) -> None:
        self._url = section.url.rstrip("/")
        token = section.token
        self._headers = {} if token is None else {"Authorization": b"Bearer " + token.get_secret_value().encode()}
        self._timeout_s = int(section.timeout.total_seconds())

    def holds(self, expression: str) -> bool | None:
        """True: samples, and none of them 0. False: no sample, or a 0. None: no answer, or a NaN."""
        try:
            values = list(_values(self._query(expression)))
        # Network errors are all OSErrors; an unexpected answer fails wherever it is read first.
        except (OSError, PrometheusApiClientException, ValueError, LookupError, TypeError, AttributeError) as error:
            _logger.warning("Prometheus did not answer whether a check holds", extra={"why": type(error).__name__})
            return None
        if 0 in values:
            return False
        return None if any(map(math.isnan, values)) else bool(values)

    def _query(self, expression: str) -> object:
        with one_attempt_session() as session:
            client = PrometheusConnect(
                self._url,
                headers=self._headers,
                retry=0,  # The package's own three tries take longer than any caller waits.
                session=session,
                timeout=self._timeout_s,
                method="POST",
            )
            return client.custom_query(expression, params={"timeout": f"{self._timeout_s}s"})


def _values(result: object) -> Iterator[float]:
    """A vector has a row for each sample; a scalar is [time, value]. https://prometheus.io/docs/prometheus/latest/querying/api/"""
    if not isinstance(result, list):
        raise TypeError("neither a vector nor a scalar")
    if result and not isinstance(result[0], dict):
        yield float(result[1])
        return
    for row in result:
        yield float(row["value"][1])
