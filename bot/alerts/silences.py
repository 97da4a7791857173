"""What may be silenced, and what a silence covers: pure.

A silence that covers more than somebody meant is how a page is lost, so it has to name something. What a matcher names
is decided here and not by Alertmanager, which only refuses matchers that all match the empty text.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence

from bot.core.action import Tools
from bot.core.errors import Rejected
from bot.core.silences import MatchedAlert, Matcher, Silences

MOST_KINDS = 200  #: of alerts under one silence: what nobody could look over before saying yes
_LISTED = 5
_LONGEST_TITLE = 80
_LONGEST_REGEX = 200
_MOST_REPEATS = 10
_MOST_CHOICES = 100
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
#: Nobody's names. A regular expression that has room for all of these goes by the kind of text and names nothing. They
#: are short, and so are the expressions tried on them: Python's matching takes time exponential in them at worst.
_ANYTHING = ("0", "7", "q", "zq", "Zq", "q7")


def silences_of(tools: Tools) -> Silences:
    """Raises `Rejected` where the settings name no Alertmanager to ask."""
    if tools.silences is None:
        message = "No Alertmanager can be asked. Nothing was done. Set sources.alertmanager.api_url in the settings."
        raise Rejected(message, code="no_alertmanager", status=503)
    return tools.silences


def check_specific(matchers: Sequence[Matcher]) -> None:
    """Whether the matchers name something; each is a whole label name, `=`, `!=`, `=~` or `!~`, and a value.

    Raises:
        Rejected: too_wide, bad_label or bad_regex.
    """
    if not matchers:
        raise _refused("A silence without matchers would cover every alert.", "too_wide")
    for matcher in matchers:
        _check(matcher)
    if not any(_names(matcher) for matcher in matchers):
        message = f"{_listed(matchers)} names nothing that is to be silent: it covers whatever is not left out."
        raise _refused(message, "too_wide")


def is_specific(matchers: Sequence[Matcher]) -> bool:
    """Whether `check_specific` would let them pass."""
    try:
        check_specific(matchers)
    except Rejected:
        return False
    return True


def format_matchers(matchers: Sequence[Matcher]) -> str:
    """As people read it: `alertname="X", env!="dev"`."""
    return ", ".join(f"{one.name}{one.op}{json.dumps(one.value, ensure_ascii=False)}" for one in matchers)


def alert_kinds(alerts: Sequence[MatchedAlert]) -> str:
    """The kinds of alert (title, severity, service) among these, in an order that does not depend on theirs."""
    return json.dumps(sorted({_kind(one) for one in alerts}), ensure_ascii=False)


def new_kinds(alerts: Sequence[MatchedAlert], covered: str) -> tuple[str, ...]:
    """The kinds among these that are not in what `alert_kinds` gave before, a line each."""
    before = {tuple(kind) for kind in json.loads(covered)}
    return tuple(_line(kind) for kind in sorted({_kind(one) for one in alerts} - before))


def describe_kinds(alerts: Sequence[MatchedAlert]) -> tuple[str, ...]:
    """A line for each kind, the worst first, of many only the first five; none for no alerts."""
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


_RANK = {"critical": 0, "error": 1, "warning": 2, "info": 3}


def _check(matcher: Matcher) -> None:
    if not _NAME.fullmatch(matcher.name):
        raise _refused(f"{matcher.name[:40]!r} is not the name of a label.", "bad_label")
    if matcher.op not in ("=~", "!~"):
        return
    regex = _regex(matcher)
    if matcher.op == "=~" and (regex.fullmatch("") or _takes_anything(regex)):
        message = f"{format_matchers([matcher])} also matches what has no such label, or whatever it is."
        raise _refused(message, "too_wide")


def _names(matcher: Matcher) -> bool:
    return (matcher.op == "=" and matcher.value != "") or (matcher.op == "=~" and not _by_kind(_regex(matcher)))


def _regex(matcher: Matcher) -> re.Pattern[str]:
    """Alertmanager's are RE2's. Python's reading is near enough to tell whether they name something."""
    value = matcher.value
    repeats = sum(value.count(one) for one in "*+{")
    if len(value) > _LONGEST_REGEX or repeats > _MOST_REPEATS or value.count("|") > _MOST_CHOICES:
        raise _refused(f"The regular expression of {matcher.name} is too long or too involved.", "bad_regex")
    try:
        return re.compile(value)
    except (re.error, RecursionError, OverflowError, FutureWarning) as error:
        raise _refused(f"{format_matchers([matcher])} is not a regular expression: {error}.", "bad_regex") from None


def _takes_anything(regex: re.Pattern[str]) -> bool:
    return all(regex.fullmatch(one) for one in _ANYTHING)


def _by_kind(regex: re.Pattern[str]) -> bool:
    return any(regex.fullmatch(one) for one in _ANYTHING)


def _refused(message: str, code: str) -> Rejected:
    return Rejected(f'{message} Nothing was done. Name what shall be silent, such as alertname="DiskFull".', code=code)


def _listed(matchers: Sequence[Matcher]) -> str:
    message = format_matchers(matchers)
    return message if len(message) <= _LONGEST_REGEX else f"{message[:_LONGEST_REGEX]}..."


AlertKind = tuple[str, str, str]


def _kind(alert: MatchedAlert) -> AlertKind:
    return (_short(alert.title), str(alert.severity), _short(alert.service))


def _short(text: str) -> str:
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:_LONGEST_TITLE]


def _line(kind: Sequence[str]) -> str:
    return ", ".join(part for part in kind if part)


def _times(many: int) -> str:
    return f" ({many} times)" if many > 1 else ""
