"""What keeps a workload from being scaled, or is to be known first, as far as it and the settings say. Pure.

A refusal is raised; what only has to be known is returned, a sentence each, and is a part of the plan.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.clusters import Kind, Ref, Thing
from bot.ports import Rejected
from bot.sites import Site
from bot.workloads import kinds, status
from bot.workloads.moves import Move, Wish
from bot.workloads.owners import By, Owner


def check_wish(wish: Wish, site: Site) -> None:
    """What can be told from the words and the settings alone, before anything is asked.

    Whoever names a ceiling speaks of an autoscaler's floor, which may be below the fewest that are set by hand.
    """
    bounds = site.replicas
    if wish.ceiling is not None and wish.ceiling < max(1, wish.count):
        said = f"A ceiling of {wish.ceiling} is below {max(1, wish.count)} replicas. Nothing was done."
        raise Rejected(f"{said} Name a higher `max`.", code="bad_ceiling")
    if wish.ceiling is None and not bounds.least <= wish.count <= bounds.most:
        raise _outside(site, wish.count)


def check_bounds(move: Move, site: Site) -> None:
    """Of an autoscaler's floor and ceiling, what is changed has to be within the settings as well."""
    for one in move.changed:
        count = move.after[one.name]
        if one.name in ("floor", "ceiling") and int(count) > site.replicas.most:
            raise _outside(site, int(count))


def check_step(move: Move, wish: Wish, site: Site) -> None:
    """The largest step at once, of replicas or of a ceiling. To 0 and back is none: that needs another person.

    What a floor brings at once counts too; but not where a ceiling is named, as in the words of every undo, because
    the autoscaler may have gone down meanwhile, and the way back has to be there.
    """
    for one in move.changed:
        before, after = move.before[one.name], move.after[one.name]
        if one.name == "ceiling":
            _check_step(int(before), int(after), site, "a ceiling of ")
        elif one.name != "floor" and (before + after).isdecimal():
            _check_step(int(before), int(after), site)
    if wish.ceiling is None:
        _check_step(move.old, move.new, site)


def check_workload(ref: Ref, thing: Thing, owner: Owner, rollouts: Sequence[Thing]) -> None:
    """Whether it is one that may be scaled at all, as it stands."""
    if owner.by is By.OPERATOR:
        said = f"{ref} belongs to {owner.kind} {owner.name}, whose operator sets its replicas back. Nothing was done."
        raise Rejected(f"{said} Scale the {owner.kind}.", code="operator", status=409)
    for one in rollouts:
        named = (one.get("spec") or {}).get("workloadRef") or {}
        if (named.get("kind"), named.get("name")) == (ref.kind.title, ref.name):
            rollout = one["metadata"]["name"]
            said = f"Rollout {rollout} runs the pods of {ref}, and holds that itself at 0. Nothing was done."
            raise Rejected(f"{said} Set `workload: rollout/{rollout}` of the service.", code="workload_ref", status=409)
    if ref.kind == kinds.ROLLOUT and (thing.get("spec") or {}).get("paused"):
        said = f"{ref} is paused (spec.paused), and Argo Rollouts scales nothing of it before it is resumed."
        raise Rejected(f"{said} Nothing was done. Resume it first.", code="paused", status=409)


def check_data(move: Move, ref: Ref, thing: Thing, site: Site) -> None:
    """What scaling down would destroy: volumes, and a majority."""
    if move.low >= move.old:
        return
    kept = (thing["spec"].get("persistentVolumeClaimRetentionPolicy") or {}).get("whenScaled")
    if ref.kind == kinds.STATEFULSET and kept == "Delete":
        said = f"{ref} deletes the volumes of replicas that it loses (whenScaled: Delete). Nothing was done."
        raise Rejected(f"{said} Set that to Retain first.", code="deletes_data", status=409)
    majority = move.old // 2 + 1
    if site.voters and move.low < majority:
        said = f"The replicas of {site.service} vote, and {majority} of the {move.old} are their majority."
        raise Rejected(f"{said} Nothing was done. Go no lower than {majority} at once.", code="no_majority", status=409)


