"""retry: an aborted Argo Rollout starts again from its first step."""

from __future__ import annotations

from types import MappingProxyType

from bot.core.manual import Facility, Manual, Topic
from bot.workloads.argo_rollouts.verbs import RETRY
from commands.pause import RolloutAction

action = RolloutAction(
    verb="retry",
    usage="retry <service>",
    summary="retry an aborted rollout from its first step",
    manual=Manual(
        topic=Topic.WORKLOADS, examples=("retry {service}",), way_back="`abort {service}`.", needs=(Facility.ROLLOUT,)
    ),
    limits=MappingProxyType({"kinds": "Argo Rollouts", "when": "after an abort"}),
    does=RETRY,
)
