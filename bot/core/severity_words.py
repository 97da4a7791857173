"""The words for a severity that other systems use, and how a word is read. Pure.

Alertmanager carries whatever the author of a rule wrote, and one installation has rules from many places. Where systems
differ, the worse reading counts: `sev1` is the worst at PagerDuty and the second worst at Azure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from bot.core.alert import Severity

_WORDS = {
    Severity.CRITICAL: (
        "critical", "crit", "page", "emergency", "emerg", "disaster", "fatal", "panic", "alert", "urgent", "severe",
        "blocker", "highest", "down", "unreachable", "p0", "p1", "sev0", "sev1", "s0", "s1", "severity1", "priority1",
        "1",
    ),
    Severity.ERROR: (
        "error", "err", "errors", "high", "major", "failure", "p2", "sev2", "s2", "severity2", "priority2", "2",
    ),
    Severity.WARNING: (
        "warning", "warn", "medium", "med", "moderate", "average", "minor", "ticket", "indeterminate", "p3", "sev3",
        "s3", "severity3", "priority3", "3",
    ),
    Severity.INFO: (
        "info", "information", "informational", "notice", "low", "lowest", "trivial", "none", "normal", "ok", "clear",
        "cleared", "success", "debug", "trace", "verbose", "notclassified", "p4", "p5", "sev4", "sev5", "s4", "s5",
        "severity4", "severity5", "priority4", "priority5", "4", "5",
    ),
}  # fmt: skip

#: The usual words, as `fold` gives them: of syslog, Opsgenie, PagerDuty, Datadog, Grafana, Zabbix, Nagios, Splunk.
USUAL_SEVERITIES: Mapping[str, Severity] = {word: severity for severity, words in _WORDS.items() for word in words}

#: What an author writes who wants that nobody is woken, whatever pages: kube-prometheus' Watchdog and InfoInhibitor.
NEVER_PAGED = "none"

_JOINTS = str.maketrans("", "", " \t\r\n-_.:#")


@lru_cache(maxsize=1024)
def fold(word: str) -> str:
    """The word as it is looked up: `Critical ` is critical, and `Sev-2`, `SEV 2` and `sev_2` are sev2."""
    return word.casefold().translate(_JOINTS)


def severity_of(
    labels: Mapping[str, str], names: Sequence[str], known: Mapping[str, Severity]
) -> tuple[Severity | None, str]:
    """By the first of the labels `names` with a known word; else None, and the first word, "" where there is none."""
    unknown = ""
    for name in names:
        word = labels.get(name)
        if word:
            found = known.get(word) or known.get(fold(word))
            if found is not None:
                return found, ""
            unknown = unknown or word.strip()
    return None, unknown
