"""Labels to a service of the settings: pure. The first service whose every matched label is equal wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """One entry of `services`."""

    name: str
    match: Mapping[str, str]
    owner: str | None = None


def service_of(labels: Mapping[str, str], services: Sequence[Service]) -> str | None:
    """The service's name; else what the alert's own `service` label says; None when neither tells."""
    for service in services:
        if service.match and all(labels.get(name) == value for name, value in service.match.items()):
            return service.name
    return labels.get("service") or None
