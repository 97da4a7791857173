"""Builds the clients that actions may use: of Alertmanager, Prometheus, clusters, Argo CD and Helm."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache, partial
from importlib import import_module
from typing import Any, TypeVar, cast

from bot.alerts.classification import service_of
from bot.app.build import build_catalog
from bot.app.build_backups import build_backups
from bot.app.service_sites import ServiceSites
from bot.config.settings import Settings
from bot.core.action import MetricsStore, Tools
from bot.core.alert_states import AlertStates
from bot.core.backup import BackupRecords
from bot.core.silences import Silences
from bot.core.site import ServiceTargets


def build_tools(
    settings: Settings,
    now: Callable[[], datetime],
    *,
    records: BackupRecords | None = None,
    deferred: bool = False,
) -> Tools:
    """Builds the clients that actions may use. One without a section is absent, and its SDK is not imported.

    `records`: the bot's own rows about backups; without them there are no backups. `deferred`: each client is built,
    and its SDK imported, when it is first used. The engines of backups always are.
    """
    section = settings.sources.alertmanager
    build: Callable[[Callable[[], _Client]], _Client] = _deferred if deferred else _at_once
    return Tools(
        now=now,
        silences=None if section is None or section.api_url is None else build(partial(_build_silences, settings)),
        metrics=None if settings.metrics is None else build(partial(_build_metrics, settings)),
        targets=build(partial(_build_targets, settings)) if settings.clusters else None,
        backups=None if records is None else build_backups(settings, records, now),
    )


def build_alert_states(settings: Settings) -> AlertStates | None:
    """Builds the client that asks Alertmanager about alerts; None without its address."""
    section = settings.sources.alertmanager
    if section is None or section.api_url is None:
        return None
    return cast("AlertStates", _build_silences(settings))


def _build_silences(settings: Settings) -> Silences:
    made = import_module("bot.integrations.alertmanager.client").AlertmanagerClient
    silences: Silences = made(settings.sources.alertmanager, partial(service_of, catalog=build_catalog(settings)))
    return silences


def _build_metrics(settings: Settings) -> MetricsStore:
    metrics: MetricsStore = import_module("bot.integrations.prometheus.client").PrometheusClient(settings.metrics)
    return metrics


def _build_targets(settings: Settings) -> ServiceTargets:
    asked = {name: one.argocd for name, one in settings.clusters.items() if one.argocd is not None}
    argocd, helm = import_module("bot.integrations.argocd.client"), import_module("bot.integrations.helm.client")
    argocds = {name: argocd.ArgoCdClient(one) for name, one in asked.items() if one.url is not None}
    helms = {name: helm.HelmClient(one) for name, one in settings.clusters.items() if one.helm is not None}
    return ServiceSites(settings, import_module("bot.integrations.kubernetes.client").KubernetesClient, argocds, helms)


_Client = TypeVar("_Client")


def _at_once(build: Callable[[], _Client]) -> _Client:
    return build()


def _deferred(build: Callable[[], _Client]) -> _Client:
    return cast("_Client", _Deferred(build))


class _Deferred:
    """Stands for a client, which is built when something of it is first used."""

    def __init__(self, build: Callable[[], object]) -> None:
        self._built = cache(build)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._built(), name)
