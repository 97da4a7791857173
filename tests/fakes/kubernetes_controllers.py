"""The controllers of the fake Kubernetes: small, and each behaves as the real one where an action could tell.

They work in steps, one after each request and while a watch waits, on the fake's own clock; none of them sleeps.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.fakes.kubernetes_controllers_deployment import Deployments
from tests.fakes.kubernetes_controllers_garbage import Garbage, Quotas
from tests.fakes.kubernetes_controllers_pod import Pods
from tests.fakes.kubernetes_controllers_replicaset import ReplicaSets
from tests.fakes.kubernetes_insides import Insides


def usual() -> list[Callable[[Insides], bool]]:
    """One of each, in the order in which what one does is seen by the next within the same step.

    Whoever makes ReplicaSets stands before those, whoever makes pods before the pods.
    """
    return [Deployments(), ReplicaSets(), Pods(), Quotas(), Garbage()]