def check_connections(move: Move, site: Site) -> None:
    """Of what each replica opens, the database takes so many: for as many replicas as there may be from now on."""
    budget = site.connections
    if budget is None:
        return
    ceiling = [int(move.after[one.name]) for one in move.changed if one.name == "ceiling"]
    count = max([move.new, *ceiling]) if move.new > move.old or ceiling else 0
    if count * budget.each > budget.most:
        said = f"{count} replicas open {count * budget.each} connections, {budget.each} each, and {budget.most} are the"
        raise Rejected(
            f"{said} most. Nothing was done. Go no higher than {budget.most // budget.each}.", code="too_many"
        )


def cautions(move: Move, ref: Ref, thing: Thing, site: Site) -> tuple[str, ...]:
    """What the one who says yes should know of it."""
    said: list[str] = []
    if status.is_paused(ref.kind, thing):
        said += _of_pause(ref, thing)
    elif in_flight(ref.kind, thing):
        said.append(f"A rollout of {ref} is in flight: both revisions are scaled, and it counts as done after that.")
        if "blueGreen" in (thing["spec"].get("strategy") or {}):
            said.append("It is blue-green: until then up to twice as many pods run.")
    if ref.kind == kinds.STATEFULSET:
        said += _of_order(move, thing)
    if site.voters and move.new % 2 == 0:
        said.append(f"{move.new} replicas vote, and survive no more losses than {max(move.new - 1, 0)} would.")
    if move.new == 0 and move.old:
        said.append("It serves nothing from then on.")
    return tuple(said)


def in_flight(kind: Kind, thing: Thing) -> bool:
    """Whether it is on its way from one revision to the next; pods that are not ready are none."""
    state = thing.get("status") or {}
    if kind == kinds.ROLLOUT:
        return bool(state.get("stableRS")) and state.get("stableRS") != state.get("currentPodHash")
    if kind == kinds.STATEFULSET:
        return bool(state.get("updateRevision")) and state.get("updateRevision") != state.get("currentRevision")
    return status.counted(thing, "replicas") > status.counted(thing, "updatedReplicas")


def _of_pause(ref: Ref, thing: Thing) -> list[str]:
    resume = f"`kubectl rollout resume deployment/{ref.name}`"
    if status.waits_for_resume(ref.kind, thing):
        return [f"It is paused, and was never rolled out: its first pods come with the resume, {resume}."]
    if in_flight(ref.kind, thing):
        return [f"It is paused between two templates: pods of both come and go at once, and stay so until {resume}."]
    return [f"It is paused: pods come and go at once all the same, and what is new in its template waits for {resume}."]


def _of_order(move: Move, thing: Thing) -> list[str]:
    if move.new < move.old:
        return ["The replicas with the highest numbers go; their volumes stay."]
    ordered = (thing["spec"].get("podManagementPolicy") or "OrderedReady") == "OrderedReady"
    if ordered and status.counted(thing, "readyReplicas") < move.old:
        return ["One of its pods is not ready, and the next ones are made only after that."]
    return []


def _check_step(before: int, after: int, site: Site, what: str = "") -> None:
    if 0 in (before, after):
        return
    step = site.replicas.step
    highest = 2 * before if step is None else before + step
    lowest = -(-before // 2) if step is None else before - step
    if not lowest <= after <= highest:
        bound = f"{highest} at most" if after > highest else f"{lowest} at least"
        said = f"From {what}{before} it goes to {bound} at once, not to {after}. Nothing was done."
        raise Rejected(said, code="too_far", status=409)


def _outside(site: Site, count: int) -> Rejected:
    bounds = site.replicas
    said = f"{site.service} has {bounds.least} to {bounds.most} replicas by the settings, not {count}."
    return Rejected(f"{said} Nothing was done.", code="outside", status=409)
