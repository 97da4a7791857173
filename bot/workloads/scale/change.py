"""Turns "so many replicas" into a change: what is patched, to which values, and the request that undoes it. Pure.

Without an autoscaler the workload itself is scaled. With one, its floor is changed, and its ceiling if that is in the
way or was given; 0 switches an HPA off through the workload's own count, and pauses KEDA. A request with a ceiling
always means the autoscaler's floor and ceiling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bot.core.errors import Rejected
from bot.core.kubernetes import KubernetesObject, ObjectRef
from bot.workloads.objects import status
from bot.workloads.scale import patch as patches
from bot.workloads.scale.autoscalers import Autoscaler
from bot.workloads.scale.patch import ABSENT, ScalePatch


@dataclass(frozen=True, kw_only=True, slots=True)
class ScaleRequest:
    """`scale <service> <count> [max <ceiling>]`."""

    service: str
    count: int
    ceiling: int | None = None

    def __str__(self) -> str:
        return f"scale {self.service} {self.count}{'' if self.ceiling is None else f' max {self.ceiling}'}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ScaleChange:
    """What is written, and its immediate effect."""

    patch: ScalePatch
    ref: ObjectRef
    before: Mapping[str, str]
    after: Mapping[str, str]
    undo: ScaleRequest | None  #: the request that undoes it; None if none can
    effect: tuple[str, ...]
    old: int  #: desired replicas now
    new: int  #: desired replicas right after, as far as this write alone decides that
    low: int  #: the fewest possible replicas, if fewer than before

    @property
    def forced(self) -> bool:
        """Whether the autoscaler no longer decides how many replicas there are."""
        return self.patch.kind is None or self.after.get("paused", ABSENT) != ABSENT

    @property
    def changed(self) -> tuple[patches.PatchValue, ...]:
        return tuple(one for one in self.patch.values if self.before[one.name] != self.after[one.name])


def change_of(
    request: ScaleRequest, ref: ObjectRef, workload: KubernetesObject, auto: Autoscaler | None
) -> ScaleChange:
    """Raises `Rejected` if it is so already, or would not stay."""
    old = status.desired_replicas(workload)
    if auto is None or auto.frozen:
        return _by_hand(request, ref, old, _if_frozen(auto))
    if auto.keda:
        if request.ceiling is None and (request.count == 0 or auto.paused_at is not None):
            return _paused(request, auto, old)
        return _between(request, auto, old)
    if request.ceiling is None and request.count == 0:
        return _switched_off(request, ref, auto, old)
    if request.ceiling is None and old == 0 and auto.pauses_at_zero:
        return _switched_on(request, ref, auto)
    return _between(request, auto, old)


def target_values(request: ScaleRequest, before: Mapping[str, str]) -> dict[str, str]:
    """The requested values, given the current ones."""
    if "replicas" in before:
        return {"replicas": str(request.count)}
    pausing = request.ceiling is None and (request.count == 0 or before.get("paused", ABSENT) != ABSENT)
    if "paused" in before and pausing:
        return {**before, "paused": str(request.count)}
    ceiling = max(int(before["ceiling"]), request.count) if request.ceiling is None else request.ceiling
    unpaused = {"paused": ABSENT} if "paused" in before else {}
    return {"floor": str(request.count), "ceiling": str(ceiling), **unpaused}


def reverse(change: ScaleChange) -> ScaleChange:
    """The change that undoes it."""
    low = min(change.old, change.new) if change.forced else min(int(change.before["floor"]), change.old)
    return replace(change, before=change.after, after=change.before, old=change.new, new=change.old, low=low)


def _by_hand(request: ScaleRequest, ref: ObjectRef, old: int, more: tuple[str, ...]) -> ScaleChange:
    if request.ceiling is not None:
        message = f"{request.service} has no active autoscaler, so there is no ceiling to set. Nothing was done."
        raise Rejected(f"{message} Leave out `max`.", code="no_autoscaler", status=409)
    if request.count == old:
        raise _already(request, f"has {spell_replicas(old)} already")
    before = {"replicas": str(old)}
    return ScaleChange(
        patch=patches.WORKLOAD,
        ref=ref,
        before=before,
        after=target_values(request, before),
        undo=ScaleRequest(service=request.service, count=old),
        effect=(f"{ref} goes from {old} to {spell_replicas(request.count)}.", *more),
        old=old,
        new=request.count,
        low=request.count,
    )


def _if_frozen(auto: Autoscaler | None) -> tuple[str, ...]:
    if auto is None:
        return ()
    message = f"KEDA scales it by {auto.ref}, and is paused by an annotation there: this stays until that ends."
    return (message,)


def _switched_off(request: ScaleRequest, ref: ObjectRef, auto: Autoscaler, old: int) -> ScaleChange:
    if not auto.pauses_at_zero and old:
        message = (
            f"{auto.ref} may scale to 0 by itself (minReplicas 0), and would scale up from a manual 0 at any time."
        )
        raise Rejected(
            f"{message} Nothing was done. Use `scale {request.service} 0 max 1`.", code="not_ours", status=409
        )
    off = f"That switches {auto.ref} off until there is a replica again."
    return _by_hand(request, ref, old, (off,))


def _switched_on(request: ScaleRequest, ref: ObjectRef, auto: Autoscaler) -> ScaleChange:
    if request.count < auto.floor:
        message = f"{auto.ref} switches on with the first replica, and its floor is {auto.floor}. Nothing was done."
        lower = replace(request, ceiling=auto.ceiling)
        raise Rejected(f"{message} Lower the floor first: `{lower}`.", code="below_floor", status=409)
    if request.count > auto.ceiling:
        message = f"The ceiling of {auto.ref} is {auto.ceiling}. Nothing was done."
        higher = replace(request, ceiling=request.count)
        raise Rejected(f"{message} Raise the ceiling first: `{higher}`.", code="above_ceiling", status=409)
    on = f"That switches {auto.ref} on again: from {auto.floor} to {auto.ceiling} replicas."
    return _by_hand(request, ref, 0, (on,))


def _between(request: ScaleRequest, auto: Autoscaler, old: int) -> ScaleChange:
    """Changes floor and ceiling, and with KEDA ends a pause."""
    before = _values(auto)
    after = target_values(request, before)
    floor, ceiling = int(after["floor"]), int(after["ceiling"])
    if after == before:
        held = replace(request, ceiling=request.count)
        hint = f" `{held}` would hold it at {request.count}." if 0 < request.count < ceiling else ""
        hint += "".join(f" {message}" for message in _of_metrics(auto, stays=floor < old))
        raise _already(request, f"is kept between {floor} and {ceiling} by {auto.ref} already", hint)
    off = old == 0 and not auto.keda and auto.pauses_at_zero
    new = old if off else min(max(old, floor), ceiling)
    return ScaleChange(
        patch=patches.KEDA if auto.keda else patches.HPA,
        ref=auto.ref,
        before=before,
        after=after,
        undo=_undo_request(request, auto, after),
        effect=(
            *_of_pause(auto),
            *_of_bounds(request, auto, ceiling),
            *_of_count(old, new, off=off),
            *_one_way(auto),
            *_of_metrics(auto, stays=floor < new and not off),
        ),
        old=old,
        new=new,
        low=floor if floor < auto.floor else new,
    )


def _undo_request(request: ScaleRequest, auto: Autoscaler, after: Mapping[str, str]) -> ScaleRequest | None:
    bounds = ScaleRequest(service=request.service, count=auto.floor, ceiling=auto.ceiling)
    if auto.paused_at is None:
        return bounds
    paused_again = replace(bounds, count=0, ceiling=None)
    same = {**_values(auto), "paused": ABSENT} == after
    return paused_again if same and auto.paused_at == "0" else None


def _paused(request: ScaleRequest, auto: Autoscaler, old: int) -> ScaleChange:
    """Sets or changes KEDA's annotation. Only a request with a ceiling removes it."""
    before = _values(auto)
    if before["paused"] == str(request.count):
        raise _already(request, f"is paused at {request.count} by an annotation of {auto.ref} already")
    resumed = ScaleRequest(service=request.service, count=auto.floor, ceiling=auto.ceiling)
    ends, count = f"`{resumed}` ends the pause.", spell_replicas(request.count)
    if auto.paused_at is None:
        back: ScaleRequest | None = resumed
        message = f"KEDA is paused at {count} by an annotation of {auto.ref}, and removes its HPA. {ends}"
    else:
        back = replace(request, count=int(auto.paused_at)) if auto.paused_at.isdecimal() else None
        message = f"KEDA stays paused by an annotation of {auto.ref}: at {count} instead of {auto.paused_at}. {ends}"
    return ScaleChange(
        patch=patches.KEDA,
        ref=auto.ref,
        before=before,
        after=target_values(request, before),
        undo=back,
        effect=(message, *_of_count(old, request.count, off=False)),
        old=old,
        new=request.count,
        low=request.count,
    )


