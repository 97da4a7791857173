"""Objects to act on, whole and valid for a real API server, and small enough for any cluster.

Each returns what `World.create` takes beside the kind and the name; whatever a test cares about it says itself.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

Body = dict[str, Any]
_SAID = os.environ.get("VAKHTA_TEST_IMAGES", "vakhta.test/api:1 vakhta.test/api:2 vakhta.test/api:3")
#: Three whose containers keep running. The usual ones are nowhere: they do where no kubelet pulls them.
IMAGES = tuple(_SAID.split())
if len(set(IMAGES)) != 3:
    pytest.exit(f"VAKHTA_TEST_IMAGES has to name three images, not: {_SAID}", returncode=pytest.ExitCode.USAGE_ERROR)
ONE, TWO, THREE = IMAGES


def template(name: str, image: str = ONE, **spec: Any) -> Body:
    """Of pods: one container of that name, which asks for next to nothing."""
    resources = {"requests": {"cpu": "1m", "memory": "1Mi"}}
    container = {"name": name, "image": image, "resources": resources}
    return {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0, **spec},
    }


def deployment(name: str = "api", *, replicas: int = 3, image: str = ONE, **spec: Any) -> Body:
    return {"spec": {"replicas": replicas, **_workload(name, image), **spec}}


def statefulset(name: str = "db", *, replicas: int = 3, image: str = ONE, **spec: Any) -> Body:
    return {"spec": {"replicas": replicas, "serviceName": name, **_workload(name, image), **spec}}


def daemonset(name: str = "agent", *, image: str = ONE, **spec: Any) -> Body:
    return {"spec": {**_workload(name, image), **spec}}


def rollout(name: str = "api", *, replicas: int = 3, image: str = ONE, **spec: Any) -> Body:
    """A canary of Argo Rollouts that waits for a person halfway."""
    strategy = {"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}}
    return {"spec": {"replicas": replicas, "strategy": strategy, **_workload(name, image), **spec}}


def hpa(target: str = "api", *, least: int = 2, most: int = 10, kind: str = "Deployment", **spec: Any) -> Body:
    group = "argoproj.io/v1alpha1" if kind == "Rollout" else "apps/v1"
    whom = {"apiVersion": group, "kind": kind, "name": target}
    return {"spec": {"scaleTargetRef": whom, "minReplicas": least, "maxReplicas": most, **spec}}


def scaled_object(
    target: str = "api", *, least: int = 2, most: int = 10, kind: str = "Deployment", **spec: Any
) -> Body:
    """Of KEDA, by a schedule that asks for nothing in particular."""
    group = "argoproj.io/v1alpha1" if kind == "Rollout" else "apps/v1"
    hours = {"timezone": "Etc/UTC", "start": "0 8 * * *", "end": "0 20 * * *", "desiredReplicas": str(least)}
    whom = {"apiVersion": group, "kind": kind, "name": target}
    counts = {"minReplicaCount": least, "maxReplicaCount": most}
    return {"spec": {"scaleTargetRef": whom, "triggers": [{"type": "cron", "metadata": hours}], **counts, **spec}}


def quota(**hard: str) -> Body:
    """`quota(pods="4", requests_cpu="1")`: an underscore stands for a dot."""
    return {"spec": {"hard": {name.replace("_", "."): value for name, value in hard.items()}}}


def pdb(name: str = "api", **spec: Any) -> Body:
    """Over the pods of that name: say `minAvailable` or `maxUnavailable`."""
    return {"spec": {"selector": {"matchLabels": {"app": name}}, **spec}}


def application(namespace: str, *, automated: Body | None = None, **spec: Any) -> Body:
    """Of Argo CD, which deploys into that namespace."""
    source = {"repoURL": "https://git.vakhta.test/shop.git", "path": "api", "targetRevision": "HEAD"}
    where = {"server": "https://kubernetes.default.svc", "namespace": namespace}
    policy = {} if automated is None else {"syncPolicy": {"automated": automated}}
    return {"spec": {"project": "default", "source": source, "destination": where, **policy, **spec}}


def tracked(app: str, ref: str) -> Body:
    """The annotation by which Argo CD knows its own; `ref`: "apps/Deployment:shop/api"."""
    return {"argocd.argoproj.io/tracking-id": f"{app}:{ref}"}


def claim_template(name: str = "data") -> Body:
    """Of a StatefulSet's volumes."""
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    return {"metadata": {"name": name}, "spec": asked}


def images(name: str, image: str) -> Body:
    """A strategic merge patch that gives its container that image."""
    return {"spec": {"template": {"spec": {"containers": [{"name": name, "image": image}]}}}}


def _workload(name: str, image: str) -> Body:
    return {"selector": {"matchLabels": {"app": name}}, "template": template(name, image)}
