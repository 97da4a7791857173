"""The history of an Argo CD application, and the state of its operation. Pure functions over the Application.

A history entry is identified by its number, which always increases; the newest entry is what runs. A rollback adds a
new entry with an older revision, so entries are compared by what they deploy, not by their numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from bot.core.errors import Rejected
from bot.core.kubernetes import KubernetesObject

_SHORT, _SHOWN = 8, 5
_SHORTEST = 7  #: the fewest letters that identify a commit, as git itself shows them


@dataclass(frozen=True, kw_only=True, slots=True)
class ArgoCdDeployment:
    """One entry of the history."""

    number: int
    revisions: tuple[str, ...]  #: a commit, or a chart's version; one for each source
    key: str  #: a digest of its revisions and sources
    when: str

    @property
    def short(self) -> str:
        return ", ".join(one[:_SHORT] for one in self.revisions)

    def __str__(self) -> str:
        when = self.when.replace("T", " ").replace("Z", " UTC")
        return f"{self.number} (revision {self.short}, deployed {when})"


@dataclass(frozen=True, kw_only=True, slots=True)
class ArgoCdChoice:
    """The present deployment and the chosen one."""

    now: ArgoCdDeployment
    goal: ArgoCdDeployment
    others: tuple[ArgoCdDeployment, ...]  #: other possible choices, newest first


def history(application: KubernetesObject) -> Sequence[ArgoCdDeployment]:
    """From the oldest entry to the one that runs."""
    rows = (application.get("status") or {}).get("history") or ()
    return sorted(map(_deployed, rows), key=lambda one: one.number)


def choose(application: KubernetesObject, wanted: str) -> ArgoCdChoice:
    """The entry with that number or revision (or its beginning); by default the newest that differs.

    Raises:
        Rejected: there is none, or it runs already.
    """
    held = history(application)
    if not held:
        raise _refused("Argo CD has no history of it, so there is nothing to roll back to.")
    *older, now = held
    older.reverse()
    others = tuple(one for one in older if one.key != now.key)
    goal = next((one for one in others if _matches(one, wanted)), None)
    if goal is None and any(_matches(one, wanted) for one in (now, *older) if wanted):
        raise _refused(f"It already runs {now}.")
    if goal is None and wanted:
        raise _refused(f"Argo CD's history has no {wanted}. It has {listed(others) or f'only {now}'}.")
    if goal is None:
        raise _refused(f"Argo CD's history has nothing older that differs from {now}.")
    return ArgoCdChoice(now=now, goal=goal, others=tuple(one for one in others if one is not goal))


def listed(some: Sequence[ArgoCdDeployment]) -> str:
    more = f" and {len(some) - _SHOWN} more" if len(some) > _SHOWN else ""
    return ", ".join(map(str, some[:_SHOWN])) + more


def state(application: KubernetesObject) -> Mapping[str, Any]:
    """Its operationState; empty where there never was an operation."""
    return dict((application.get("status") or {}).get("operationState") or {})


def begun(application: KubernetesObject) -> str:
    """The start time of the newest operation, which identifies it."""
    return str(state(application).get("startedAt", "none"))


def busy(application: KubernetesObject) -> bool:
    """Whether an operation is in progress or pending."""
    return bool(application.get("operation")) or state(application).get("phase") in ("Running", "Terminating")


def goes_to(application: KubernetesObject, goal: ArgoCdDeployment, *, after: str) -> bool:
    """Whether its newest operation goes to `goal`, and is not the one that started at `after`."""
    sync = ((state(application).get("operation") or {}).get("sync")) or {}
    return begun(application) != after and _revisions(sync) == goal.revisions


def touched(application: KubernetesObject) -> bool:
    """Whether its newest operation has applied anything."""
    return bool((state(application).get("syncResult") or {}).get("resources"))


def _deployed(row: Mapping[str, Any]) -> ArgoCdDeployment:
    source = row.get("sources") or row.get("source")
    revisions = _revisions(row)
    deployed = json.dumps([revisions, source], sort_keys=True).encode()
    return ArgoCdDeployment(
        number=int(row.get("id") or 0),
        revisions=revisions,
        key=hashlib.sha256(deployed).hexdigest()[:16],
        when=str(row.get("deployedAt", "?")),
    )


def _revisions(row: Mapping[str, Any]) -> tuple[str, ...]:
    many = row.get("revisions") or ()
    return tuple(map(str, many)) if many else (str(row.get("revision", "")),)


def _matches(one: ArgoCdDeployment, wanted: str) -> bool:
    if not wanted or wanted == str(one.number):
        return True
    return wanted in one.revisions or (
        len(wanted) >= _SHORTEST and any(held.startswith(wanted) for held in one.revisions)
    )


def _refused(message: str) -> Rejected:
    return Rejected(f"{message} Nothing was done.", code="no_revision", status=HTTPStatus.CONFLICT)
