"""resume: an Argo Rollout that was paused by hand goes on."""

from __future__ import annotations

from types import MappingProxyType

from bot.workloads.argo_rollouts.verbs import RESUME
from commands.pause import RolloutAction

action = RolloutAction(
    verb="resume",
    usage="resume <service>",
    summary="resume a rollout that was paused by hand",
    limits=MappingProxyType({"kinds": "Argo Rollouts", "when": "while it is paused by hand"}),
    does=RESUME,
)
