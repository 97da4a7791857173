"""Which fields the bot holds of what it has written to, and how it gives them up again.

A write makes its manager the holder of a field. Whoever keeps the object by server-side apply (Helm 4, `kubectl apply
--server-side`) is from then on told of a conflict, until it forces the field, or the bot gives it up: not by writing
the old value, which it would hold just the same, but by taking itself out of the object's managed fields. The trap:
that is done on the object itself; in what comes through /scale or /status the API server ignores managed fields.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#clearing-managedfields
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.kubernetes import KubernetesObject, ObjectRef, PatchType
from bot.core.site import ServiceTarget
from bot.workloads.objects import run_markers
from bot.workloads.objects import target as place
from bot.workloads.objects.owners import ManagedBy, owner_of
from bot.workloads.scale.patch import PatchValue

_TRIES = 5  #: its controller writes its status meanwhile, and each of those is another version
Path = tuple[str, ...]
#: In the plan of an undo.
GIVES_UP = "Then the bot gives up its hold on it, so that whoever deploys it next is told of no conflict."


def heirs(thing: KubernetesObject, paths: Sequence[Path]) -> tuple[str, ...]:
    """Who says by server-side apply what the bot has set and still holds: the same value, which is theirs as well."""
    ours = [path for path in paths if any(run_markers.run_of(who) for who in run_markers.holders_of(thing, *path))]
    return tuple(dict.fromkeys(who for path in ours for who in run_markers.appliers_of(thing, *path)))


def holds(thing: KubernetesObject, paths: Sequence[Path]) -> bool:
    """Whether the bot still holds any of these fields."""
    return any(run_markers.run_of(who) for path in paths for who in run_markers.holders_of(thing, *path))


def may_give_up(target: ServiceTarget, ref: ObjectRef) -> bool:
    """Whether whoever writes there may change the object itself, which a /scale alone does not take."""
    wanted = place.patch_access(ref)
    known = target.person is None or target.cluster.allowed_for(target.person, wanted)
    return known and target.cluster.allowed(wanted)


def given_up(target: ServiceTarget, ref: ObjectRef, paths: Sequence[Path], run: str) -> str:
    """Take the bot out of those who hold these fields of the object. Returns why not: a few words, or ""."""
    reason = "it changes all the time"
    for _ in range(_TRIES):
        try:
            thing = target.cluster.get(ref)
            if thing is None:
                return ""
            held = (thing.get("metadata") or {}).get("managedFields") or []
            left = _without(held, paths)
            if left == held:
                return ""
            target.cluster.patch(ref, _steps(thing, left, run), how=PatchType.JSON, by=run_markers.field_manager(run))
        except Conflict:
            continue
        except (Rejected, OutcomeUnknown) as trouble:
            reason = trouble.message.partition(" Nothing was done.")[0].rstrip(".")
            break
        return ""
    return reason


def words(
    target: ServiceTarget, ref: ObjectRef, thing: KubernetesObject, changed: Sequence[PatchValue], *, undoing: bool
) -> tuple[str, ...]:
    """What a change of these values of `thing` means for who holds them: a sentence each."""
    if undoing and may_give_up(target, ref):
        return (GIVES_UP,)
    if undoing:
        return (f"The bot goes on holding it, because it may not patch {ref} itself, which giving it up takes.",)
    owner = owner_of(thing, ref)
    if owner.by is not ManagedBy.NOBODY:  # What that one does about it is told already.
        return ()
    kept = {one.path: who for one in changed if (who := run_markers.appliers_of(thing, *one.path))}
    return tuple(
        f"{' and '.join(map(run_markers.manager_name, who))} keeps .{'.'.join(path)} of {ref} by server-side apply, "
        "and is told of"
        " a conflict until it forces that field, or this is undone."
        for path, who in kept.items()
    )


def _steps(thing: KubernetesObject, left: list[Any], run: str) -> list[dict[str, object]]:
    """The mark of the run is set as well: the managed fields do not bear it any more."""
    meta = thing["metadata"]
    return [
        {"op": "test", "path": "/metadata/uid", "value": meta["uid"]},
        {"op": "test", "path": "/metadata/resourceVersion", "value": meta["resourceVersion"]},
        {"op": "replace", "path": "/metadata/managedFields", "value": left},
        *run_markers.annotation_patch(thing, run_markers.annotation(run)),
    ]


def _without(held: Sequence[Mapping[str, Any]], paths: Sequence[Path]) -> list[Any]:
    left = []
    for entry in held:
        fields = entry.get("fieldsV1") or {}
        if run_markers.run_of(str(entry.get("manager", ""))):
            for path in paths:
                fields = _cut(fields, path)
        if fields:
            left.append({**entry, "fieldsV1": fields})
    return left


def _cut(fields: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The tree without that branch, nor what is empty without it."""
    first, *rest = path
    made = dict(fields)
    name = f"f:{first}"
    if name not in made:
        return made
    below = _cut(made[name], tuple(rest)) if rest else {}
    if below:
        made[name] = below
    else:
        del made[name]
    return made
