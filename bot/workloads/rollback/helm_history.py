"""Helm's versions of a release: one Secret for each version, with everything that it installed. Pure.

The Secret's `release` is Kubernetes' base64 of Helm's base64 of gzipped JSON.
https://github.com/helm/helm/blob/main/pkg/storage/driver/util.go
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import yaml

from bot.core.errors import Rejected
from bot.core.kubernetes import KubernetesObject, ObjectRef

#: The statuses of versions that were in service, and can be again.
GOOD = ("deployed", "superseded")
#: The first versions of Helm (major: minor) that can restore an object which the newest version of the release
#: dropped, and which still exists.
_OVER_DROPPED = {3: 22, 4: 2}
_ON_SERVER = 4  #: the first major version that uses server-side apply
#: A younger operation is assumed to be in progress.
UNDER_WAY = timedelta(minutes=15)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_GZIP = b"\x1f\x8b"
_MOST = 64 * 1024 * 1024  #: bytes of one release, unpacked
_SHOWN = 8
_ROLLING = ("pre-rollback", "post-rollback")


@dataclass(frozen=True, kw_only=True, slots=True)
class HelmHook:
    """An object that runs around an operation, such as a Job that migrates a database."""

    kind: str
    name: str
    events: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """One version of a release."""

    version: int
    status: str
    chart: str  #: "api-1.4.0"
    description: str
    at: datetime | None  #: when it was deployed last; None if unknown
    manifest: str
    hooks: tuple[HelmHook, ...]
    method: str = ""  #: "ssa" where Helm 4 wrote it by server-side apply

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.manifest.encode()).hexdigest()[:16]

    @property
    def is_pending(self) -> bool:
        return self.status.startswith("pending-")

    def __str__(self) -> str:
        return f"version {self.version} ({self.chart}, {self.status})"


@dataclass(frozen=True, kw_only=True, slots=True)
class HelmChoice:
    """The present version and the chosen one."""

    now: Release
    goal: Release
    others: tuple[Release, ...]  #: other possible choices, newest first


def releases(secrets: Sequence[KubernetesObject]) -> Sequence[Release]:
    """From the oldest to the newest. Raises `Rejected` if one cannot be read."""
    return sorted(map(_release, secrets), key=lambda one: one.version)


def choose(kept: Sequence[Release], wanted: str) -> HelmChoice:
    """The version with that number; by default the newest good one that installed something else.

    Raises:
        Rejected: there is none.
    """
    if not kept:
        raise _refused("Helm keeps no version of it.")
    *older, now = kept
    older.reverse()
    others = tuple(one for one in older if one.status in GOOD and one.hash != now.hash)
    if not wanted:
        if not others:
            raise _refused(f"Helm keeps no older version that was in service and differs from {now}.")
        return HelmChoice(now=now, goal=others[0], others=others[1:])
    goal = next((one for one in (now, *older) if str(one.version) == wanted), None)
    if goal is None:
        raise _refused(f"Helm keeps no version {wanted}. It keeps {listed(others) or f'only {now}'}.")
    if goal is now:
        raise _refused(f"It is already at {now}.")
    if goal.status not in GOOD:
        raise _refused(f"{goal} was never in service. Versions that were: {listed(others) or 'none other'}.")
    return HelmChoice(now=now, goal=goal, others=tuple(one for one in others if one is not goal))


def listed(some: Sequence[Release]) -> str:
    more = f" and {len(some) - _SHOWN} more" if len(some) > _SHOWN else ""
    return ", ".join(map(str, some[:_SHOWN])) + more


def in_progress(one: Release, now: datetime) -> bool:
    """Whether somebody may be at work on it; without a start time it is assumed to be in progress."""
    return one.is_pending and (one.at is None or now - one.at < UNDER_WAY)


def applies_on_server(program: tuple[int, int], goal: Release) -> bool:
    """Whether that program rolls back to it by server-side apply: Helm 4 uses the method of that version."""
    return program[0] >= _ON_SERVER and goal.method == "ssa"


def goes_over_dropped(program: tuple[int, int]) -> bool:
    """Whether that Helm can roll back to a version with an object that the newest one dropped and that still exists."""
    major, minor = program
    return minor >= _OVER_DROPPED.get(major, 0)


def dropped(now: Release, goal: Release) -> frozenset[str]:
    """The objects of `goal` that `now` does not install, each as `kind_and_name` writes it."""
    return frozenset(_objects(goal.manifest).keys() - _objects(now.manifest).keys())


def differences(now: Release, goal: Release) -> list[str]:
    """The objects that are removed, restored and changed: a few words each, no values but images."""
    before, after = _objects(now.manifest), _objects(goal.manifest)
    lines = []
    for message, names in (("restored", after.keys() - before.keys()), ("removed", before.keys() - after.keys())):
        if names:
            lines.append(f"{message}: {_some(names)}")
    changed = {name for name in before.keys() & after.keys() if before[name] != after[name]}
    for name in sorted(changed):
        old, new = images(before[name]), images(after[name])
        lines += [
            f"{name}, container {one}: image {old.get(one, 'none')} -> {new.get(one, 'none')}"
            for one in sorted(old.keys() | new.keys())
            if old.get(one) != new.get(one)
        ]
    if changed:
        lines.append(f"changed: {_some(changed)}")
    return lines


def installs(release: Release, ref: ObjectRef, namespace: str) -> bool:
    """Whether that object is in its manifest. `namespace`: the release's, for objects that name none."""
    found = _objects(release.manifest).get(f"{ref.kind.title} {ref.name}")
    return found is not None and ((found.get("metadata") or {}).get("namespace") or namespace) == ref.namespace


