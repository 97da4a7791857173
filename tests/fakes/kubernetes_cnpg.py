"""CloudNativePG's operator and the Barman Cloud plug-in on the fake Kubernetes, in its time.

As CloudNativePG 1.30 behaves where an engine could tell: the window is kept in the ObjectStore, and the fields of the
Cluster stay empty; a backup waits while WAL is not archived; a recovery is a Job, which fails for a moment after the
last commit; an instance is ready before the phase says healthy; a copy that would archive into a used path is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.fakes.kubernetes_controllers_base import made, told
from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_kinds import kind_of
from tests.fakes.kubernetes_store import Thing
from tests.fakes.ticking import read

BACKUP = "Backup.postgresql.cnpg.io"
HEALTHY = "Cluster in healthy state"
_PLUGIN = "barman-cloud.cloudnative-pg.io"


@dataclass
class CloudNativePg:
    """A controller of `FakeKubernetes`."""

    pace: timedelta = timedelta(seconds=5)
    archiving: bool = True
    running: bool = True
    last_commit: datetime | None = None  #: of the live database; None: just now
    recovery_fails: str = ""  #: what the recovery Job fails with
    system_id: str = "7431"  #: of what a recovery brings back
    unbound: bool = False  #: volumes of copies stay Pending
    _since: dict[str, Any] = field(default_factory=dict)
    _made: int = 0

    def __call__(self, fake: Insides) -> bool:
        before = fake.objects.version
        if self.running:
            for backup in list(fake.objects.all(kind_of(BACKUP))):
                self._back_up(fake, backup)
            for cluster in list(fake.objects.all(kind_of("Cluster"))):
                if "recovery" in (cluster["spec"].get("bootstrap") or {}):
                    self._recover(fake, cluster)
                else:
                    self._archive(fake, cluster)
        return fake.objects.version != before

    def _archive(self, fake: Insides, live: Thing) -> None:
        """The condition of the live cluster."""
        status = live.get("status") or {}
        state = "True" if self.archiving else "False"
        message = (
            "Continuous archiving is working"
            if self.archiving
            else "unexpected failure invoking barman-cloud-wal-archive"
        )
        held = (status.get("conditions") or [{}])[0]
        if held.get("status") != state:
            condition = {"type": "ContinuousArchiving", "status": state, "message": message}
            self._tell(fake, live, conditions=[{**condition, "lastTransitionTime": fake.clock.stamp}])

    def _back_up(self, fake: Insides, backup: Thing) -> None:
        phase = (backup.get("status") or {}).get("phase")
        if phase in ("completed", "failed", "invalid backup definition"):
            return
        live = fake.objects.find(kind_of("Cluster"), backup["metadata"]["namespace"], backup["spec"]["cluster"]["name"])
        if live is None:
            self._tell(fake, backup, phase="invalid backup definition", error="Unknown cluster")
        elif not self.archiving:
            if phase != "walArchivingFailing":
                self._tell(fake, backup, phase="walArchivingFailing", error="barman-cloud-wal-archive failed")
        elif phase in (None, "pending", "walArchivingFailing"):
            self._tell(fake, backup, phase="started", startedAt=fake.clock.stamp, method=backup["spec"].get("method"))
            self._mark(fake, backup)
        elif self._waited(fake, backup):
            self._made += 1
            done = {"phase": "completed", "stoppedAt": fake.clock.stamp, "backupId": f"20261124T03{self._made:04d}"}
            self._tell(fake, backup, **done)
            self._widen(fake, live)

    def _widen(self, fake: Insides, live: Thing) -> None:
        """The plug-in writes the window into the ObjectStore; the Cluster's own fields stay as they are."""
        [plugin] = live["spec"]["plugins"]
        parameters = plugin["parameters"]
        store = fake.objects.get(kind_of("ObjectStore"), live["metadata"]["namespace"], parameters["barmanObjectName"])
        server = parameters.get("serverName") or live["metadata"]["name"]
        windows = dict((store.get("status") or {}).get("serverRecoveryWindow") or {})
        held = windows.get(server) or {}
        first = held.get("firstRecoverabilityPoint") or fake.clock.stamp
        windows[server] = {"firstRecoverabilityPoint": first, "lastSuccessfulBackupTime": fake.clock.stamp}
        self._tell(fake, store, serverRecoveryWindow=windows)

    def _recover(self, fake: Insides, copy: Thing) -> None:
        phase = (copy.get("status") or {}).get("phase")
        jobs = fake.objects.owned(copy["metadata"]["uid"], kind_of("Job"))
        if not phase:
            self._start(fake, copy)
        elif phase == "Setting up primary" and not (jobs[0].get("status") or {}).get("conditions"):
            if self._waited(fake, copy) and not self.unbound:
                self._end_job(fake, copy, jobs[0])
        elif phase == "Setting up primary" and jobs[0]["status"]["conditions"][0]["type"] == "Complete":
            # Ready, and then restarted once more.
            ready = {"type": "Ready", "status": "True", "lastTransitionTime": fake.clock.stamp}
            waiting = "Waiting for the instances to become active"
            self._tell(fake, copy, phase=waiting, readyInstances=1, conditions=[ready])
            self._mark(fake, copy)
        elif phase.startswith("Waiting") and self._waited(fake, copy):
            self._tell(fake, copy, phase=HEALTHY)

    def _start(self, fake: Insides, copy: Thing) -> None:
        spec, name = copy["spec"], copy["metadata"]["name"]
        [origin] = spec["externalClusters"]
        parameters, target = origin["plugin"]["parameters"], spec["bootstrap"]["recovery"].get("recoveryTarget") or {}
        assert origin["name"] == spec["bootstrap"]["recovery"]["source"]
        assert len({"targetTime", "targetImmediate", "targetLSN", "targetXID", "targetName"} & target.keys()) <= 1
        store = fake.objects.find(kind_of("ObjectStore"), copy["metadata"]["namespace"], parameters["barmanObjectName"])
        if store is None:
            self._tell(fake, copy, phase="Unable to create required cluster objects", phaseReason="no such ObjectStore")
            return
        if any(one["name"] == _PLUGIN for one in spec.get("plugins") or ()):
            self._tell(fake, copy, phase="Cluster cannot proceed", phaseReason="Expected empty archive")
            return
        job = {
            "metadata": {"name": f"{name}-1-full-recovery", "labels": {"cnpg.io/cluster": name}},
            "spec": {"template": {"spec": {}}},
        }
        made(fake, copy, "Job", {**job}, by="cloudnative-pg")
        claim = {"metadata": {"name": f"{name}-1", "labels": {"cnpg.io/cluster": name}}, "spec": spec["storage"]}
        claim["status"] = {"phase": "Pending" if self.unbound else "Bound"}
        made(fake, copy, "PersistentVolumeClaim", claim, by="cloudnative-pg")
        self._tell(fake, copy, phase="Setting up primary", systemID=self.system_id, instances=1, readyInstances=0)
        self._mark(fake, copy)

    def _end_job(self, fake: Insides, copy: Thing, job: Thing) -> None:
        wanted = (copy["spec"]["bootstrap"]["recovery"].get("recoveryTarget") or {}).get("targetTime")
        late = bool(wanted and self.last_commit and read(wanted) > self.last_commit)
        failed = late or self.recovery_fails
        why = self.recovery_fails or "BackoffLimitExceeded"
        condition = {"type": "Failed" if failed else "Complete", "status": "True", "message": why if failed else ""}
        told(fake, job, {"conditions": [condition], "failed": 7 if failed else 0})

    def _tell(self, fake: Insides, thing: Thing, **status: object) -> None:
        told(fake, thing, {**(thing.get("status") or {}), **status}, by="cloudnative-pg")

    def _mark(self, fake: Insides, thing: Thing) -> None:
        self._since[thing["metadata"]["uid"]] = fake.clock.at

    def _waited(self, fake: Insides, thing: Thing) -> bool:
        return bool(fake.clock.at - self._since.setdefault(thing["metadata"]["uid"], fake.clock.at) >= self.pace)
