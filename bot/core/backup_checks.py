"""Comparing what a check of the settings got with what it should get. The same for every engine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

from bot.core.backup import Check, CheckResult
from bot.core.errors import Rejected

#: Asks one of the two, and returns its answer as text. Raises `Rejected`.
Ask = Callable[[str], str]


def run_check(check: Check, ask: Ask, *, ask_live: Ask | None, data_at: datetime | None) -> CheckResult:
    """Ask, and compare. A question that cannot be asked is a result that is not ok, and says why."""
    try:
        got = ask(check.query)
    except Rejected as refused:
        return CheckResult(name=check.name, expected=check.expect or "an answer", got=refused.message, ok=False)
    if check.newest_within is not None:
        return _judge_age(check, check.newest_within, got, data_at)
    if not check.like_live:
        return _judge_value(check, check.expect, got, "")
    if ask_live is None:
        return CheckResult(name=check.name, expected="as the live one", got="the live one is not known", ok=False)
    try:
        return _judge_value(check, ask_live(check.query), got, " (the live one)")
    except Rejected as refused:
        return CheckResult(name=check.name, expected="as the live one", got=refused.message, ok=False)


def _judge_value(check: Check, wanted: str, got: str, of: str) -> CheckResult:
    around = f" ± {check.tolerance_percent:g} %" if check.tolerance_percent else ""
    expected = f"{wanted}{around}{of}"
    first, second = _number(wanted), _number(got)
    if first is None or second is None:
        return CheckResult(name=check.name, expected=expected, got=got, ok=wanted.strip() == got.strip())
    most = abs(first) * Decimal(str(check.tolerance_percent)) / 100
    return CheckResult(name=check.name, expected=expected, got=got, ok=abs(first - second) <= most)


def _judge_age(check: Check, within: timedelta, got: str, data_at: datetime | None) -> CheckResult:
    """A row that is newer than the backup's data time is fine: it was committed before the snapshot was taken."""
    moment = _moment(got)
    if data_at is None:
        return CheckResult(name=check.name, expected="a backup whose time is known", got=got, ok=False)
    expected = f"not before {(data_at - within).isoformat(timespec='seconds')}"
    ok = moment is not None and moment >= data_at - within
    return CheckResult(name=check.name, expected=expected, got=got or "no row", ok=ok)


def _number(text: str) -> Decimal | None:
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def _moment(text: str) -> datetime | None:
    """A time without a zone is UTC. Seconds since 1970 are one too."""
    seconds = _number(text)
    try:
        if seconds is not None:
            return datetime.fromtimestamp(float(seconds), UTC)
        moment = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError, OSError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
