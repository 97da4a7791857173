"""Programs as Kubernetes Jobs: one for each key, secrets by reference, and a sentence for each way not to start."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.core.errors import OutcomeUnknown, Rejected
from bot.core.kubernetes import ObjectRef
from bot.core.programs import Program, Programs
from bot.integrations.kubernetes.client import KubernetesClient
from bot.integrations.kubernetes.settings import ClusterSettings
from bot.integrations.programs.job import JobPrograms, job_name
from bot.integrations.programs.job_state import PODS
from bot.integrations.programs.settings import JobSettings
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.kubernetes_controllers_garbage import Garbage
from tests.fakes.kubernetes_controllers_job import JobPods, Jobs

_RESTORE = Program(
    key="restore-1f",
    argv=("pg_restore", "--dbname", "host=db; rm -rf /"),
    secrets={"PGPASSWORD": "hunter22"},
    environment={"PGAPPNAME": "vakhta"},
)


class World:
    """A cluster whose pods run what a test plays, and the programs on it."""

    def __init__(self, fake: FakeKubernetes, place: Path) -> None:
        self.fake = fake
        self.ran: list[tuple[Sequence[str], Mapping[str, str]]] = []
        self.ends: tuple[int, str] | None = (0, "done\n")
        fake.controllers = [Jobs(), JobPods(self._play), Garbage()]
        fake.put("Namespace", "shop")
        fake.put("Secret", "orders-backup")
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "main",
            "clusters": [{"name": "main", "cluster": {"server": fake.url}}],
            "users": [{"name": "bot", "user": {"token": "k8s-token"}}],
            "contexts": [{"name": "main", "context": {"cluster": "main", "user": "bot"}}],
        }
        file = place / "kubeconfig"
        file.write_text(json.dumps(config))
        self.cluster = KubernetesClient("main", ClusterSettings(kubeconfig=str(file)))

    def programs(self, **settings: Any) -> JobPrograms:
        given: dict[str, Any] = {
            "cluster": "main",
            "namespace": "shop",
            "image": "postgres:15",
            "secrets": {"PGPASSWORD": "orders-backup/password"},
            "volumes": [{"claim": "archives", "path": "/archives"}],
            **settings,
        }
        where = JobSettings.model_validate(given)
        return JobPrograms(where, self.cluster, now=lambda: self.fake.clock.at, pause=self.fake.later)

    def _play(self, argv: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str] | None:
        if argv[0] == "missing":
            raise FileNotFoundError
        self.ran.append((argv, environment))
        return self.ends


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with FakeKubernetes() as fake:
        yield World(fake, tmp_path)


def test_a_program_gets_its_vector_and_its_output_comes_back(world: World) -> None:
    programs: Programs = world.programs()

    ended = programs.run(_RESTORE)

    [(argv, environment)] = world.ran
    assert (ended.code, ended.stdout) == (0, b"done\n")
    assert argv == ["pg_restore", "--dbname", "host=db; rm -rf /"]
    assert (environment["PGPASSWORD"], environment["PGAPPNAME"]) == ("orders-backup/password", "vakhta")
    assert world.fake.every("Job") == []


def test_no_secret_is_in_a_job_and_its_pod_may_do_nothing_else(world: World) -> None:
    world.ends = None
    world.programs().start(_RESTORE)

    [job] = world.fake.every("Job")
    spec = job["spec"]["template"]["spec"]
    sent = "".join(call.body.decode() for call in world.fake.writes())
    assert "hunter22" not in sent
    assert (job["spec"]["backoffLimit"], job["spec"]["activeDeadlineSeconds"]) == (0, 300)
    assert (spec["automountServiceAccountToken"], spec["restartPolicy"]) == (False, "Never")
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert spec["containers"][0]["volumeMounts"] == [{"name": "volume-0", "mountPath": "/archives", "readOnly": True}]


def test_a_secret_without_a_reference_is_refused_before_anything_is_made(world: World) -> None:
    with pytest.raises(Rejected, match=r"Set run\.job\.secrets\.PGPASSWORD to SECRET/KEY"):
        world.programs(secrets={}).run(_RESTORE)

    assert world.fake.every("Job") == []


def test_the_job_of_a_key_is_taken_over_by_whoever_comes_after_a_crash(world: World) -> None:
    world.ends = None
    world.programs().start(_RESTORE)
    later = world.programs()
    later.start(_RESTORE)
    running = later.poll("restore-1f")
    world.ends = (3, "pg_restore: error: no room\n")
    world.fake.settle()

    ended = later.poll("restore-1f")

    assert len(world.fake.every("Job")) == 1
    assert running is None
    assert ended is not None
    assert (ended.code, ended.stderr) == (3, "pg_restore: error: no room")


def test_a_key_that_nobody_has_started_is_not_known(world: World) -> None:
    with pytest.raises(LookupError):
        world.programs().poll("never")
    world.programs().stop("never")


def test_a_program_that_is_not_in_the_image_was_not_started(world: World) -> None:
    with pytest.raises(Rejected, match=r"executable file not found.* Nothing was done"):
        world.programs().run(Program(key="a", argv=("missing",)))

    assert world.fake.every("Job") == []


def test_an_image_that_cannot_be_pulled_is_told_and_its_job_cannot_start_later(world: World) -> None:
    world.fake.broken_images.add("postgres:15")

    with pytest.raises(Rejected, match="the image postgres:15 cannot be pulled"):
        world.programs().run(_RESTORE)
    world.fake.broken_images.clear()
    world.fake.settle()

    assert (world.fake.every("Job"), world.fake.every("Pod"), world.ran) == ([], [], [])


def test_a_secret_that_is_missing_in_the_cluster_is_told(world: World) -> None:
    world.fake.remove("Secret", "orders-backup")

    with pytest.raises(Rejected, match='secret "orders-backup" not found'):
        world.programs().run(_RESTORE)


def test_a_quota_that_leaves_no_room_is_told(world: World) -> None:
    world.fake.put("ResourceQuota", "small", spec={"hard": {"pods": "0"}}, status={"hard": {"pods": "0"}, "used": {}})

    with pytest.raises(Rejected, match=r"its pod was refused: .*exceeded quota"):
        world.programs().run(_RESTORE)


def test_a_pod_that_no_node_takes_is_given_up_and_the_scheduler_quoted(world: World) -> None:
    world.fake.put("Node", "full", spec={"unschedulable": True})

    with pytest.raises(Rejected, match="no node takes its pod: 0/1 nodes are available"):
        world.programs(wait_to_start=60).run(_RESTORE)

    assert world.fake.every("Job") == []


def test_a_program_over_its_time_limit_is_ended_and_nobody_knows_how_far_it_came(world: World) -> None:
    world.ends = None

    with pytest.raises(OutcomeUnknown, match="did not end within 5 s"):
        world.programs().run(Program(key="slow", argv=("pg_restore",), time_limit=timedelta(seconds=5)))

    assert world.fake.every("Pod") == []


def test_a_pod_that_is_lost_with_its_node_is_not_a_failure_of_its_program(world: World) -> None:
    world.ends = None
    programs = world.programs()
    programs.start(_RESTORE)
    until_running(world)
    [pod] = world.fake.every("Pod")
    world.fake.remove("Pod", pod["metadata"]["name"])

    with pytest.raises(OutcomeUnknown, match="was lost: The Job failed, and its pod is gone"):
        programs.run(_RESTORE)


def test_more_output_than_is_kept_is_refused(world: World) -> None:
    world.ends = (0, "x" * 500)

    with pytest.raises(Rejected, match="printed more than 100 bytes"):
        world.programs().run(Program(key="loud", argv=("pg_restore",), output_limit=100))


def test_a_log_is_read_as_text_and_that_of_a_pod_which_is_gone_is_empty(world: World) -> None:
    world.fake.held_still = True
    world.fake.put("Pod", "api", spec={"containers": [{"name": "main", "image": "a"}]}, status={"phase": "Running"})
    world.fake.logs["shop", "api"] = "line 1\nline 2\n"

    log = world.cluster.read_log(ObjectRef(kind=PODS, namespace="shop", name="api"), "main", most_bytes=6)
    gone = world.cluster.read_log(ObjectRef(kind=PODS, namespace="shop", name="gone"), "main")

    assert (log, gone) == ("line 1", "")


def test_names_of_jobs_are_valid_and_different_for_every_key() -> None:
    names = {job_name(key) for key in ("restore-A", "restore-a", "x" * 200, "x" * 201, "Ünïcode")}

    assert len(names) == 5
    assert all(len(one) <= 63 and one == one.lower() and one.isascii() for one in names)


def until_running(world: World) -> None:
    for _ in range(20):
        if [one for one in world.fake.every("Pod") if one["status"]["phase"] == "Running"]:
            return
        world.cluster.get(ObjectRef(kind=PODS, namespace="shop", name="any"))
    raise AssertionError("no pod runs")
