"""What "so many replicas" means for a workload: which lever, to which values, and the words that bring it back. Pure.

Without an autoscaler the workload itself. With one its floor, and its ceiling where that is in the way or was named; 0
switches an HPA off by the workload's own count, and pauses KEDA. Whoever names a ceiling speaks of floor and ceiling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bot.clusters import Ref, Thing
from bot.ports import Rejected
from bot.workloads import levers, status
from bot.workloads.autoscalers import Autoscaler
from bot.workloads.levers import ABSENT, Lever


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """`scale <service> <count> [max <ceiling>]`."""

    service: str
    count: int
    ceiling: int | None = None

    def __str__(self) -> str:
        return f"scale {self.service} {self.count}{'' if self.ceiling is None else f' max {self.ceiling}'}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """What is written, and what comes of it at once."""

    lever: Lever
    ref: Ref
    before: Mapping[str, str]
    after: Mapping[str, str]
    back: Wish | None  #: what undoes it; None where no words do
    effect: tuple[str, ...]
    old: int  #: replicas that are wanted now
    new: int  #: and that are wanted then, as far as nothing but this write decides it
    low: int  #: the fewest that there may be, and could not be before

    @property
    def forced(self) -> bool:
        """Whether the autoscaler has no say in how many there are."""
        return self.lever.kind is None or self.after.get("paused", ABSENT) != ABSENT

    @property
    def changed(self) -> tuple[levers.Value, ...]:
        return tuple(one for one in self.lever.values if self.before[one.name] != self.after[one.name])


def move_of(wish: Wish, ref: Ref, workload: Thing, auto: Autoscaler | None) -> Move:
    """Raises `Rejected` where it is so already, or where it would not stay."""
    old = status.wanted(workload)
    if auto is None or auto.frozen:
        return _by_hand(wish, ref, old, _if_frozen(auto))
    if auto.keda:
        if wish.ceiling is None and (wish.count == 0 or auto.paused_at is not None):
            return _paused(wish, auto, old)
        return _between(wish, auto, old)
    if wish.ceiling is None and wish.count == 0:
        return _switched_off(wish, ref, auto, old)
    if wish.ceiling is None and old == 0 and auto.pauses_at_zero:
        return _switched_on(wish, ref, auto)
    return _between(wish, auto, old)


def settled(wish: Wish, before: Mapping[str, str]) -> dict[str, str]:
    """The values that are asked for, where these are now."""
    if "replicas" in before:
        return {"replicas": str(wish.count)}
    pausing = wish.ceiling is None and (wish.count == 0 or before.get("paused", ABSENT) != ABSENT)
    if "paused" in before and pausing:
        return {**before, "paused": str(wish.count)}
    ceiling = max(int(before["ceiling"]), wish.count) if wish.ceiling is None else wish.ceiling
    unpaused = {"paused": ABSENT} if "paused" in before else {}
    return {"floor": str(wish.count), "ceiling": str(ceiling), **unpaused}


def reverse_of(move: Move) -> Move:
    """What undoing it does."""
    low = min(move.old, move.new) if move.forced else min(int(move.before["floor"]), move.old)
    return replace(move, before=move.after, after=move.before, old=move.new, new=move.old, low=low)


def _by_hand(wish: Wish, ref: Ref, old: int, more: tuple[str, ...]) -> Move:
    if wish.ceiling is not None:
        said = f"{wish.service} has no autoscaler at work, so that there is no ceiling to set. Nothing was done."
        raise Rejected(f"{said} Leave out `max`.", code="no_autoscaler", status=409)
    if wish.count == old:
        raise _already(wish, f"has {_replicas(old)} already")
    before = {"replicas": str(old)}
    return Move(
        lever=levers.WORKLOAD,
        ref=ref,
        before=before,
        after=settled(wish, before),
        back=Wish(service=wish.service, count=old),
        effect=(f"{ref} goes from {old} to {_replicas(wish.count)}.", *more),
        old=old,
        new=wish.count,
        low=wish.count,
    )


def _if_frozen(auto: Autoscaler | None) -> tuple[str, ...]:
    if auto is None:
        return ()
    said = f"KEDA scales it by {auto.ref}, and is paused by an annotation there, so that this stays until that ends."
    return (said,)


def _switched_off(wish: Wish, ref: Ref, auto: Autoscaler, old: int) -> Move:
    if not auto.pauses_at_zero and old:
        said = f"{auto.ref} may go to 0 by itself (minReplicas 0), and would undo a 0 by hand as soon as it likes to."
        raise Rejected(f"{said} Nothing was done. Say `scale {wish.service} 0 max 1`.", code="not_ours", status=409)
    off = f"That switches {auto.ref} off: it does nothing while there are 0, and is on again with the first replica."
    return _by_hand(wish, ref, old, (off,))


def _switched_on(wish: Wish, ref: Ref, auto: Autoscaler) -> Move:
    if wish.count < auto.floor:
        said = f"{auto.ref} is on again with the first replica, and has at least {auto.floor}. Nothing was done."
        lower = replace(wish, ceiling=auto.ceiling)
        raise Rejected(f"{said} Lower that first: `{lower}`.", code="below_floor", status=409)
    if wish.count > auto.ceiling:
        said = f"{auto.ref} lets it have at most {auto.ceiling}. Nothing was done."
        higher = replace(wish, ceiling=wish.count)
        raise Rejected(f"{said} Raise that first: `{higher}`.", code="above_ceiling", status=409)
    on = f"That switches {auto.ref} on again, which then keeps it between {auto.floor} and {auto.ceiling}."
    return _by_hand(wish, ref, 0, (on,))


def _between(wish: Wish, auto: Autoscaler, old: int) -> Move:
    """Floor and ceiling, and with KEDA the end of a pause."""
    before = _values(auto)
    after = settled(wish, before)
    floor, ceiling = int(after["floor"]), int(after["ceiling"])
    if after == before:
        held = replace(wish, ceiling=wish.count)
        hint = f" `{held}` would hold it at {wish.count}." if 0 < wish.count < ceiling else ""
        hint += "".join(f" {said}" for said in _of_metrics(auto, stays=floor < old))
        raise _already(wish, f"is kept between {floor} and {ceiling} by {auto.ref} already", hint)
    off = old == 0 and not auto.keda and auto.pauses_at_zero
    new = old if off else min(max(old, floor), ceiling)
    return Move(
        lever=levers.KEDA if auto.keda else levers.HPA,
        ref=auto.ref,
        before=before,
        after=after,
        back=_way_back(wish, auto, after),
        effect=(
            *_of_pause(auto),
            *_of_bounds(wish, auto, ceiling),
            *_of_count(old, new, off=off),
            *_one_way(auto),
            *_of_metrics(auto, stays=floor < new and not off),
        ),
        old=old,
        new=new,
        low=floor if floor < auto.floor else new,
    )


def _way_back(wish: Wish, auto: Autoscaler, after: Mapping[str, str]) -> Wish | None:
    bounds = Wish(service=wish.service, count=auto.floor, ceiling=auto.ceiling)
    if auto.paused_at is None:
        return bounds
    paused_again = replace(bounds, count=0, ceiling=None)
    same = {**_values(auto), "paused": ABSENT} == after
    return paused_again if same and auto.paused_at == "0" else None


def _paused(wish: Wish, auto: Autoscaler, old: int) -> Move:
    """The annotation is set, or changed. Only naming a ceiling takes it away."""
    before = _values(auto)
    if before["paused"] == str(wish.count):
        raise _already(wish, f"is paused at {wish.count} by an annotation of {auto.ref} already")
    resumed = Wish(service=wish.service, count=auto.floor, ceiling=auto.ceiling)
    ends = f"`{resumed}` ends the pause."
    if auto.paused_at is None:
        back: Wish | None = resumed
        said = f"KEDA is paused at {wish.count} by an annotation of {auto.ref}, and removes its autoscaler. {ends}"
    else:
        back = replace(wish, count=int(auto.paused_at)) if auto.paused_at.isdecimal() else None
        said = f"KEDA is paused by an annotation of {auto.ref}: at {wish.count} instead of {auto.paused_at}. {ends}"
    return Move(
        lever=levers.KEDA,
        ref=auto.ref,
        before=before,
        after=settled(wish, before),
        back=back,
        effect=(said, *_of_count(old, wish.count, off=False)),
        old=old,
        new=wish.count,
        low=wish.count,
    )


def _values(auto: Autoscaler) -> dict[str, str]:
    bounds = {"floor": str(auto.floor), "ceiling": str(auto.ceiling)}
    return {**bounds, "paused": auto.paused_at or ABSENT} if auto.keda else bounds


def _of_pause(auto: Autoscaler) -> tuple[str, ...]:
    if auto.paused_at is None:
        return ()
    return (f"KEDA is paused at {auto.paused_at} by an annotation of {auto.ref}; that is taken away.",)


def _of_bounds(wish: Wish, auto: Autoscaler, ceiling: int) -> tuple[str, ...]:
    """The autoscaler decides, so that is what is said first."""
    said = [f"{auto.ref} scales it, so that its bounds are changed, and not the workload."]
    if wish.count != auto.floor:
        said.append(f"Floor: at least {wish.count}, instead of {auto.floor}.")
    if ceiling != auto.ceiling:
        why = ", because the floor would be above it" if wish.ceiling is None else ""
        said.append(f"Ceiling: at most {ceiling}, instead of {auto.ceiling}{why}.")
    elif _is_capped(auto):
        said.append(f"It wants more than its ceiling of {ceiling} lets it have; `max` raises that.")
    return tuple(said)


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
    if auto.stuck:
        return (f"{auto.ref} says that it cannot scale ({auto.stuck}): not even its floor holds before that ends.",)
    if auto.fallback is not None:
        return (f"Triggers of {auto.ref} fail, and its fallback asks for {_replicas(auto.fallback)} meanwhile.",)
    if not auto.blind:
        return ()
    said = f"{auto.ref} has no metrics ({auto.blind}): floor and ceiling hold, and between them it does nothing."
    if not stays:
        return (said,)
    return (said, "So the count does not fall before they are back; a lower ceiling, by `max`, brings it down at once.")


def _already(wish: Wish, said: str, hint: str = "") -> Rejected:
    return Rejected(f"{wish.service} {said}. Nothing was done.{hint}", code="already", status=409)


def _replicas(count: int) -> str:
    return f"{count} replica{'' if count == 1 else 's'}"
