"""The controllers of the fake Kubernetes: small, and each behaves as the real one where an action could tell.

They work in steps, one after each request and while a watch waits, on the fake's own clock; none of them sleeps.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.fakes.kubernetes_controllers_argocd import SelfHeal
from tests.fakes.kubernetes_controllers_budget import Budgets
from tests.fakes.kubernetes_controllers_daemonset import DaemonSets
from tests.fakes.kubernetes_controllers_deployment import Deployments
from tests.fakes.kubernetes_controllers_garbage import Garbage, Quotas
from tests.fakes.kubernetes_controllers_hpa import Autoscalers
from tests.fakes.kubernetes_controllers_keda import ScaledObjects
from tests.fakes.kubernetes_controllers_node import Nodes
from tests.fakes.kubernetes_controllers_pod import Pods
from tests.fakes.kubernetes_controllers_replicaset import ReplicaSets
from tests.fakes.kubernetes_controllers_statefulset import StatefulSets
from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_rollouts import AnalysisRuns, Rollouts
from tests.fakes.kubernetes_rollouts_restart import Restarts


def usual() -> list[Callable[[Insides], bool]]:
    """One of each, in the order in which what one does is seen by the next within the same step.

    First whoever changes a spec, then whoever makes ReplicaSets of it, then whoever makes pods, then the pods.
    """
    changing: list[Callable[[Insides], bool]] = [Nodes(), SelfHeal(), ScaledObjects(), Autoscalers()]
    making = [Deployments(), Rollouts(), Restarts(), AnalysisRuns(), ReplicaSets(), StatefulSets(), DaemonSets()]
    return [*changing, *making, Pods(), Budgets(), Quotas(), Garbage()]
