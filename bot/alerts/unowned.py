"""Alerts that no service of the catalog owns, grouped by the labels with which a service would own them. Pure.

The trap: the labels are a sender's, and what is made of them is pasted into the settings. A label is left out whose
value is not plain text there: line ends, or a reference to a secret.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from bot.core.catalog import Catalog, UnownedAlerts
from bot.notifications.alert_texts import name_of
from bot.notifications.places import own_service, placed_labels

#: What says which program an alert is about, from the best to the worst.
_PROGRAMS = (
    "service", "app", "app_kubernetes_io_name", "application", "component", "deployment", "statefulset", "daemonset",
    "cronjob", "queue", "database", "job",
)  # fmt: skip
_AREAS = ("team", "namespace", "cluster", "environment", "instance", "alertname")
_LONGEST, _NAMED = 120, 3


def unowned(heard: Iterable[tuple[Mapping[str, str], datetime]], catalog: Catalog) -> list[UnownedAlerts]:
    """`heard`: labels of alerts with their start, newest first. Those without any label that could own them are left
    out.
    """
    found: dict[tuple[tuple[str, str], ...], UnownedAlerts] = {}
    taken = {one.name for one in catalog.services}
    for labels, at in heard:
        match = {} if catalog.owned(labels, own_service(labels)) else owning_labels(labels)
        if not match:
            continue
        key, alert = tuple(match.items()), name_of(labels)
        known = found.get(key)
        if known is None:
            name = _free("/".join(_word(value) for value in match.values()), taken)
            taken.add(name)
            found[key] = UnownedAlerts(match=match, name=name, count=1, last=at, alerts=(alert,))
            continue
        alerts = known.alerts if alert in known.alerts or len(known.alerts) >= _NAMED else (*known.alerts, alert)
        found[key] = replace(known, count=known.count + 1, last=max(known.last, at), alerts=alerts)
    return sorted(found.values(), key=lambda one: one.last, reverse=True)


def owning_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Its namespace and what says which program it is; where nothing does, the narrowest thing that says where."""
    placed = placed_labels(labels)
    usable = {
        name: value
        for name, value in labels.items()
        if value.strip() and value.isprintable() and "${" not in value and len(value) <= _LONGEST
    }
    # A label of the exporter says nothing about what it counted.
    sure = {name for name in usable if placed.get(name) == usable[name] or name not in {*_PROGRAMS[-1:], "service"}}
    if own_service(labels) != labels.get("service"):
        sure.discard("service")
    program = next((name for name in _PROGRAMS if name in sure), None)
    names = [*(["namespace"] if "namespace" in sure else []), *([program] if program else [])]
    names = names or [name for name in _AREAS if name in usable][:1]
    return {name: usable[name] for name in names}


def settings_lines(groups: Sequence[UnownedAlerts]) -> Iterator[str]:
    """As YAML for the settings: an entry of `services` for each."""
    yield "services:"
    for one in groups:
        alerts = "1 alert" if one.count == 1 else f"{one.count} alerts"
        named = ", ".join(" ".join(alert.split())[:_LONGEST] for alert in one.alerts)
        told = "".join(letter for letter in named if letter.isprintable())
        yield f"# {alerts}, the last began {one.last:%Y-%m-%d %H:%M} UTC: {told}"
        yield f"- name: {_quoted(one.name)}"
        pairs = ", ".join(f"{_quoted(name)}: {_quoted(value)}" for name, value in one.match.items())
        yield f"  match: {{{pairs}}}"


def _quoted(text: str) -> str:
    """JSON's strings are YAML's, too."""
    return json.dumps(text, ensure_ascii=False)


def _word(value: str) -> str:
    """As a command can name it."""
    return (
        "".join(letter if letter.isalnum() or letter in "-._" else "-" for letter in value.lower()).strip("-._") or "x"
    )


def _free(name: str, taken: set[str]) -> str:
    return next(one for one in (name, *(f"{name}-{n}" for n in range(2, len(taken) + 3))) if one not in taken)
