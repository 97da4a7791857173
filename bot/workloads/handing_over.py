"""The undo of a scale where somebody says the same value by server-side apply by now: it stays, and is theirs.

Setting it back would take it from whoever wants it now; so only the bot's own hold on the field is given up.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.acts import Ended, Outcome, Plan
from bot.clusters import Ref, Thing
from bot.sites import Site
from bot.workloads import holding, levers, marks
from bot.workloads.autoscalers import Autoscaler
from bot.workloads.levers import Lever
from bot.workloads.ways import WAY

#: Names in a plan's `seen`: whose values they are, by which autoscaler; and what this plan does about its hold.
UID, BY, HANDED = "uid", "autoscaler", "handed over"


def plan(service: str, workload: Thing, auto: Autoscaler | None) -> Plan | None:
    """None where nobody else says what the bot has set."""
    lever = levers.WORKLOAD if auto is None or auto.frozen else levers.KEDA if auto.keda else levers.HPA
    thing, by = (workload, {}) if lever.kind is None or auto is None else (auto.thing, {BY: auto.ref.name})
    heirs = holding.heirs(thing, lever.paths)
    if not heirs:
        return None
    who = " and ".join(map(marks.called, heirs))
    values = lever.read(thing)
    return Plan(
        target=service,
        effect=(
            f"{who} says {spelled(values)} by now as well, so that it stays. Only the bot's hold on it is given up.",
            "There is nothing in that to undo.",
        ),
        radius="no pod: only who is told of conflicts",
        seen={WAY: lever.way, UID: thing["metadata"]["uid"], **by, **values, HANDED: who},
        private=(WAY, UID, HANDED),
    )


def run(site: Site, lever: Lever, ref: Ref, plan: Plan, run: str) -> Outcome:
    """Nothing but the managed fields."""
    why = holding.given_up(site, ref, lever.paths, run)
    if why:
        said = f"The bot still holds fields of {ref}, which could not be given up: {why}. Nothing was changed."
        return Outcome(ended=Ended.FAILED, said=said)
    return Outcome(ended=Ended.DONE, said=_said(plan))


def probe(lever: Lever, held: Thing, plan: Plan) -> Outcome:
    """By whether the bot still holds anything."""
    if holding.holds(held, lever.paths):
        return Outcome(ended=Ended.FAILED, said="The bot still holds what it was to give up. Nothing was changed.")
    return Outcome(ended=Ended.DONE, said=_said(plan))


def spelled(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _said(plan: Plan) -> str:
    return (
        f"{plan.target} stays as it is, which is what {plan.seen[HANDED]} says; the bot holds nothing of it any more."
    )
