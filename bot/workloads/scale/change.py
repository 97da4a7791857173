"""What "so many replicas" means for a workload: which lever, to which values, and the words that bring it back. Pure.

Without an autoscaler the workload itself. With one its floor, and its ceiling where that is in the way or was named; 0
switches an HPA off by the workload's own count, and pauses KEDA. Whoever names a ceiling speaks of floor and ceiling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bot.core.errors import Rejected
from bot.core.kubernetes import KubernetesObject, ObjectRef
from bot.workloads.objects import status
from bot.workloads.scale import patch as levers
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
    """What is written, and what comes of it at once."""

    patch: ScalePatch
    ref: ObjectRef
    before: Mapping[str, str]
    after: Mapping[str, str]
    undo: ScaleRequest | None  #: what undoes it; None where no words do
    effect: tuple[str, ...]
    old: int  #: replicas that are wanted now
    new: int  #: and that are wanted then, as far as nothing but this write decides it
    low: int  #: the fewest that there may be, and could not be before

    @property
    def forced(self) -> bool:
        """Whether the autoscaler has no say in how many there are."""
        return self.patch.kind is None or self.after.get("paused", ABSENT) != ABSENT

    @property
    def changed(self) -> tuple[levers.PatchValue, ...]:
        return tuple(one for one in self.patch.values if self.before[one.name] != self.after[one.name])


def change_of(
    request: ScaleRequest, ref: ObjectRef, workload: KubernetesObject, auto: Autoscaler | None
) -> ScaleChange:
    """Raises `Rejected` where it is so already, or where it would not stay."""
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
    """The values that are asked for, where these are now."""
    if "replicas" in before:
        return {"replicas": str(request.count)}
    pausing = request.ceiling is None and (request.count == 0 or before.get("paused", ABSENT) != ABSENT)
    if "paused" in before and pausing:
        return {**before, "paused": str(request.count)}
    ceiling = max(int(before["ceiling"]), request.count) if request.ceiling is None else request.ceiling
    unpaused = {"paused": ABSENT} if "paused" in before else {}
    return {"floor": str(request.count), "ceiling": str(ceiling), **unpaused}


def reverse(change: ScaleChange) -> ScaleChange:
    """What undoing it does."""
    low = min(change.old, change.new) if change.forced else min(int(change.before["floor"]), change.old)
    return replace(change, before=change.after, after=change.before, old=change.new, new=change.old, low=low)


def _by_hand(request: ScaleRequest, ref: ObjectRef, old: int, more: tuple[str, ...]) -> ScaleChange:
    if request.ceiling is not None:
        message = f"{request.service} has no autoscaler at work, so that there is no ceiling to set. Nothing was done."
        raise Rejected(f"{message} Leave out `max`.", code="no_autoscaler", status=409)
    if request.count == old:
        raise _already(request, f"has {_replicas(old)} already")
    before = {"replicas": str(old)}
    return ScaleChange(
        patch=levers.WORKLOAD,
        ref=ref,
        before=before,
        after=target_values(request, before),
        undo=ScaleRequest(service=request.service, count=old),
        effect=(f"{ref} goes from {old} to {_replicas(request.count)}.", *more),
        old=old,
        new=request.count,
        low=request.count,
    )


def _if_frozen(auto: Autoscaler | None) -> tuple[str, ...]:
    if auto is None:
        return ()
    message = f"KEDA scales it by {auto.ref}, and is paused by an annotation there, so that this stays until that ends."
    return (message,)


def _switched_off(request: ScaleRequest, ref: ObjectRef, auto: Autoscaler, old: int) -> ScaleChange:
    if not auto.pauses_at_zero and old:
        message = (
            f"{auto.ref} may go to 0 by itself (minReplicas 0), and would undo a 0 by hand as soon as it likes to."
        )
        raise Rejected(
            f"{message} Nothing was done. Say `scale {request.service} 0 max 1`.", code="not_ours", status=409
        )
    off = f"That switches {auto.ref} off: it does nothing while there are 0, and is on again with the first replica."
    return _by_hand(request, ref, old, (off,))


def _switched_on(request: ScaleRequest, ref: ObjectRef, auto: Autoscaler) -> ScaleChange:
    if request.count < auto.floor:
        message = f"{auto.ref} is on again with the first replica, and has at least {auto.floor}. Nothing was done."
        lower = replace(request, ceiling=auto.ceiling)
        raise Rejected(f"{message} Lower that first: `{lower}`.", code="below_floor", status=409)
    if request.count > auto.ceiling:
        message = f"{auto.ref} lets it have at most {auto.ceiling}. Nothing was done."
        higher = replace(request, ceiling=request.count)
        raise Rejected(f"{message} Raise that first: `{higher}`.", code="above_ceiling", status=409)
    on = f"That switches {auto.ref} on again, which then keeps it between {auto.floor} and {auto.ceiling}."
    return _by_hand(request, ref, 0, (on,))


def _between(request: ScaleRequest, auto: Autoscaler, old: int) -> ScaleChange:
    """Floor and ceiling, and with KEDA the end of a pause."""
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
        patch=levers.KEDA if auto.keda else levers.HPA,
        ref=auto.ref,
        before=before,
        after=after,
        undo=_way_back(request, auto, after),
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


def _way_back(request: ScaleRequest, auto: Autoscaler, after: Mapping[str, str]) -> ScaleRequest | None:
    bounds = ScaleRequest(service=request.service, count=auto.floor, ceiling=auto.ceiling)
    if auto.paused_at is None:
        return bounds
    paused_again = replace(bounds, count=0, ceiling=None)
    same = {**_values(auto), "paused": ABSENT} == after
    return paused_again if same and auto.paused_at == "0" else None


def _paused(request: ScaleRequest, auto: Autoscaler, old: int) -> ScaleChange:
    """The annotation is set, or changed. Only naming a ceiling takes it away."""
    before = _values(auto)
    if before["paused"] == str(request.count):
        raise _already(request, f"is paused at {request.count} by an annotation of {auto.ref} already")
    resumed = ScaleRequest(service=request.service, count=auto.floor, ceiling=auto.ceiling)
    ends = f"`{resumed}` ends the pause."
    if auto.paused_at is None:
        back: ScaleRequest | None = resumed
        message = (
            f"KEDA is paused at {request.count} by an annotation of {auto.ref}, and removes its autoscaler. {ends}"
        )
    else:
        back = replace(request, count=int(auto.paused_at)) if auto.paused_at.isdecimal() else None
        message = (
            f"KEDA is paused by an annotation of {auto.ref}: at {request.count} instead of {auto.paused_at}. {ends}"
        )
    return ScaleChange(
        patch=levers.KEDA,
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
    return (f"KEDA is paused at {auto.paused_at} by an annotation of {auto.ref}; that is taken away.",)


def _of_bounds(request: ScaleRequest, auto: Autoscaler, ceiling: int) -> tuple[str, ...]:
    """The autoscaler decides, so that is what is said first."""
    message = [f"{auto.ref} scales it, so that its bounds are changed, and not the workload."]
    if request.count != auto.floor:
        message.append(f"Floor: at least {request.count}, instead of {auto.floor}.")
    if ceiling != auto.ceiling:
        reason = ", because the floor would be above it" if request.ceiling is None else ""
        message.append(f"Ceiling: at most {ceiling}, instead of {auto.ceiling}{reason}.")
    elif _is_capped(auto):
        message.append(f"It wants more than its ceiling of {ceiling} lets it have; `max` raises that.")
    return tuple(message)


def _is_capped(auto: Autoscaler) -> bool:
    limited = status.condition(auto.thing, "ScalingLimited")
    return (limited.get("status"), limited.get("reason")) == ("True", "TooManyReplicas")


def _of_count(old: int, new: int, *, off: bool) -> tuple[str, ...]:
    """Not from how many: while it is scaled by another that changes, and each count would be another plan."""
    if off:
        return ("It is switched off while there are 0 replicas, so that nothing is scaled before that ends.",)
    if new != old:
        return (f"That takes it to {_replicas(new)} at once.",)
    return ()


def _one_way(auto: Autoscaler) -> tuple[str, ...]:
    if not auto.one_way:
        return ()
    return (f"An annotation of {auto.ref} keeps KEDA from scaling it {auto.one_way} by its metrics.",)


def _of_metrics(auto: Autoscaler, *, stays: bool) -> tuple[str, ...]:
    """What it does not do, as it says itself. `stays`: there are more than its floor."""
    if auto.failure:
        return (f"{auto.ref} says that it cannot scale ({auto.failure}): not even its floor holds before that ends.",)
    if auto.fallback is not None:
        return (f"Triggers of {auto.ref} fail, and its fallback asks for {_replicas(auto.fallback)} meanwhile.",)
    if not auto.missing_metrics:
        return ()
    message = (
        f"{auto.ref} has no metrics ({auto.missing_metrics}): floor and ceiling hold, and between them it does nothing."
    )
    if not stays:
        return (message,)
    return (
        message,
        "So the count does not fall before they are back; a lower ceiling, by `max`, brings it down at once.",
    )


def _already(request: ScaleRequest, message: str, hint: str = "") -> Rejected:
    return Rejected(f"{request.service} {message}. Nothing was done.{hint}", code="already", status=409)


def _replicas(count: int) -> str:
    return f"{count} replica{'' if count == 1 else 's'}"
