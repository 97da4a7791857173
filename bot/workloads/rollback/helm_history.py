"""What Helm keeps of a release: one Secret for each version, and in it everything that it installed. Pure.

The Secret's `release` is the base64 of Kubernetes around the base64 of Helm around gzip around JSON.
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

#: The field manager of Helm's program, whatever its file is called.
MANAGER = "helm"
#: Versions that were in service, and can be again.
GOOD = ("deployed", "superseded")
#: Since these Helm goes back over an object that its newest version no longer has, and that still exists.
_OVER_DROPPED = {3: 22, 4: 2}  # by its major version, the minor one
_ON_SERVER = 4  #: the first major version that applies on the server's side
#: An operation that is younger is believed to be under way.
UNDER_WAY = timedelta(minutes=15)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_GZIP = b"\x1f\x8b"
_MOST = 64 * 1024 * 1024  #: bytes of one release, unpacked
_SHOWN = 8
_ROLLING = ("pre-rollback", "post-rollback")


@dataclass(frozen=True, kw_only=True, slots=True)
class HelmHook:
    """What runs around an operation, such as a Job that migrates a database."""

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
    at: datetime | None  #: when it was deployed last; None where it does not say
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
    """From where to where."""

    now: Release
    goal: Release
    others: tuple[Release, ...]  #: to which it could go as well, the newest first


def releases(secrets: Sequence[KubernetesObject]) -> Sequence[Release]:
    """From the oldest to the newest. Raises `Rejected` where one cannot be read."""
    return sorted(map(_release, secrets), key=lambda one: one.version)


def choose(kept: Sequence[Release], wish: str) -> HelmChoice:
    """The version of that number; without one the newest good one that installed something else.

    Raises:
        Rejected: there is none.
    """
    if not kept:
        raise _refused("Helm keeps no version of it.")
    *older, now = kept
    older.reverse()
    others = tuple(one for one in older if one.status in GOOD and one.hash != now.hash)
    if not wish:
        if not others:
            raise _refused(f"Helm keeps no older version that was in service and differs from {now}.")
        return HelmChoice(now=now, goal=others[0], others=others[1:])
    meant = next((one for one in (now, *older) if str(one.version) == wish), None)
    if meant is None:
        raise _refused(f"Helm keeps no version {wish}. It keeps {listed(others) or f'only {now}'}.")
    if meant is now:
        raise _refused(f"That is the newest already: {now}.")
    if meant.status not in GOOD:
        raise _refused(f"It was never in service: {meant}. Choose one of {listed(others) or 'none'}.")
    return HelmChoice(now=now, goal=meant, others=tuple(one for one in others if one is not meant))


def listed(some: Sequence[Release]) -> str:
    more = f" and {len(some) - _SHOWN} more" if len(some) > _SHOWN else ""
    return ", ".join(map(str, some[:_SHOWN])) + more


def in_progress(one: Release, now: datetime) -> bool:
    """Whether somebody is at work on it; one that does not say since when is taken for that."""
    return one.is_pending and (one.at is None or now - one.at < UNDER_WAY)


def applies_on_server(program: tuple[int, int], goal: Release) -> bool:
    """Whether that program rolls back to it by server-side apply: Helm 4 goes back by the way that version came by."""
    return program[0] >= _ON_SERVER and goal.method == "ssa"


def goes_over_dropped(program: tuple[int, int]) -> bool:
    """Whether it rolls back to a version with an object that the newest one dropped, and that is still there."""
    major, minor = program
    return minor >= _OVER_DROPPED.get(major, 0)


def dropped(now: Release, goal: Release) -> frozenset[str]:
    """What `goal` installs and `now` does not, each as `kind_and_name` says."""
    return frozenset(_objects(goal.manifest).keys() - _objects(now.manifest).keys())


def differences(now: Release, goal: Release) -> list[str]:
    """What goes, comes and changes with it: a few words each, no values but images."""
    before, after = _objects(now.manifest), _objects(goal.manifest)
    lines = []
    for message, names in (("comes back", after.keys() - before.keys()), ("goes away", before.keys() - after.keys())):
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
        lines.append(f"changes: {_some(changed)}")
    return lines


def installs(release: Release, ref: ObjectRef, namespace: str) -> bool:
    """Whether that object is in its manifest. `namespace`: the release's, for what names none."""
    found = _objects(release.manifest).get(f"{ref.kind.title} {ref.name}")
    return found is not None and ((found.get("metadata") or {}).get("namespace") or namespace) == ref.namespace


def replicas(release: Release, ref: ObjectRef) -> int | None:
    """How many replicas it says that workload has; None where it says none, and leaves them alone."""
    found = _objects(release.manifest).get(f"{ref.kind.title} {ref.name}")
    count = ((found or {}).get("spec") or {}).get("replicas")
    return count if isinstance(count, int) else None


def images_of(release: Release, name: str) -> dict[str, str]:
    """By container, of the object that is called so."""
    return images(_objects(release.manifest).get(name, {}))


def run_hooks(goal: Release) -> tuple[HelmHook, ...]:
    """Those that run when it is rolled back to."""
    return tuple(one for one in goal.hooks if set(one.events) & set(_ROLLING))


def _release(secret: KubernetesObject) -> Release:
    try:
        told = _decoded(str(secret["data"]["release"]))
        info, chart = told["info"], (told.get("chart") or {}).get("metadata") or {}
        return Release(
            version=int(told["version"]),
            status=str(info["status"]),
            chart=f"{chart.get('name', '?')}-{chart.get('version', '?')}",
            description=str(info.get("description", "")),
            at=_time(str(info.get("last_deployed", ""))),
            manifest=str(told.get("manifest", "")),
            hooks=tuple(map(_hook, told.get("hooks") or ())),
            method=str(told.get("apply_method") or ""),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OSError, EOFError, zlib.error, binascii.Error):
        name = (secret.get("metadata") or {}).get("name", "?")
        raise _refused(f"Secret {name} is not as Helm writes it, so that nobody knows what it keeps.") from None


def _decoded(text: str) -> Any:
    raw = base64.b64decode(base64.b64decode(text, validate=True), validate=True)
    if raw[:2] == _GZIP:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as packed:
            raw = packed.read(_MOST + 1)
    if len(raw) > _MOST:
        raise ValueError
    return json.loads(raw)


def _hook(told: Mapping[str, Any]) -> HelmHook:
    return HelmHook(
        kind=str(told.get("kind", "?")), name=str(told.get("name", "?")), events=tuple(told.get("events") or ())
    )


def _time(message: str) -> datetime | None:
    """Helm writes nanoseconds, of which Python reads six digits."""
    try:
        at = datetime.fromisoformat(message)
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else None


def objects(manifest: str) -> Sequence[Mapping[str, Any]]:
    """What it installs, in its order. A manifest that is no YAML gives nothing: Helm says so itself."""
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
