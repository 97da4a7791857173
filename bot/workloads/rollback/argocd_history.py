"""What Argo CD has deployed of an application before, and how far its operation is. Pure, on the Application.

A history's entry is named by its number, which counts up for ever; the newest is what it runs. After a rollback that is
a new entry with an older revision, so that two are told apart by what they deploy, and not by their numbers.
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
_SHORTEST = 7  #: letters that name a commit: no fewer than git itself shows


@dataclass(frozen=True, kw_only=True, slots=True)
class ArgoCdDeployment:
    """One entry of the history."""

    number: int
    revisions: tuple[str, ...]  #: a commit, or a chart's version; one for each source
    key: str  #: of what it deploys: revisions and sources
    when: str

    @property
    def short(self) -> str:
        return ", ".join(one[:_SHORT] for one in self.revisions)

    def __str__(self) -> str:
        when = self.when.replace("T", " ").replace("Z", " UTC")
        return f"{self.number} (revision {self.short}, deployed {when})"


@dataclass(frozen=True, kw_only=True, slots=True)
class ArgoCdChoice:
    """From where to where."""

    now: ArgoCdDeployment
    goal: ArgoCdDeployment
    others: tuple[ArgoCdDeployment, ...]  #: to which it could go as well, the newest first


def history(application: KubernetesObject) -> Sequence[ArgoCdDeployment]:
    """From the oldest to what it runs."""
    rows = (application.get("status") or {}).get("history") or ()
    return sorted(map(_deployed, rows), key=lambda one: one.number)


def choose(application: KubernetesObject, wish: str) -> ArgoCdChoice:
    """What is meant by a number or the beginning of a revision; by nothing, the newest that differs.

    Raises:
        Rejected: there is none, or it runs already.
    """
    held = history(application)
    if not held:
        raise _refused("Argo CD has no history of it, so there is nothing to go back to.")
    *older, now = held
    older.reverse()
    others = tuple(one for one in older if one.key != now.key)
    meant = next((one for one in others if _is_meant(one, wish)), None)
    if meant is None and any(_is_meant(one, wish) for one in (now, *older) if wish):
        raise _refused(f"That is what it runs: {now}.")
    if meant is None and wish:
        raise _refused(f"Argo CD's history has no {wish}. It has {listed(others) or f'only {now}'}.")
    if meant is None:
        raise _refused(f"Argo CD's history has nothing older that differs from {now}.")
    return ArgoCdChoice(now=now, goal=meant, others=tuple(one for one in others if one is not meant))


def listed(some: Sequence[ArgoCdDeployment]) -> str:
    more = f" and {len(some) - _SHOWN} more" if len(some) > _SHOWN else ""
    return ", ".join(map(str, some[:_SHOWN])) + more


def state(application: KubernetesObject) -> Mapping[str, Any]:
    """Its operationState; empty where there never was an operation."""
    return dict((application.get("status") or {}).get("operationState") or {})


def begun(application: KubernetesObject) -> str:
    """By when it began, the newest operation is told from those before."""
    return str(state(application).get("startedAt", "none"))


def busy(application: KubernetesObject) -> bool:
    """Whether an operation is in progress, or waits to be."""
    return bool(application.get("operation")) or state(application).get("phase") in ("Running", "Terminating")


def goes_to(application: KubernetesObject, goal: ArgoCdDeployment, *, after: str) -> bool:
    """Whether its newest operation is one to `goal`, and not the one that began at `after`."""
    sync = ((state(application).get("operation") or {}).get("sync")) or {}
    return begun(application) != after and _revisions(sync) == goal.revisions


def touched(application: KubernetesObject) -> bool:
    """Whether its newest operation has applied anything."""
    return bool((state(application).get("syncResult") or {}).get("resources"))


def _deployed(row: Mapping[str, Any]) -> ArgoCdDeployment:
    source = row.get("sources") or row.get("source")
    revisions = _revisions(row)
    told = json.dumps([revisions, source], sort_keys=True).encode()
    return ArgoCdDeployment(
        number=int(row.get("id") or 0),
        revisions=revisions,
        key=hashlib.sha256(told).hexdigest()[:16],
        when=str(row.get("deployedAt", "?")),
    )


def _revisions(row: Mapping[str, Any]) -> tuple[str, ...]:
    many = row.get("revisions") or ()
    return tuple(map(str, many)) if many else (str(row.get("revision", "")),)


def _is_meant(one: ArgoCdDeployment, wish: str) -> bool:
    if not wish or wish == str(one.number):
        return True
    return wish in one.revisions or (len(wish) >= _SHORTEST and any(held.startswith(wish) for held in one.revisions))


def _refused(message: str) -> Rejected:
    return Rejected(f"{message} Nothing was done.", code="no_revision", status=HTTPStatus.CONFLICT)
