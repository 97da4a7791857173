"""Which silences are allowed, and which alerts a silence covers. Pure.

A silence that covers more than intended loses a page, so it has to be specific. That is decided here and not by
Alertmanager, which only refuses a silence whose matchers all match the empty text.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence

from bot.core.action import Tools
from bot.core.errors import Rejected
from bot.core.silences import MatchedAlert, Matcher, Silences

MOST_KINDS = 200  #: kinds of alert under one silence: nobody can review more before an approval
_LISTED = 5
_LONGEST_TITLE = 80
_LONGEST_REGEX = 200
_MOST_REPEATS = 10
_MOST_CHOICES = 100
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
#: Probe texts that no service has as a name. A regular expression that matches one of them matches a kind of text and
#: is not specific. They are short, and so are the expressions tried on them: matching is exponential at worst.
_ANYTHING = ("0", "7", "q", "zq", "Zq", "q7")

_RANK = {"critical": 0, "error": 1, "warning": 2, "info": 3}

AlertKind = tuple[str, str, str]  #: title, severity, service


def silences_of(tools: Tools) -> Silences:
    """The silences to work with. Raises `Rejected` when the settings name no Alertmanager API."""
    if tools.silences is None:
        message = (
            "No Alertmanager API is configured. Nothing was done. Set sources.alertmanager.api_url in the settings."
        )
        raise Rejected(message, code="no_alertmanager", status=503)
    return tools.silences


def check_specific(matchers: Sequence[Matcher]) -> None:
    """Refuse matchers that are not specific. Each is a complete label name, `=`, `!=`, `=~` or `!~`, and a value.

    Raises:
        Rejected: too_wide, bad_label or bad_regex.
    """
    if not matchers:
        raise _refused("A silence without matchers would cover every alert.", "too_wide")
    for matcher in matchers:
        _check(matcher)
    if not any(_is_specific(matcher) for matcher in matchers):
        message = f"{_listed(matchers)} is not specific: it covers everything that it does not exclude."
        raise _refused(message, "too_wide")


def is_specific(matchers: Sequence[Matcher]) -> bool:
    """Whether `check_specific` accepts them."""
    try:
        check_specific(matchers)
    except Rejected:
        return False
    return True


def format_matchers(matchers: Sequence[Matcher]) -> str:
    """For people: `alertname="X", env!="dev"`."""
    return ", ".join(f"{one.name}{one.op}{json.dumps(one.value, ensure_ascii=False)}" for one in matchers)


def alert_kinds(alerts: Sequence[MatchedAlert]) -> str:
    """The kinds of alert (title, severity, service) among these as sorted JSON, whatever the order of the alerts."""
    return json.dumps(sorted({_kind(one) for one in alerts}), ensure_ascii=False)


def new_kinds(alerts: Sequence[MatchedAlert], covered: str) -> tuple[str, ...]:
    """The kinds among these that are not in an earlier result of `alert_kinds`; one line each."""
    before = {tuple(kind) for kind in json.loads(covered)}
    return tuple(_line(kind) for kind in sorted({_kind(one) for one in alerts} - before))


def describe_kinds(alerts: Sequence[MatchedAlert]) -> tuple[str, ...]:
    """A line for each kind, the worst first, and only the first five of many; empty without alerts."""
    counted = Counter(_kind(one) for one in alerts)
    ordered = sorted(counted, key=lambda kind: (_RANK.get(kind[1], len(_RANK)), -counted[kind], kind))
    listed = [f"{_line(kind)}{_times(counted[kind])}" for kind in ordered[:_LISTED]]
    if len(ordered) > _LISTED:
        listed.append(f"and {len(ordered) - _LISTED} more kinds of alert")
    return tuple(listed)


def describe_scope(alerts: Sequence[MatchedAlert]) -> str:
    """ "3 alerts now, all of prod/api"."""
    services = sorted({one.service or "no service" for one in alerts})
    if not services:
        return "no alert now"
    if len(services) == 1:
        return f"{describe_count(alerts)} now, {'all ' if len(alerts) > 1 else ''}of {services[0]}"
    more = f" and {len(services) - _LISTED} more" if len(services) > _LISTED else ""
    return f"{describe_count(alerts)} now, of {', '.join(services[:_LISTED])}{more}"


def describe_count(alerts: Sequence[MatchedAlert]) -> str:
    return "1 alert" if len(alerts) == 1 else f"{len(alerts)} alerts"


def _check(matcher: Matcher) -> None:
    if not _NAME.fullmatch(matcher.name):
        raise _refused(f"{matcher.name[:40]!r} is not the name of a label.", "bad_label")
    if matcher.op not in ("=~", "!~"):
        return
    regex = _regex(matcher)
    if matcher.op == "=~" and (regex.fullmatch("") or _matches_anything(regex)):
        message = f"{format_matchers([matcher])} also matches alerts without that label, or with any value."
        raise _refused(message, "too_wide")


def _is_specific(matcher: Matcher) -> bool:
    return (matcher.op == "=" and matcher.value != "") or (matcher.op == "=~" and not _matches_a_kind(_regex(matcher)))


def _regex(matcher: Matcher) -> re.Pattern[str]:
    """Alertmanager uses RE2; Python's syntax is close enough to decide whether an expression is specific."""
    value = matcher.value
    repeats = sum(value.count(one) for one in "*+{")
    if len(value) > _LONGEST_REGEX or repeats > _MOST_REPEATS or value.count("|") > _MOST_CHOICES:
        raise _refused(f"The regular expression of {matcher.name} is too long or too complex.", "bad_regex")
    try:
        return re.compile(value)
    except (re.error, RecursionError, OverflowError, FutureWarning) as error:
        raise _refused(f"{format_matchers([matcher])} is not a regular expression: {error}.", "bad_regex") from None


def _matches_anything(regex: re.Pattern[str]) -> bool:
    return all(regex.fullmatch(one) for one in _ANYTHING)


def _matches_a_kind(regex: re.Pattern[str]) -> bool:
    return any(regex.fullmatch(one) for one in _ANYTHING)


def _refused(message: str, code: str) -> Rejected:
    return Rejected(f'{message} Nothing was done. Name what to silence, such as alertname="DiskFull".', code=code)


def _listed(matchers: Sequence[Matcher]) -> str:
    message = format_matchers(matchers)
    return message if len(message) <= _LONGEST_REGEX else f"{message[:_LONGEST_REGEX]}..."


def _kind(alert: MatchedAlert) -> AlertKind:
    return (_short(alert.title), str(alert.severity), _short(alert.service))


def _short(text: str) -> str:
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:_LONGEST_TITLE]


def _line(kind: Sequence[str]) -> str:
    return ", ".join(part for part in kind if part)


def _times(many: int) -> str:
    return f" ({many} times)" if many > 1 else ""