def _values(auto: Autoscaler) -> dict[str, str]:
    bounds = {"floor": str(auto.floor), "ceiling": str(auto.ceiling)}
    return {**bounds, "paused": auto.paused_at or ABSENT} if auto.keda else bounds


def _of_pause(auto: Autoscaler) -> tuple[str, ...]:
    if auto.paused_at is None:
        return ()
    return (f"KEDA is paused at {auto.paused_at} by an annotation of {auto.ref}, which is removed.",)


def _of_bounds(request: ScaleRequest, auto: Autoscaler, ceiling: int) -> tuple[str, ...]:
    """The changed bounds come first, because the autoscaler decides by them."""
    message = [f"{auto.ref} scales it, so its bounds are changed, not the workload."]
    if request.count != auto.floor:
        message.append(f"Floor: at least {request.count}, instead of {auto.floor}.")
    if ceiling != auto.ceiling:
        reason = ", because the floor would exceed it" if request.ceiling is None else ""
        message.append(f"Ceiling: at most {ceiling}, instead of {auto.ceiling}{reason}.")
    elif _is_capped(auto):
        message.append(f"It wants more replicas than its ceiling of {ceiling}; `max` raises that.")
    return tuple(message)


def _is_capped(auto: Autoscaler) -> bool:
    limited = status.condition(auto.thing, "ScalingLimited")
    return (limited.get("status"), limited.get("reason")) == ("True", "TooManyReplicas")


