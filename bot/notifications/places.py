"""Where an alert fires, in a few words: its labels that say so, in the order of the settings. Pure.

The trap: most rules of Kubernetes speak of an object and carry the labels of the exporter that counted it. The `pod` of
an alert by node-exporter is the exporter's, and the `instance` of an alert by kube-state-metrics as well. Those labels
are left out where the exporter is known by its `job`, and its own pod where the alert names another object.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

Labels = Mapping[str, str]

#: From the widest place to the narrowest. `incidents.place_order` of the settings replaces it.
PLACE_ORDER = (
    "cluster", "region", "environment", "namespace", "deployment", "statefulset", "daemonset", "replicaset",
    "cronjob", "job_name", "horizontalpodautoscaler", "poddisruptionbudget", "persistentvolumeclaim", "pod",
    "container", "node", "host", "hostname", "instance", "service", "job", "device", "mountpoint", "datname",
    "database", "queue", "topic", "consumergroup", "tenant", "name",
)  # fmt: skip

#: Joined by slashes, as an address; the others follow after a space.
_PATH = ("cluster", "region", "environment", "namespace")
_OBJECTS = (
    "deployment", "statefulset", "daemonset", "replicaset", "cronjob", "job_name", "horizontalpodautoscaler",
    "poddisruptionbudget", "persistentvolumeclaim", "pod",
)  # fmt: skip
#: Without an object, these are what is in the namespace.
_OF_NAMESPACES = ("service", "job")
#: Which process was scraped. Said only where nothing says better what the alert is about.
_SCRAPED = frozenset({"instance", "service", "job", "endpoint"})
_NODE_EXPORTER = re.compile(r"(^|[-_/])(node|windows)[-_]?exporter|^node$|^integrations/(unix|node_exporter)$")
_OBJECT_EXPORTER = re.compile(r"kube-?state-?metrics|^kubelet$|cadvisor|^integrations/kubernetes")
_STATE_METRICS = re.compile(r"kube-?state-?metrics")
_OF_A_POD = frozenset({"namespace", "pod", "container", "service", "endpoint", "job"})
#: Say nothing to a person about where: how bad it is, and what Prometheus, its operator and its agents add.
_NOISE = frozenset({
    "alertname", "rulename", "severity", "priority", "level", "prometheus", "prometheus_replica", "replica", "receive",
    "tenant_id", "endpoint", "uid", "metrics_path", "alertgroup", "grafana_folder", "__alert_rule_uid__", "rule_uid",
    "ref_id", "datasource_uid", "monitor", "fstype", "vmagent", "grafana_folder_uid",
})  # fmt: skip
#: Say more about a place that another label names.
_DETAILS = frozenset({"container", "device", "mountpoint"})
_NO_OBJECTS = _SCRAPED | _DETAILS | frozenset(_PATH)
_EXPORTED = "exported_"
_WHERE_LENGTH, _VALUE_LENGTH = 100, 60
_ABOUT, _TELLING, _FACTS = 3, 3, 6


def where(labels: Labels, order: Sequence[str] = PLACE_ORDER) -> str:
    """The alert's place: `prod-eu/payments/checkout-7d9`, or `prod-eu 10.0.3.7:9100 /var`; "" where none is known."""
    return _where(tuple(labels.items()), tuple(order))


@lru_cache(maxsize=256)  # of a new alert it is asked twice, for the title and for the timeline
def _where(pairs: tuple[tuple[str, str], ...], order: tuple[str, ...]) -> str:
    labels = dict(pairs)
    placed = placed_labels(labels, order)
    kind = next(
        (name for name in (*_OBJECTS, *(_OF_NAMESPACES if "namespace" in placed else ())) if name in placed), None
    )
    path = [placed[name] for name in (*_PATH, kind) if name in placed]
    about = [] if kind in _OBJECTS else [value for name, value in placed.items() if name not in {*_PATH, kind}]
    return cut(" ".join(filter(None, ["/".join(path), *dict.fromkeys(about[:_ABOUT])])), _WHERE_LENGTH)


def placed_labels(labels: Labels, order: Sequence[str] = PLACE_ORDER) -> dict[str, str]:
    """The labels that say where, by `order`, without those of the exporter."""
    exporters = _of_exporter(labels)
    exported = any(name.startswith(_EXPORTED) for name in labels)
    placed: dict[str, str] = {}
    for name in order if exported else [name for name in order if name in labels]:
        # What the exporter said, where Prometheus put its own label in front.
        own = labels.get(_EXPORTED + name) if exported else None
        value = own or ("" if name in exporters else labels.get(name))
        if value:
            placed[name] = cut(" ".join(value.split()), _VALUE_LENGTH)
    weaker = _weaker(placed)
    return {name: value for name, value in placed.items() if name not in weaker} if weaker else placed


