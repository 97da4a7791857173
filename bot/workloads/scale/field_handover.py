"""The undo of a scale where somebody says the same value by server-side apply by now: it stays, and is theirs.

Setting it back would take it from whoever wants it now; so only the bot's own hold on the field is given up.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.core.kubernetes import KubernetesObject, ObjectRef
from bot.core.plan import Outcome, Plan, Result
from bot.core.site import ServiceTarget
from bot.workloads.objects import field_ownership, run_markers
from bot.workloads.objects.strategy import STRATEGY
from bot.workloads.scale import patch as levers
from bot.workloads.scale.autoscalers import Autoscaler
from bot.workloads.scale.patch import ScalePatch

#: Names in a plan's `seen`: whose values they are, by which autoscaler; and what this plan does about its hold.
UID, BY, HANDED = "uid", "autoscaler", "handed over"


def plan(service: str, workload: KubernetesObject, auto: Autoscaler | None) -> Plan | None:
    """None where nobody else says what the bot has set."""
    lever = levers.WORKLOAD if auto is None or auto.frozen else levers.KEDA if auto.keda else levers.HPA
    thing, by = (workload, {}) if lever.kind is None or auto is None else (auto.thing, {BY: auto.ref.name})
    heirs = field_ownership.heirs(thing, lever.paths)
    if not heirs:
        return None
    who = " and ".join(map(run_markers.manager_name, heirs))
    values = lever.read(thing)
    return Plan(
        target=service,
        effect=(
            f"{who} says {spelled(values)} by now as well, so that it stays. Only the bot's hold on it is given up.",
            "There is nothing in that to undo.",
        ),
        blast_radius="no pod: only who is told of conflicts",
        preconditions={STRATEGY: lever.kind_name, UID: thing["metadata"]["uid"], **by, **values, HANDED: who},
        hidden=(STRATEGY, UID, HANDED),
    )


def run(target: ServiceTarget, patch: ScalePatch, ref: ObjectRef, plan: Plan, run: str) -> Outcome:
    """Nothing but the managed fields."""
    reason = field_ownership.given_up(target, ref, patch.paths, run)
    if reason:
        message = f"The bot still holds fields of {ref}, which could not be given up: {reason}. Nothing was changed."
        return Outcome(result=Result.FAILED, message=message)
    return Outcome(result=Result.DONE, message=_said(plan))


def probe(patch: ScalePatch, held: KubernetesObject, plan: Plan) -> Outcome:
    """By whether the bot still holds anything."""
    if field_ownership.holds(held, patch.paths):
        return Outcome(result=Result.FAILED, message="The bot still holds what it was to give up. Nothing was changed.")
    return Outcome(result=Result.DONE, message=_said(plan))


def spelled(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _said(plan: Plan) -> str:
    return (
        f"{plan.target} stays as it is, which is what {plan.preconditions[HANDED]} says; the bot holds "
        "nothing of it any more."
    )