def _of_count(old: int, new: int, *, off: bool) -> tuple[str, ...]:
    """Without the old count: another scaler changes that meanwhile, and each count would make another plan."""
    if off:
        return ("It is switched off while there are 0 replicas: nothing is scaled before that ends.",)
    if new != old:
        return (f"It goes to {spell_replicas(new)} at once.",)
    return ()


def _one_way(auto: Autoscaler) -> tuple[str, ...]:
    if not auto.one_way:
        return ()
    return (f"An annotation of {auto.ref} keeps KEDA from scaling it {auto.one_way}.",)


def _of_metrics(auto: Autoscaler, *, stays: bool) -> tuple[str, ...]:
    """What the autoscaler itself says it cannot do. `stays`: there are more replicas than its floor."""
    if auto.failure:
        return (f"{auto.ref} cannot scale ({auto.failure}): not even its floor holds before that ends.",)
    if auto.fallback is not None:
        return (f"Triggers of {auto.ref} fail; its fallback wants {spell_replicas(auto.fallback)} meanwhile.",)
    if not auto.missing_metrics:
        return ()
    message = (
        f"{auto.ref} has no metrics ({auto.missing_metrics}): floor and ceiling hold, and between them it does nothing."
    )
    if not stays:
        return (message,)
    return (
        message,
        "So the count does not fall before they are back. A lower ceiling, by `max`, reduces it at once.",
    )


def _already(request: ScaleRequest, message: str, hint: str = "") -> Rejected:
    return Rejected(f"{request.service} {message}. Nothing was done.{hint}", code="already", status=409)


def spell_replicas(count: int) -> str:
    return f"{count} replica{'' if count == 1 else 's'}"