def own_service(labels: Labels) -> str | None:
    """The `service` label, unless it is the exporter's Service: that one says nothing about what fires."""
    exported = labels.get("exported_service")
    if exported:
        return exported
    service = labels.get("service")
    return service if service and "service" not in _of_exporter(labels) else None


def _of_exporter(labels: Labels) -> frozenset[str]:
    """The labels that speak of the exporter and not of what it counted."""
    job = labels.get("job", "")
    if _NODE_EXPORTER.search(job):
        return _OF_A_POD
    if not _OBJECT_EXPORTER.search(job):
        return frozenset()
    if _STATE_METRICS.search(labels.get("pod", "")):
        if any(name in labels for name in _OBJECTS if name != "pod"):
            return _SCRAPED | {"pod", "container"}
        if "node" in labels:
            return _OF_A_POD | _SCRAPED
    return _SCRAPED


def _weaker(placed: Labels) -> frozenset[str]:
    """Those labels that say less than another one that is there."""
    if any(name not in _NO_OBJECTS for name in placed):
        return _SCRAPED
    if "instance" in placed:
        return frozenset({"service", "job", "container"})
    return frozenset({"job"}) if "service" in placed else frozenset()


class Telling(NamedTuple):
    """The labels of several alerts: what all of them have, and what tells each from the others."""

    common: dict[str, str]
    each: tuple[str, ...]  #: for each alert, in order; "" where nothing tells it apart


def telling(alerts: Sequence[Labels], order: Sequence[str] = PLACE_ORDER) -> Telling:
    """What these alerts of one incident have in common, and what differs. Labels that say nothing are in neither."""
    kept = {name for labels in alerts for name in labels if not name.startswith("__")}
    names = _by_order(kept - _NOISE, order)
    first = alerts[0] if alerts else {}
    common = {name: first[name] for name in names if all(labels.get(name) == first.get(name) for labels in alerts)}
    differing = [name for name in names if name not in common]
    if len({labels.get("alertname") for labels in alerts}) > 1:
        differing.insert(0, "alertname")
    return Telling(common, _short([_told(labels, differing, order) for labels in alerts]))


def _short(each: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The first words of each. Where several begin alike: the first word, then those that not all of these have."""
    alike: dict[tuple[str, ...], list[Sequence[str]]] = {}
    for words in each:
        alike.setdefault(tuple(words[:_TELLING]), []).append(words)
    shared = {head: set(several[0]).intersection(*several) for head, several in alike.items()}
    short = []
    for words in each:
        head = tuple(words[:_TELLING])
        apart = [word for word in words[1:] if word not in shared[head]]
        short.append(" ".join([words[0], *apart][:_TELLING] if apart else head))
    return tuple(short)


def _told(labels: Labels, differing: Sequence[str], order: Sequence[str]) -> list[str]:
    """A place is known by its value; any other label needs its name. A weaker label gives way to a better one."""
    have = [name for name in differing if labels.get(name)]
    places = placed_labels({name: labels[name] for name in have} | {"job": labels.get("job", "")}, order)
    places = {name: value for name, value in places.items() if name in have}
    told = [labels["alertname"]] if "alertname" in have else []
    told += dict.fromkeys(list(places.values()))
    told += [f"{name}={cut(labels[name], _VALUE_LENGTH)}" for name in have if name not in {*order, "alertname"}]
    return told


def key_labels(common: Labels, order: Sequence[str] = PLACE_ORDER) -> dict[str, str]:
    """The three to six labels of the card: first those that say where, then the others by name."""
    placed = placed_labels(common, order)
    unsaid = {*order, *_of_exporter(common)}
    others = {name: cut(value, _VALUE_LENGTH) for name, value in common.items() if name not in unsaid and value}
    return dict([*placed.items(), *others.items()][:_FACTS])


def _by_order(names: Iterable[str], order: Sequence[str]) -> list[str]:
    rank = {name: place for place, name in enumerate(order)}
    return sorted(names, key=lambda name: (rank.get(name, len(rank)), name))


def cut(text: str, most: int) -> str:
    """At most `most` characters, with an ellipsis where something is missing."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
