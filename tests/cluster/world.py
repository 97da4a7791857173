"""A cluster to act on, the strict fake or a real one, spoken to over its API in the same way.

Everything is made in a namespace of its own, which goes away at the end; what carries no label of ours is never
touched. `fake` is for what only the fake can be told to do; a test that uses it is skipped on a real cluster.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.core.action import MetricsStore, Tools
from bot.core.errors import Rejected
from bot.core.kubernetes import Cluster, KubernetesObject, ObjectRef, PatchType, ResourceAccess, ResourceKind
from bot.core.plan import Outcome, Plan
from bot.core.request import Principal
from bot.core.site import ServiceTarget
from bot.integrations.kubernetes.client import KubernetesClient
from bot.integrations.kubernetes.settings import ClusterSettings
from bot.workloads import rbac
from bot.workloads.objects import kinds
from bot.workloads.rbac import role_documents
from tests.cluster import able
from tests.cluster.able import Able
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.kubernetes_controllers import usual
from tests.fakes.ticking import Ticking
from tests.house import ANA

#: What only the suite's own objects carry.
LABEL = {"vakhta.dev/test": "yes"}
#: As whom the fake knows the bot.
BOT = "vakhta"
_NAMESPACE = ResourceKind(group="", version="v1", plural="namespaces", title="Namespace")


class Admin(KubernetesClient):
    """The tests' own hands: as the tool, and it can create and remove."""

    answer_s = 120.0  # What prepares a test must not fail by a machine that stands still for a while.

    def make(self, kind: ResourceKind, namespace: str, body: Mapping[str, Any]) -> KubernetesObject:
        begin = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
        where = f"/namespaces/{namespace}" if namespace else ""
        head = {"apiVersion": f"{kind.group}/{kind.version}" if kind.group else kind.version, "kind": kind.title}
        meta = {**body.get("metadata", {})}
        meta["labels"] = {**meta.get("labels", {}), **LABEL}
        path = f"{begin}{where}/{kind.plural}"
        return self._change("POST", path, {}, {**head, **body, "metadata": meta}, "application/json", person=None)

    def remove(self, ref: ObjectRef) -> None:
        found = self.get(ref)
        if found is not None:
            assert found["metadata"]["labels"].get("vakhta.dev/test") == "yes", f"{ref} is not ours"
            self.delete(ref, uid=found["metadata"]["uid"])


