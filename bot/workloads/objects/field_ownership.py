"""Which fields the bot owns after a write (managed fields), and how it gives them up.

A write makes its manager an owner of the field. A tool that manages the object by server-side apply (Helm 4, `kubectl
apply --server-side`) then meets a conflict until it forces the field, or until the bot gives it up. Writing the old
value does not give it up: the bot has to remove itself from the object's managed fields.
The trap: that works on the object itself only; the API server ignores managed fields sent through /scale or /status.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#clearing-managedfields
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.kubernetes import KubernetesObject, ObjectRef, PatchType
from bot.core.site import ServiceTarget
from bot.workloads.objects import run_markers
from bot.workloads.objects import target as targets
from bot.workloads.objects.owners import ManagedBy, owner_of

_TRIES = 5  #: controllers write the status meanwhile, and each write is another resource version
Path = tuple[str, ...]
#: In the plan of an undo.
GIVES_UP = "Then the bot gives up its ownership of the field, so that the next deployment meets no conflict."


def heirs(thing: KubernetesObject, paths: Sequence[Path]) -> tuple[str, ...]:
    """Managers that set the same value by server-side apply as the bot, which still owns it too."""
    ours = [path for path in paths if any(run_markers.run_of(who) for who in run_markers.holders_of(thing, *path))]
    return tuple(dict.fromkeys(who for path in ours for who in run_markers.appliers_of(thing, *path)))


def holds(thing: KubernetesObject, paths: Sequence[Path]) -> bool:
    """Whether the bot still owns any of these fields."""
    return any(run_markers.run_of(who) for path in paths for who in run_markers.holders_of(thing, *path))


def may_give_up(target: ServiceTarget, ref: ObjectRef) -> bool:
    """Whether the object itself may be patched by the bot and the person; the right to patch /scale is not enough."""
    wanted = targets.patch_access(ref)
    known = target.person is None or target.cluster.allowed_for(target.person, wanted)
    return known and target.cluster.allowed(wanted)


def given_up(target: ServiceTarget, ref: ObjectRef, paths: Sequence[Path], run: str) -> str:
    """Removes the bot from the owners of these fields of the object. Returns the reason of a failure, or ""."""
    reason = "the object changes all the time"
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


def ownership_notes(
    target: ServiceTarget, ref: ObjectRef, thing: KubernetesObject, changed: Sequence[Path], *, undoing: bool
) -> tuple[str, ...]:
    """What a change of these fields of `thing` means for their owners: a sentence each."""
    if undoing and may_give_up(target, ref):
        return (GIVES_UP,)
    if undoing:
        return (f"The bot keeps its ownership of the field: to give it up, it needs the right to patch {ref} itself.",)
    owner = owner_of(thing, ref)
    if owner.by is not ManagedBy.NOBODY:  # The plan describes that owner's reaction already.
        return ()
    kept = {path: who for path in changed if (who := run_markers.appliers_of(thing, *path))}
    return tuple(
        f"{' and '.join(map(run_markers.manager_name, who))} sets .{'.'.join(path)} of {ref} by server-side apply, "
        "and meets a conflict until it forces that field, or this is undone."
        for path, who in kept.items()
    )


def _steps(thing: KubernetesObject, left: list[Any], run: str) -> list[dict[str, object]]:
    """The JSON patch. It sets the run's annotation too, because the managed fields no longer show the run."""
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
    """The tree without that branch, and without branches that are empty then."""
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
