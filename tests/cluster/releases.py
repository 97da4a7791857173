"""Helm releases to roll back: their Secrets as Helm writes them, and a program to do it with."""

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.core.kubernetes import ClusterUser, ObjectRef, ResourceAccess
from bot.integrations.helm.client import HelmClient
from bot.integrations.kubernetes.settings import ClusterSettings
from bot.workloads import rbac
from bot.workloads.objects import kinds
from tests.cluster import manifests
from tests.cluster.world import BOT, World, kubeconfig
from tests.running import until

#: Long before the fake's night, so that nothing that is pending is young.
LONG_AGO = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


_HOMES = ("CACHE", "CONFIG", "DATA")
_TOOLS = Path(__file__).parents[2] / ".tools"


def program(major: str) -> str:
    """Helm's own of that major version: from HELM3 or HELM4, or where `.ci/helm` puts it; "" where there is none."""
    told = os.environ.get(f"HELM{major}")
    found = [Path(told)] if told else sorted(_TOOLS.glob(f"helm-v{major}.*/helm"))
    return str(found[-1]) if found and found[-1].is_file() else ""


def needed(major: str) -> str:
    """The same; without one the test is skipped, and says how to have it."""
    found = program(major)
    if not found:
        pytest.skip(
            f"Helm {major} is not in HELM{major}, and `.ci/helm` could not install it (it takes Go and a network)"
        )
    return found


class Hasty(HelmClient):
    """Waits for less long than an action lets it, so that a test which fails does so soon."""

    most_s = 20

    def roll_back(self, release: str, namespace: str, version: int, *, patience: timedelta, force: bool = False) -> str:
        least = min(patience, timedelta(seconds=self.most_s))
        return super().roll_back(release, namespace, version, patience=least, force=force)

    def acting_as(self, person: ClusterUser) -> HelmClient:
        return Hasty(self._section, person=person)


def tool(world: World, place: Path, run: str) -> Hasty:
    """That program, for this cluster."""
    if world.real:
        return Hasty(ClusterSettings(kubeconfig=os.environ["KUBECONFIG"], helm=run))
    # Clients of client-go send no token where there is no TLS.
    world.fake.rights.users[""] = BOT
    installs = [
        ObjectRef(kind=kind, namespace=world.namespace, name="api") for kind in (kinds.CONFIG, kinds.DEPLOYMENT)
    ]
    world.granted += [
        *rbac.helm_grants(installs[0]),
        *(
            ResourceAccess(verb=verb, group=one.kind.group, resource=one.kind.plural, namespace=one.namespace)
            for one in installs
            for verb in ("get", "list", "watch", "create", "update", "patch", "delete")
        ),
    ]
    return Hasty(ClusterSettings(kubeconfig=str(kubeconfig(world.fake.url, place)), helm=run))


@dataclass
class Shop:
    """Release `shop`, installed and upgraded by Helm's own program from a chart, as a pipeline would."""

    world: World
    place: Path
    run: str

    def deploy(self, *, image: str, replicas: int = 2, extra: bool = False, flags: Sequence[str] = ()) -> None:
        """`helm upgrade --install`: the Deployment, a ConfigMap that tells the image, and with `extra` another."""
        values = {"image": image, "replicas": replicas, "extra": extra}
        self.helm("upgrade", "--install", "shop", str(self._chart(values)), "--disable-openapi-validation", *flags)

    def helm(self, *words: str) -> None:
        ended = self.tried(*words)
        assert ended.returncode == 0, ended.stderr

    def tried(self, *words: str) -> subprocess.CompletedProcess[str]:
        with self._as_admin():
            return subprocess.run(
                self._whole(words), env=self._homes(), capture_output=True, text=True, check=False, timeout=120
            )

    def killed(self, *, image: str, once: Callable[[], bool], **more: Any) -> None:
        """An upgrade whose helm is killed as soon as that holds."""
        words = ("upgrade", "shop", str(self._chart({"image": image, "replicas": 2, "extra": False, **more})))
        whole = self._whole((*words, "--disable-openapi-validation", "--wait"))
        with self._as_admin(), subprocess.Popen(whole, env=self._homes(), stderr=subprocess.DEVNULL) as running:
            try:
                until(once, "helm has come to where it is killed")
            finally:
                running.kill()

    def _whole(self, words: Sequence[str]) -> list[str]:
        file = os.environ["KUBECONFIG"] if self.world.real else str(kubeconfig(self.world.fake.url, self.place))
        return [self.run, *words, f"--kubeconfig={file}", f"--namespace={self.world.namespace}"]

    def _homes(self) -> dict[str, str]:
        return {**os.environ, **{f"HELM_{name}_HOME": str(self.place / name.lower()) for name in _HOMES}}

    @contextmanager
    def _as_admin(self) -> Iterator[None]:
        """With all rights: on the fake a client of client-go has no name, and is the bot otherwise."""
        if self.world.real:
            yield
            return
        users = self.world.fake.rights.users
        was = dict(users)
        users[""] = "admin"
        try:
            yield
        finally:
            users.clear()
            users.update(was)

    def _chart(self, values: Mapping[str, Any]) -> Path:
        chart = self.place / "chart"
        (chart / "templates").mkdir(parents=True, exist_ok=True)
        (chart / "Chart.yaml").write_text(json.dumps({"apiVersion": "v2", "name": "api", "version": "1.0.0"}))
        (chart / "values.yaml").write_text(json.dumps(values))
        deployed, config = objects(self.world, "IMAGE")
        deployed["spec"]["replicas"] = "REPLICAS"
        extra = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "extra"}}
        said = "\n---\n".join(json.dumps(one) for one in (config, deployed))
        said = said.replace('"REPLICAS"', "{{ .Values.replicas }}").replace("IMAGE", "{{ .Values.image }}")
        said += f"\n{{{{- if .Values.extra }}}}\n---\n{json.dumps(extra)}\n{{{{- end }}}}\n"
        (chart / "templates" / "all.yaml").write_text(said)
        return chart


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


def copy(world: World, version: int, to: int, *, status: str, at: datetime, without: str) -> None:
    """A further version as Helm's program wrote the one before, in that state, and without one of its ConfigMaps."""
    secret = world.get(kinds.SECRET, f"sh.helm.release.v1.shop.v{version}")
    told = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
    told["version"] = to
    told["info"] |= {"status": status, "last_deployed": at.isoformat().replace("+00:00", "Z")}
    things = [one for one in yaml.safe_load_all(told["manifest"]) if one and one["metadata"]["name"] != without]
    told["manifest"] = "---\n".join(yaml.safe_dump(one) for one in things)
    labels = {**secret["metadata"]["labels"], "status": status, "version": str(to)}
    body = {"metadata": {"labels": labels}, "type": secret["type"], "data": {"release": packed(told)}}
    world.create(kinds.SECRET, f"sh.helm.release.v1.shop.v{to}", **body)


def stand_in(place: Path, *lines: str) -> str:
    """A program in the place of Helm's, for what the real one does only when the world is on fire, or did once."""
    file = place / "helm-stand-in"
    file.write_text("\n".join([f"#!{sys.executable}", "import json, os, sys, time", *lines]))
    file.chmod(0o755)
    return str(file)


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