@dataclass
class World:
    """`site_of` says where a service runs: by default `prod/api` is the Deployment `api`."""

    admin: Admin
    #: by which actions work: on the fake it is granted what `grants` lists for the verb, and no more
    bot: KubernetesClient
    namespace: str
    fake_one: FakeKubernetes | None = None
    places: dict[str, ServiceTarget] = field(default_factory=dict)
    hands: Cluster | None = None  #: by which what is no service's is written, where not by the bot's
    gauge: MetricsStore | None = None
    granted: list[ResourceAccess] = field(default_factory=list)  #: what the bot was given by hand, beside `grants`
    reports: list[str] = field(default_factory=list)
    clock: Ticking = field(default_factory=Ticking)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)  #: where the cluster is real
    able: Able = field(default_factory=Able)
    _loose: list[ObjectRef] = field(default_factory=list)

    @property
    def real(self) -> bool:
        return self.fake_one is None

    @property
    def fake(self) -> FakeKubernetes:
        if self.fake_one is None:
            pytest.skip("only the fake can be told to go wrong")
        return self.fake_one

    def ref(self, kind: ResourceKind, name: str) -> ObjectRef:
        namespaced = kind not in (kinds.NODE, _NAMESPACE) and kind.group != "admissionregistration.k8s.io"
        return ObjectRef(kind=kind, namespace=self.namespace if namespaced else "", name=name)

    def create(self, kind: ResourceKind, name: str, **body: Any) -> KubernetesObject:
        """In the world's namespace, if it can be in one, with the label of the suite."""
        ref, meta = self.ref(kind, name), {"name": name, **body.pop("metadata", {})}
        if not ref.namespace:
            self._loose.append(ref)
        return self.admin.make(kind, ref.namespace, {"metadata": meta, **body})

    def clean(self) -> None:
        """Whatever was made goes, each even if another would not; nobody waits for a namespace to be empty."""
        with ExitStack() as all_of_it:
            for ref in (*self._loose, ObjectRef(kind=_NAMESPACE, namespace="", name=self.namespace)):
                all_of_it.callback(self.admin.remove, ref)

    def get(self, kind: ResourceKind, name: str) -> KubernetesObject:
        found = self.admin.get(self.ref(kind, name))
        assert found is not None, f"there is no {kind.title} {name}"
        return found

    def every(self, kind: ResourceKind, labels: str = "") -> list[KubernetesObject]:
        return list(self.admin.find(kind, self.namespace, labels=labels))

    def merge(
        self, kind: ResourceKind, name: str, patch: object, *, sub: str = "", by: str = "somebody"
    ) -> KubernetesObject:
        """What somebody else does to it."""
        return self.admin.patch(self.ref(kind, name), patch, how=PatchType.MERGE, by=by, sub=sub)

    def patch(
        self, kind: ResourceKind, name: str, patch: object, *, how: PatchType, by: str = "somebody"
    ) -> KubernetesObject:
        return self.admin.patch(self.ref(kind, name), patch, how=how, by=by)

    def remove(self, kind: ResourceKind, name: str) -> None:
        self.admin.remove(self.ref(kind, name))

    @property
    def stranger(self) -> str:
        """A user who may do nothing there."""
        if self.fake_one is not None:
            self.fake_one.rights.denied["nobody@vakhta.test"] = {("patch", "deployments/scale")}
        return "nobody@vakhta.test"

    def needs_pods(self) -> None:
        """Skip the test where none gets ready."""
        if self.real:
            self.able.needs("pods", lambda: able.why_no_pods(self))

    def needs_rollouts(self) -> None:
        """Skip the test where nobody keeps Rollouts of Argo."""
        self.needs_pods()
        if self.real:
            self.able.needs("rollouts", lambda: able.why_no_rollouts(self))

    @contextmanager
    def beside(self) -> Iterator[World]:
        """Another namespace of the same cluster."""
        with _namespace(replace(self, namespace="", places={}, _loose=[])) as world:
            yield world

    def serves(self, kind: ResourceKind) -> bool:
        """Whether that kind is installed there."""
        begin = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
        told = self.admin._read(begin)
        return any(one["name"] == kind.plural for one in (told or {}).get("resources", ()))

    def until(self, holds: Callable[[], object], what: str, within_s: float = 60.0) -> None:
        """The fake moves with each request, so that this never has to wait long there."""
        began = time.monotonic()
        deadline, stirred = began + (within_s if self.real else 60.0), began
        while not holds():
            assert time.monotonic() < deadline, f"{what} did not come true"
            if self.real:
                time.sleep(0.2)
            if self.real and time.monotonic() - stirred > 5:
                stirred = time.monotonic()
                self.stir()

    def stir(self) -> None:
        """Argo Rollouts may have overlooked what the test itself wrote: see
        `bot/workloads/objects/overlooked_write.py`.
        """
        for one in self.every(kinds.ROLLOUT) if self.serves(kinds.ROLLOUT) else ():
            meta = one["metadata"]
            note = {"vakhta.dev/stirred": meta["resourceVersion"]}
            self.merge(kinds.ROLLOUT, meta["name"], {"metadata": {"annotations": note}})

    def hurry(self) -> None:
        """The bot's clock goes ten times as fast from here on: for what ends only with its patience."""
        began = datetime.now(UTC)
        self.now = lambda: began + 10 * (datetime.now(UTC) - began)

    def place(
        self, service: str = "prod/api", kind: ResourceKind = kinds.DEPLOYMENT, name: str = "api", **more: Any
    ) -> ServiceTarget:
        """From here on the service runs there."""
        cluster: Cluster = more.pop("cluster", self.bot)
        soak = timedelta(seconds=0.5) if self.real else timedelta(seconds=30)
        site = ServiceTarget(
            service=service,
            cluster=cluster,
            workload=self.ref(kind, name),
            production=True,
            soak=soak,
        )
        self.places[service] = replace(site, **more)
        self._grant(*rbac.VERBS, *rbac.ON_NODES)
        return self.places[service]

    def _grant(self, *verbs: str) -> None:
        """To the bot, what these take on all that has a place; a real cluster has its own Roles."""
        if self.fake_one is None:
            return
        wanted = [
            access for verb in verbs for site in self.places.values() for access in rbac.grants_for(verb, site.workload)
        ]
        wanted += [access for verb in verbs for access in rbac.ON_NODES.get(verb, ())]
        wanted += [
            *self.granted,
            ResourceAccess(verb="create", group="authorization.k8s.io", resource="subjectaccessreviews"),
        ]
        self.fake_one.rights.strip(BOT)
        self.fake_one.rights.apply(role_documents(wanted, BOT))

    def of(self, service: str, by: Principal | None) -> ServiceTarget:
        if service not in self.places:
            raise Rejected(f"The settings have no service {service}. Nothing was done.", code="no_service")
        return self.places[service]

    def on(self, cluster: str, ref: ObjectRef, by: Principal | None) -> ServiceTarget:
        if cluster != self.admin.name:
            raise Rejected(f"The settings have no cluster {cluster}. Nothing was done.", code="no_cluster")
        hands = self.hands or self.bot
        return ServiceTarget(service=f"{cluster}/{ref.name}", cluster=hands, workload=ref, production=True)

    def names(self) -> tuple[str, ...]:
        return tuple(self.places)

    @property
    def tools(self) -> Tools:
        """A new look at the world for each ask."""
        now = self.now if self.real else self.clock
        pace = timedelta(seconds=0.5) if self.real else timedelta(0)
        return Tools(
            now=now,
            elapsed=lambda: now().timestamp(),
            metrics=self.gauge,
            targets=self,
            by=ANA,
            poll_interval=pace,
            report_progress=self.reports.append,
        )

    def plan(self, action: Any, args: object) -> Plan:
        """Planned twice, as a yes would have it: in an unmoved world it is the same."""
        self._grant(action.verb)
        plan = action.plan(args, self.tools)
        again = action.plan(args, self.tools)
        assert plan == again, "planned twice in an unmoved world it differs"
        assert isinstance(plan, Plan)
        return plan

    def run(self, action: Any, args: object, plan: Plan | None = None, *, run: str = "5f" * 16) -> Outcome:
        """What the gate does after the last yes."""
        self._grant(action.verb)
        outcome = action.run(args, plan or self.plan(action, args), run, ANA, self.tools)
        assert isinstance(outcome, Outcome)
        return outcome

    def probe(self, action: Any, args: object, plan: Plan, *, run: str = "5f" * 16) -> Outcome:
        self._grant(action.verb)
        outcome = action.probe(args, plan, run, replace(self.tools, by=None))
        assert isinstance(outcome, Outcome)
        return outcome