def replicas(release: Release, ref: ObjectRef) -> int | None:
    """The replicas that it sets for that workload; None if it sets none, and so leaves them alone."""
    found = _objects(release.manifest).get(f"{ref.kind.title} {ref.name}")
    count = ((found or {}).get("spec") or {}).get("replicas")
    return count if isinstance(count, int) else None


def images_of(release: Release, name: str) -> dict[str, str]:
    """The images of the object with that kind and name, by container."""
    return images(_objects(release.manifest).get(name, {}))


def run_hooks(goal: Release) -> tuple[HelmHook, ...]:
    """The hooks that run in a rollback to that version."""
    return tuple(one for one in goal.hooks if set(one.events) & set(_ROLLING))


def _release(secret: KubernetesObject) -> Release:
    try:
        data = _decoded(str(secret["data"]["release"]))
        info, chart = data["info"], (data.get("chart") or {}).get("metadata") or {}
        return Release(
            version=int(data["version"]),
            status=str(info["status"]),
            chart=f"{chart.get('name', '?')}-{chart.get('version', '?')}",
            description=str(info.get("description", "")),
            at=_time(str(info.get("last_deployed", ""))),
            manifest=str(data.get("manifest", "")),
            hooks=tuple(map(_hook, data.get("hooks") or ())),
            method=str(data.get("apply_method") or ""),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OSError, EOFError, zlib.error, binascii.Error):
        name = (secret.get("metadata") or {}).get("name", "?")
        raise _refused(f"Secret {name} is not in Helm's format, so its version cannot be read.") from None


def _decoded(text: str) -> Any:
    raw = base64.b64decode(base64.b64decode(text, validate=True), validate=True)
    if raw[:2] == _GZIP:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as packed:
            raw = packed.read(_MOST + 1)
    if len(raw) > _MOST:
        raise ValueError
    return json.loads(raw)


def _hook(data: Mapping[str, Any]) -> HelmHook:
    return HelmHook(
        kind=str(data.get("kind", "?")), name=str(data.get("name", "?")), events=tuple(data.get("events") or ())
    )


def _time(message: str) -> datetime | None:
    """Helm writes nanoseconds, of which Python reads six digits."""
    try:
        at = datetime.fromisoformat(message)
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else None


def objects(manifest: str) -> Sequence[Mapping[str, Any]]:
    """The objects that it installs, in order. An invalid manifest gives none: Helm reports that itself."""
    try:
        return [one for one in yaml.load_all(manifest, Loader=_LOADER) if isinstance(one, dict)]
    except yaml.YAMLError:
        return []


def kind_and_name(thing: Mapping[str, Any]) -> str:
    """ "Kind name"."""
    return f"{thing.get('kind', '?')} {(thing.get('metadata') or {}).get('name', '?')}"


def _objects(manifest: str) -> dict[str, Mapping[str, Any]]:
    return {kind_and_name(one): one for one in objects(manifest)}


def images(thing: Mapping[str, Any]) -> dict[str, str]:
    """By container."""
    return {str(one.get("name", "?")): str(one.get("image", "")) for one in _containers(thing)}


def _containers(thing: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    spec = ((thing.get("spec") or {}).get("template") or {}).get("spec") or {}
    for name in ("initContainers", "containers"):
        yield from spec.get(name) or ()


def _some(names: Any) -> str:
    shown = sorted(names)
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more


def _refused(message: str) -> Rejected:
    return Rejected(f"{message} Nothing was done.", code="no_revision", status=HTTPStatus.CONFLICT)
