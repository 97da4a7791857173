"""What an alert says for itself: its name, what happens, what to look at. Pure, untrusted, and never empty of a name.

Senders differ: kube-prometheus writes `summary`, `description` and `runbook_url`, older rules `message`, hand-made ones
anything. Each text is looked for under every usual name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bot.lib.open_links import can_open
from bot.notifications.places import cut

Texts = Mapping[str, str]

_NAMES = ("alertname", "rulename", "title", "name")
_HOW_BAD = frozenset({"severity", "priority", "level"})
#: Grafana's own names for a rule that could not be evaluated; the rule's name is in `rulename`.
_NOT_EVALUATED = {"DatasourceNoData": "no data", "DatasourceError": "the data source failed"}
_SUMMARIES = ("message", "title", "description", "Error")
_DESCRIPTIONS = ("description", "message", "details", "Error", "summary")
_VALUES = ("value", "current_value", "currentValue", "__value_string__")
_LINKS = {
    "Runbook": ("runbook_url", "runbook", "runbookUrl", "runbookURL", "runbook_link", "playbook"),
    "Dashboard": ("dashboard_url", "dashboard", "dashboardURL", "dashboardUrl", "grafana_url", "panelURL"),
    "Logs": ("logs_url", "loki_url", "log_url"),
    "Silence": ("silenceURL", "silence_url"),
}
#: What is in the address of an alert's own page, where it is not a query: Grafana's, vmalert's, CloudWatch's.
_PAGES = {"/alerting/": "Rule", "/vmalert/": "Rule", "#alarmsV2:alarm/": "Alarm"}
#: The end of a sentence: a full stop before a space, unless after a single letter, as in "e.g. ".
_SENTENCE_END = re.compile(r"(?<![.\s][A-Za-z])[.!?](?=\s)")
_PARAGRAPH_END = re.compile(r"\n\s*\n")
_GRAFANA_VALUE = re.compile(r"var='(\w+)' labels=\{[^}]*\} value=([^\s\]]+)")
_GROUP_LABEL = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"')
_NAME_LENGTH, _SENTENCE_LENGTH = 120, 200


def name_of(labels: Texts, group: str = "") -> str:
    """What the alert is called; without a name of its own, the labels of its group, or the first of its own.

    `group`: the group's key. Alertmanager's ends with the labels by which it groups.
    """
    name = naming_label(labels)
    if name:
        called, rule = labels[name], labels.get("rulename", "").strip()
        if rule and called in _NOT_EVALUATED:
            called = f"{rule}, {_NOT_EVALUATED[called]} ({called})"
        return _one_line(called, _NAME_LENGTH)
    told = [f"{name}={value}" for name, value in _GROUP_LABEL.findall(group.rpartition(":{")[2])]
    told = told or [f"{name}={value}" for name, value in labels.items() if value.strip() and name not in _HOW_BAD][:3]
    return _one_line(", ".join(told), _NAME_LENGTH) or "(no alertname)"


def naming_label(labels: Texts) -> str:
    """The label that has the alert's name; "" if none has."""
    return next((name for name in _NAMES if labels.get(name, "").strip()), "")


def unsaid(labels: Texts, name: str) -> Texts:
    """The labels without those that `name`, made of `labels` by `name_of`, has said already."""
    if labels.get("alertname", "").strip():
        return labels  # what nearly every alert has
    naming = naming_label(labels)
    return {key: value for key, value in labels.items() if key != naming and (naming or f"{key}={value}" not in name)}


def summary_of(notes: Texts) -> str:
    """One sentence on what happens; "" where the sender says nothing. A summary is taken as a whole."""
    if notes.get("summary", "").strip():
        return _one_line(notes["summary"], _SENTENCE_LENGTH)
    return next((first_sentence(notes[name]) for name in _SUMMARIES if notes.get(name, "").strip()), "")


def first_sentence(text: str) -> str:
    line = _one_line(_PARAGRAPH_END.split(text.strip(), 1)[0], 4 * _SENTENCE_LENGTH)
    end = _SENTENCE_END.search(line)
    return cut(line[: end.end()] if end else line, _SENTENCE_LENGTH)


def description_of(notes: Texts, title: str = "") -> str:
    """What the sender says beyond `title`, which the reader has read already; "" if nothing."""
    for name in _DESCRIPTIONS:
        text = notes.get(name, "").strip()
        if text and _one_line(text, len(title) or 1) not in title and text not in title:
            return text
    return ""


def value_of(notes: Texts) -> str:
    """The value that fired, as the sender wrote it; of Grafana's list, each query with its value."""
    given = next((notes[name] for name in _VALUES if notes.get(name, "").strip()), "")
    listed = [f"{query}={value}" for query, value in _GRAFANA_VALUE.findall(given)]
    return _one_line(", ".join(listed) or given, 80)


def links_of(labels: Texts, notes: Texts, source_link: str = "") -> dict[str, str]:
    """Label of a button -> address; only addresses that a reader can open. `source_link`: the alert's own page."""
    found: dict[str, str] = {}
    for label, names in _LINKS.items():
        given = (texts[name].strip() for name in names for texts in (notes, labels) if texts.get(name, "").strip())
        url = next(filter(can_open, given), None)
        if url:
            found[label] = url
    if can_open(source_link):
        found[_page_kind(source_link)] = source_link
    return found


def _page_kind(source_link: str) -> str:
    """What the alert's own page is: each system links to something else. Prometheus links to its graph."""
    return next((kind for part, kind in _PAGES.items() if part in source_link), "Query")


def _one_line(text: str, most: int) -> str:
    return cut(" ".join(text.split()), most)