@contextmanager
def fake_world(place: Path) -> Iterator[World]:
    clock = Ticking()
    with FakeKubernetes(clock=clock) as fake:
        fake.controllers = usual()
        fake.rights.users["admin-token"] = "admin"
        world = World(
            clock=clock,
            admin=Admin("main", _by(fake.url, place, "admin-token")),
            bot=KubernetesClient("main", _by(fake.url, place, "k8s-token")),
            namespace="",
            fake_one=fake,
        )
        with _namespace(world):
            yield world


@contextmanager
def real_world(file: str, context: str | None, known: Able) -> Iterator[World]:
    section = ClusterSettings(kubeconfig=file, context=context)
    world = World(admin=Admin("real", section), bot=KubernetesClient("real", section), namespace="", able=known)
    with _namespace(world):
        yield world


@contextmanager
def _namespace(world: World) -> Iterator[World]:
    name = f"vakhta-test-{uuid.uuid4().hex[:8]}"
    world.namespace = name
    try:
        world.admin.make(_NAMESPACE, "", {"metadata": {"name": name}})
        yield world
    finally:
        world.clean()


def _by(url: str, place: Path, token: str) -> ClusterSettings:
    (place / token).mkdir(exist_ok=True)
    return ClusterSettings(kubeconfig=str(kubeconfig(url, place / token, token)))


def kubeconfig(url: str, place: Path, token: str = "k8s-token") -> Path:
    """A kubeconfig file for that server."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "main",
        "clusters": [{"name": "main", "cluster": {"server": url}}],
        "users": [{"name": "bot", "user": {"token": token}}],
        "contexts": [{"name": "main", "context": {"cluster": "main", "user": "bot"}}],
    }
    file = place / "kubeconfig"
    file.write_text(json.dumps(config))
    return file
