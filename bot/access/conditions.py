"""The conditions of a rule, and the context of a request that they are checked with. Pure.

The promise: unknown facts never help. A condition of an allowing rule holds only if it is known to hold; one of a
denying rule holds unless it is known not to. So a service without an environment in the catalog is allowed nothing by
an environment, and escapes no denial.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.core.access import Permission
from bot.core.alert import Severity
from bot.lib.text import glob_matcher, spell_list, spell_moment
from bot.lib.time_windows import WeeklyWindow, is_open


class Impact(StrEnum):
    """What a verb changes."""

    READ = "question"  #: nothing
    INCIDENT = "calm"  #: it works on incidents, and a freeze does not hold it: ack, note, resolve
    ACTION = "action"  #: it changes what runs, or who is woken


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """The conditions of a rule: all that are given must hold; of several values one is enough."""

    environment: tuple[str, ...] = ()
    service: tuple[str, ...] = ()  #: globs
    severity: tuple[Severity, ...] = ()
    on_call: bool = False  #: the requester is on call for the service
    incident: bool = False  #: an unresolved incident is on the service
    during: tuple[WeeklyWindow, ...] = ()
    budget: float | None = None  #: the minimum of the service's error budget that must be left, 0 to 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """The facts at the time of the request. None means "there is none" or "unknown"; both allow nothing."""

    now: datetime
    impact: Impact = Impact.ACTION
    service: str | None = None  #: the target itself, or the service of the target incident
    environment: str | None = None  #: the service's
    severity: Severity | None = None  #: the incident's
    on_call_for: frozenset[str] = frozenset()  #: services that the requester is on call for
    open_on: frozenset[str] = frozenset()  #: services with an unresolved incident
    paged: bool = False  #: the requester was paged by name for this incident
    budget_left: float | None = None  #: of the service, 0 to 1
    break_glass_until: datetime | None = None  #: until when break-glass is active for the requester

    @property
    def is_break_glass_active(self) -> bool:
        return self.break_glass_until is not None and self.now < self.break_glass_until

    @property
    def is_on_call(self) -> bool:
        return self.service is not None and self.service in self.on_call_for


#: Returns what is missing, for people, or "" if the condition holds.
ConditionCheck = Callable[[Permission, Context], str]


def checks_of(when: Conditions, *, denies: bool) -> tuple[ConditionCheck, ...]:
    """One check for each condition that is given. `denies`: an unknown fact counts as if the condition held."""
    return tuple(_checks(when, denies))


def _checks(when: Conditions, denies: bool) -> Iterator[ConditionCheck]:  # noqa: FBT001 (private, and named above)
    if when.environment:
        yield _environment(when.environment, denies=denies)
    if when.service:
        yield _service(when.service, denies=denies)
    if when.severity:
        yield _severity(when.severity)
    if when.on_call:
        yield _on_call
    if when.incident:
        yield _incident
    if when.during:
        yield _during(when.during)
    if when.budget is not None:
        yield _budget(when.budget)


def _environment(names: tuple[str, ...], *, denies: bool) -> ConditionCheck:
    needs = f"needs environment {spell_list(names)}"

    def missing(wanted: Permission, context: Context) -> str:
        if context.environment in names:
            return ""
        if context.environment is not None:
            return f"{needs}; this is {context.environment}"
        return "" if denies and _is_somewhere(wanted, context) else f"{needs}; the environment of this is unknown"

    return missing


def _service(globs: tuple[str, ...], *, denies: bool) -> ConditionCheck:
    needs, matchers = f"needs a service {spell_list(globs)}", tuple(map(glob_matcher, globs))

    def missing(wanted: Permission, context: Context) -> str:
        service = context.service
        if service is not None:
            return "" if any(match(service) for match in matchers) else f"{needs}; this is {service}"
        return "" if denies and wanted.target else f"{needs}; this is no service"

    return missing


def _severity(severities: tuple[Severity, ...]) -> ConditionCheck:
    needs = f"needs an incident of severity {spell_list(severities)}"

    def missing(_: Permission, context: Context) -> str:
        if context.severity in severities:
            return ""
        return f"{needs}; this is {context.severity}" if context.severity else f"{needs}; there is none"

    return missing


def _on_call(wanted: Permission, context: Context) -> str:
    return "" if context.is_on_call else f"needs you on call for {_place(wanted, context)}; you are not"


def _incident(wanted: Permission, context: Context) -> str:
    if context.service is not None and context.service in context.open_on:
        return ""
    return f"needs an open incident on {_place(wanted, context)}; there is none"


def _during(windows: tuple[WeeklyWindow, ...]) -> ConditionCheck:
    needs = f"holds {spell_list(hours.written for hours in windows)}"

    def missing(_: Permission, context: Context) -> str:
        return "" if is_open(windows, context.now) else f"{needs}; it is {spell_moment(context.now)}"

    return missing


def _budget(least: float) -> ConditionCheck:
    needs = f"needs {least:.3g} of the error budget left"

    def missing(_: Permission, context: Context) -> str:
        if context.budget_left is None:
            return f"{needs}; how much is left is not known" if context.impact is Impact.ACTION else ""
        return "" if context.budget_left >= least else f"{needs}; it is {context.budget_left:.3g}"

    return missing


def _is_somewhere(wanted: Permission, context: Context) -> bool:
    return bool(wanted.target) or context.service is not None


def _place(wanted: Permission, context: Context) -> str:
    return context.service or wanted.target or "a service"
