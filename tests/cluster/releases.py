"""Releases of Helm to go back in: their Secrets as Helm writes them, and a program to do it with."""

from __future__ import annotations

import base64
import gzip
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from bot.clusters import Access, Mapped, Ref
from bot.settings_services import ClusterSettings
from bot.tools.helm import Helm
from bot.workloads import grants, kinds
from tests.cluster import manifests
from tests.cluster.world import BOT, World, kubeconfig

#: Long before the fake's night, so that nothing that is pending is young.
LONG_AGO = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


def program() -> str:
    """Helm's own, from HELM or PATH; "" where there is none."""
    return os.environ.get("HELM") or shutil.which("helm") or ""


class Hasty(Helm):
    """Waits for less long than an action lets it, so that a test which fails does so soon."""

    most_s = 20

    def roll_back(self, release: str, namespace: str, version: int, *, patience: timedelta) -> str:
        return super().roll_back(release, namespace, version, patience=min(patience, timedelta(seconds=self.most_s)))

    def acting_as(self, person: Mapped) -> Helm:
        return Hasty(self._section, person=person)


def tool(world: World, place: Path, run: str) -> Hasty:
    """That program, for this cluster."""
    if world.real:
        return Hasty(ClusterSettings(kubeconfig=os.environ["KUBECONFIG"], helm=run))
    # Clients of client-go send no token where there is no TLS.
    world.fake.rights.users[""] = BOT
    installs = [Ref(kind=kind, namespace=world.namespace, name="api") for kind in (kinds.CONFIG, kinds.DEPLOYMENT)]
    world.granted += [
        *grants.with_helm(installs[0]),
        *(
            Access(verb=verb, group=one.kind.group, resource=one.kind.plural, namespace=one.namespace)
            for one in installs
            for verb in ("get", "list", "watch", "create", "update", "patch", "delete")
        ),
    ]
    return Hasty(ClusterSettings(kubeconfig=str(kubeconfig(world.fake.url, place)), helm=run))


def objects(world: World, image: str, *more: str) -> list[dict[str, Any]]:
    """What the chart installs: the Deployment, and a ConfigMap that tells the image. `more`: names of further ones."""
    namespace = world.namespace
    found = [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "api", "namespace": namespace},
            **manifests.deployment(replicas=2, image=image),
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "api"}, "data": {"image": image}},
    ]
    extra = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}} for name in more]
    return [*found, *extra]


def packed(told: Mapping[str, Any]) -> str:
    """As it stands in the Secret's data."""
    return base64.b64encode(base64.b64encode(gzip.compress(json.dumps(told).encode()))).decode()


def release(
    version: int,
    status: str,
    things: Sequence[Mapping[str, Any]],
    *,
    namespace: str,
    at: datetime = LONG_AGO,
    hooks: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The Secret of one version of release `shop`."""
    when = at.isoformat().replace("+00:00", "Z")
    info = {"first_deployed": when, "last_deployed": when, "deleted": "", "status": status, "description": "as asked"}
    told = {
        "name": "shop",
        "namespace": namespace,
        "version": version,
        "info": info,
        "chart": {"metadata": {"name": "api", "version": f"1.{version}.0", "apiVersion": "v2"}, "templates": []},
        "config": {},
        "manifest": "---\n".join(yaml.safe_dump(dict(one)) for one in things),
        "hooks": list(hooks),
    }
    labels = {"owner": "helm", "name": "shop", "status": status, "version": str(version)}
    data = {"release": packed(told)}
    return {"metadata": {"labels": labels}, "type": "helm.sh/release.v1", "data": data}


def keep(world: World, version: int, status: str, things: Sequence[Mapping[str, Any]], **more: Any) -> None:
    body = release(version, status, things, namespace=world.namespace, **more)
    world.create(kinds.SECRET, f"sh.helm.release.v1.shop.v{version}", **body)


def install(world: World, things: Sequence[Mapping[str, Any]]) -> None:
    """What `helm install` leaves in the cluster."""
    named = {"Deployment": kinds.DEPLOYMENT, "ConfigMap": kinds.CONFIG}
    marks = {
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": world.namespace},
    }
    for one in things:
        body = {name: value for name, value in one.items() if name not in ("apiVersion", "kind", "metadata")}
        world.create(named[str(one["kind"])], one["metadata"]["name"], **body, metadata=dict(marks))
