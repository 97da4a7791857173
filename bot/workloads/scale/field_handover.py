"""The undo of a scale, where another manager sets the same value by server-side apply now: the value stays.

Setting it back would overwrite that manager's value, so only the bot's own ownership of the field is given up.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.core.kubernetes import KubernetesObject, ObjectRef
from bot.core.plan import Outcome, Plan, Result
from bot.core.site import ServiceTarget
from bot.workloads.objects import field_ownership, run_markers
from bot.workloads.objects.strategy import STRATEGY
from bot.workloads.scale import patch as patches
from bot.workloads.scale.autoscalers import Autoscaler
from bot.workloads.scale.patch import ScalePatch

#: Keys of a plan's preconditions: the object, its autoscaler, and the new owners of the fields.
UID, BY, HANDED = "uid", "autoscaler", "handed over"


def plan(service: str, workload: KubernetesObject, auto: Autoscaler | None) -> Plan | None:
    """None if no other manager sets what the bot has set."""
    patch = patches.WORKLOAD if auto is None or auto.frozen else patches.KEDA if auto.keda else patches.HPA
    thing, by = (workload, {}) if patch.kind is None or auto is None else (auto.thing, {BY: auto.ref.name})
    heirs = field_ownership.heirs(thing, patch.paths)
    if not heirs:
        return None
    who = " and ".join(map(run_markers.manager_name, heirs))
    values = patch.read(thing)
    return Plan(
        target=service,
        effect=(
            f"The bot gives up its ownership of the field. The value stays: {who} now sets {spell_values(values)} too.",
            "There is nothing to undo.",
        ),
        blast_radius="no pod: only the ownership of fields",
        preconditions={STRATEGY: patch.kind_name, UID: thing["metadata"]["uid"], **by, **values, HANDED: who},
        hidden=(STRATEGY, UID, HANDED),
    )


def run(target: ServiceTarget, patch: ScalePatch, ref: ObjectRef, plan: Plan, run: str) -> Outcome:
    """Writes nothing but the managed fields."""
    reason = field_ownership.given_up(target, ref, patch.paths, run)
    if reason:
        message = f"The bot could not give up its fields of {ref}: {reason}. Nothing was changed."
        return Outcome(result=Result.FAILED, message=message)
    return Outcome(result=Result.DONE, message=_result_message(plan))


def probe(patch: ScalePatch, held: KubernetesObject, plan: Plan) -> Outcome:
    """By whether the bot still owns any of the fields."""
    if field_ownership.holds(held, patch.paths):
        return Outcome(result=Result.FAILED, message="The bot still owns the fields. Nothing was changed.")
    return Outcome(result=Result.DONE, message=_result_message(plan))


def spell_values(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _result_message(plan: Plan) -> str:
    return (
        f"{plan.target} stays as it is, as {plan.preconditions[HANDED]} sets it; the bot no longer owns these fields."
    )
