"""resume: an Argo Rollout that was paused by hand goes on."""

from __future__ import annotations

from types import MappingProxyType

from bot.core.manual import Facility, Manual, Topic
from bot.workloads.argo_rollouts.verbs import RESUME
from commands.pause import RolloutAction

action = RolloutAction(
    verb="resume",
    usage="resume <service>",
    summary="resume a rollout that was paused by hand",
    manual=Manual(
        topic=Topic.WORKLOADS, examples=("resume {service}",), way_back="`pause {service}`.", needs=(Facility.ROLLOUT,)
    ),
    limits=MappingProxyType({"kinds": "Argo Rollouts", "when": "while it is paused by hand"}),
    does=RESUME,
)
