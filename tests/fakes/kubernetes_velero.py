"""Velero's controllers on the fake Kubernetes, and the object storage that it keeps its files in.

As Velero 1.18 behaves where an engine could tell: it does one backup and one restore at a time; Completed says nothing
of volumes; a restart marks what is in progress as Failed; warnings count what was skipped; movements of data have bytes
of their own. Every phase takes `pace` of the fake's clock. `next` and `kept` tell it how to go wrong.
https://github.com/velero-io/velero/tree/v1.18.1/pkg/controller
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tests.fakes import kubernetes_patches as patches
from tests.fakes.calls import Answer, Call
from tests.fakes.kubernetes_controllers_base import event
from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_kinds import SERVED, kind_of, resource_of
from tests.fakes.kubernetes_probe_jobs import PretendNetwork
from tests.fakes.kubernetes_store import Thing, copied
from tests.fakes.kubernetes_velero_rules import changed_by
from tests.fakes.server import StrictServer
from tests.fakes.ticking import read, stamped

HOME = "velero"
_WAITING_TURN = ("", "New", "Queued", "ReadyToStart")
_WORKING = ("InProgress", "WaitingForPluginOperations", "Finalizing")
#: Never in a backup here, or made anew by others.
_NEVER = ("Event", "ReplicaSet", "Lease", "Job")


class VeleroStorage(StrictServer):
    """Answers presigned addresses; anything else is a fault."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}  #: by path

    def keep(self, path: str, told: object) -> None:
        self.files[path] = gzip.compress(json.dumps(told).encode())

    def answer(self, call: Call) -> Answer:
        if call.query.get("X-Amz-Signature") != "secret" or call.path not in self.files:
            self.fault(f"{call.verb} {call.path}: nobody was given such an address")
            return Answer(status=403)
        return Answer(body=self.files[call.path], headers={"Content-Type": "application/gzip"})


@dataclass
class Going:
    """How the next restores go."""

    moved: dict[str, int] = field(default_factory=dict)  #: bytes of a claim, in the place of the backup's
    hooks_failed: int = 0
    operations_failed: int = 0
    warnings: int = 0
    ends: str = "Completed"
    stops_in: str = ""  #: it stays in that phase
    unbound: set[str] = field(default_factory=set)  #: claims that stay Pending
    kept: str = "Delete"  #: the reclaim policy that its volumes end with


@dataclass
class Kept:
    """A backup in the object storage."""

    objects: list[Thing]
    volumes: dict[str, int]


class Velero:
    """A controller of `FakeKubernetes`. `how`: data movement, file system or CSI snapshot."""

    def __init__(self, storage: VeleroStorage, network: PretendNetwork, *, how: str = "data movement") -> None:
        self.storage, self.network, self.how = storage, network, how
        self.pace = timedelta(seconds=5)
        self.running = True
        self.address = ""  #: of the object storage, as Velero tells it
        self.next = Going()
        self.skips: set[str] = set()  #: claims of which nothing is backed up, and nothing said
        self.kept: dict[str, Kept] = {}
        self._since: dict[str, Any] = {}

    def __call__(self, fake: Insides) -> bool:
        before = fake.objects.version
        if self.running:
            self._validate(fake)
            for one in list(fake.objects.all(kind_of("DownloadRequest"), HOME)):
                self._sign(fake, one)
            self._back_up(fake)
            self._restore(fake)
        return fake.objects.version != before

    def restart(self, fake: Insides) -> None:
        """What is in progress is lost."""
        for kind in ("Backup", "Restore"):
            for one in list(fake.objects.all(kind_of(kind), HOME)):
                if (one.get("status") or {}).get("phase") == "InProgress":
                    found = f'found a {kind.lower()} with status "InProgress" during the server starting'
                    reason = f'{found}, mark it as "Failed"'
                    self._tell(fake, one, phase="Failed", failureReason=reason, completionTimestamp=fake.clock.stamp)

    def _validate(self, fake: Insides) -> None:
        for one in list(fake.objects.all(kind_of("BackupStorageLocation"), HOME)):
            status = one.get("status") or {}
            last = status.get("lastValidationTime")
            if status.get("phase") == "Available" and (not last or fake.clock.at - read(last) > timedelta(minutes=1)):
                self._tell(fake, one, lastValidationTime=fake.clock.stamp)

    def _sign(self, fake: Insides, request: Thing) -> None:
        target = request["spec"]["target"]
        path = f"/{target['kind']}/{target['name']}"
        if (request.get("status") or {}).get("downloadURL") or path not in self.storage.files:
            return
        address = f"{self.address or self.storage.url}{path}?X-Amz-Signature=secret"
        self._tell(
            fake,
            request,
            phase="Processed",
            downloadURL=address,
            expiration=stamped(fake.clock.at + timedelta(minutes=10)),
        )

    def _back_up(self, fake: Insides) -> None:
        every = sorted(fake.objects.all(kind_of("Backup"), HOME), key=lambda one: one["metadata"]["creationTimestamp"])
        busy = [one for one in every if _phase(one) in _WORKING]
        queue = [one for one in every if _phase(one) in _WAITING_TURN]
        for one in busy:
            if self._waited(fake, one):
                self._on(fake, one)
        for place, one in enumerate(queue):
            if not busy and place == 0:
                self._tell(fake, one, phase="InProgress", startTimestamp=fake.clock.stamp, queuePosition=None)
                self._mark(fake, one)
            elif _phase(one) != "Queued" or one["status"].get("queuePosition") != place + 1:
                self._tell(fake, one, phase="Queued", queuePosition=place + 1)

    def _on(self, fake: Insides, backup: Thing) -> None:
        phase = _phase(backup)
        if phase == "InProgress":
            self._take(fake, backup)
            self._tell(fake, backup, phase="WaitingForPluginOperations")
        elif phase == "WaitingForPluginOperations":
            self._tell(fake, backup, phase="Finalizing")
        else:
            expires = stamped(fake.clock.at + timedelta(days=30))
            done = {"phase": "Completed", "completionTimestamp": fake.clock.stamp, "expiration": expires}
            self._tell(fake, backup, **done)
        self._mark(fake, backup)

    def _take(self, fake: Insides, backup: Thing) -> None:
        name, included = backup["metadata"]["name"], backup["spec"].get("includedNamespaces") or []
        objects = [
            copied(one)
            for resource in SERVED
            if resource.namespaced and resource.kind not in _NEVER and resource.group != "velero.io"
            for namespace in included
            for one in fake.objects.all(resource, namespace)
        ]
        claims = [one for one in objects if one["kind"] == "PersistentVolumeClaim"]
        infos = [told for one in claims for told in self._info(fake, one)]
        volumes = {
            f"{one['pvcNamespace']}/{one['pvcName']}": self.network.volumes.get(
                f"{one['pvcNamespace']}/{one['pvcName']}", 0
            )
            for one in infos
        }
        self.kept[name] = Kept(objects=objects, volumes=volumes)
        listed = [f"{one['metadata']['namespace']}/{one['metadata']['name']}" for one in claims]
        self.storage.keep(f"/BackupVolumeInfos/{name}", infos)
        self.storage.keep(f"/BackupResourceList/{name}", {"v1/PersistentVolumeClaim": listed, "v1/Namespace": included})

    def _info(self, fake: Insides, claim: Thing) -> Iterator[Thing]:
        """A hostPath volume is skipped by the file system's way, with no more than a line in the log."""
        key = f"{claim['metadata']['namespace']}/{claim['metadata']['name']}"
        volume = fake.objects.find(kind_of("PersistentVolume"), "", claim["spec"].get("volumeName") or "")
        host_path = volume is not None and "hostPath" in volume["spec"]
        if key in self.skips or (self.how == "file system" and host_path):
            return
        size = self.network.volumes.get(key, 0)
        info = {"pvcName": claim["metadata"]["name"], "pvcNamespace": claim["metadata"]["namespace"], "skipped": False}
        info |= {"snapshotDataMoved": self.how == "data movement", "result": "succeeded"}
        data = {"snapshotHandle": f"snap-{key}", "size": size, "Phase": "Completed"}
        if self.how == "data movement":
            info |= {"backupMethod": "CSISnapshot", "snapshotDataMovementInfo": data}
            info |= {"csiSnapshotInfo": {"snapshotHandle": "unknown"}}
        elif self.how == "file system":
            info |= {"backupMethod": "PodVolumeBackup", "pvbInfo": data}
        else:
            info |= {"backupMethod": "CSISnapshot", "csiSnapshotInfo": {**data, "Phase": "", "ReadyToUse": True}}
        yield info

    def _restore(self, fake: Insides) -> None:
        every = sorted(fake.objects.all(kind_of("Restore"), HOME), key=lambda one: one["metadata"]["creationTimestamp"])
        for one in every:
            if _phase(one) in _WORKING and self._waited(fake, one) and _phase(one) != self.next.stops_in:
                self._restore_on(fake, one)
        waiting = [one for one in every if _phase(one) in _WAITING_TURN]
        if waiting and not any(_phase(one) == "InProgress" for one in every) and self.next.stops_in != "New":
            self._begin(fake, waiting[0])

    def _begin(self, fake: Insides, restore: Thing) -> None:
        backup = fake.objects.find(kind_of("Backup"), HOME, restore["spec"].get("backupName") or "")
        faults = (
            [] if restore["spec"].get("backupName") in self.kept and backup else ["Error retrieving backup: not found"]
        )
        location = fake.objects.find(kind_of("BackupStorageLocation"), HOME, "default")
        if location is None or _phase(location) != "Available":
            faults.append("The BSL default is unavailable, cannot retrieve the backup")
        if faults:
            self._tell(fake, restore, phase="FailedValidation", validationErrors=faults)
            return
        self._tell(fake, restore, phase="InProgress", startTimestamp=fake.clock.stamp)
        self._mark(fake, restore)

    def _restore_on(self, fake: Insides, restore: Thing) -> None:
        phase = _phase(restore)
        if phase == "InProgress":
            self._put_back(fake, restore)
            self._tell(fake, restore, phase="WaitingForPluginOperations")
        elif phase == "WaitingForPluginOperations":
            if self._move(fake, restore):
                self._tell(fake, restore, phase="Finalizing")
        else:
            self._finish(fake, restore)
        self._mark(fake, restore)

    def _put_back(self, fake: Insides, restore: Thing) -> None:
        spec, kept, skipped = restore["spec"], self.kept[restore["spec"]["backupName"]], 0
        rules = fake.objects.get(kind_of("ConfigMap"), HOME, spec["resourceModifier"]["name"])
        [rules_text] = rules["data"].values()
        wanted, mapped = spec["includedResources"], spec["namespaceMapping"]
        for new in mapped.values():
            if fake.objects.find(kind_of("Namespace"), "", new) is None:
                fake.objects.create(kind_of("Namespace"), {"metadata": {"name": new}}, "velero-server")
        for one in kept.objects:
            if resource_of(one).qualified in wanted and one["metadata"]["namespace"] in mapped:
                skipped += not self._put(fake, changed_by(rules_text, one), mapped, restore["metadata"]["name"])
        items = len(kept.objects)
        self._tell(
            fake, restore, warnings=skipped + self.next.warnings, progress={"totalItems": items, "itemsRestored": items}
        )

    def _put(self, fake: Insides, thing: Thing, mapped: dict[str, str], restore: str) -> bool:
        """Whether it was created: what exists already is skipped, with a warning."""
        resource, meta = resource_of(thing), thing["metadata"]
        old, new = meta["namespace"], mapped[meta["namespace"]]
        if fake.objects.find(resource, new, meta["name"]) is not None:
            return False
        labels = {**(meta.get("labels") or {}), "velero.io/restore-name": restore}
        made = {"metadata": {"name": meta["name"], "namespace": new, "labels": labels}}
        made |= {name: thing[name] for name in thing.keys() - {"metadata", "status", "kind", "apiVersion"}}
        if resource.kind == "PersistentVolumeClaim":
            made["spec"].pop("volumeName", None)
            made["status"] = {"phase": "Pending"}
            if self.how != "CSI snapshot":
                self._movement(fake, f"{old}/{meta['name']}", new, meta["name"], restore)
        elif resource.kind == "Pod":
            made["status"] = {"phase": "Pending"}
        fake.objects.create(resource, made, "velero-server")
        return True

    def _movement(self, fake: Insides, claim: str, namespace: str, name: str, restore: str) -> None:
        sizes = self.kept[fake.objects.get(kind_of("Restore"), HOME, restore)["spec"]["backupName"]].volumes
        if claim not in sizes:
            return
        kind = "DataDownload" if self.how == "data movement" else "PodVolumeRestore"
        meta = {"name": f"{restore}-{name}", "namespace": HOME, "labels": {"velero.io/restore-name": restore}}
        target = {"targetVolume": {"namespace": namespace, "pvc": name}, "size": sizes[claim], "claim": claim}
        target["sourceNamespace"] = claim.partition("/")[0]
        spec = target if kind == "DataDownload" else {"pod": {"namespace": namespace}, "volume": name, **target}
        fake.objects.create(
            kind_of(kind), {"metadata": meta, "spec": spec, "status": {"phase": "Accepted"}}, "velero-server"
        )

    def _moving(self, fake: Insides, restore: Thing) -> list[Thing]:
        kind = "DataDownload" if self.how == "data movement" else "PodVolumeRestore"
        name = restore["metadata"]["name"]
        every = fake.objects.all(kind_of(kind), HOME)
        return [one for one in every if one["metadata"]["labels"]["velero.io/restore-name"] == name]

    def _move(self, fake: Insides, restore: Thing) -> bool:
        """A half at a time."""
        moving = self._moving(fake, restore)
        for one in moving:
            size = one["spec"]["size"]
            done = (one["status"].get("progress") or {}).get("bytesDone", 0)
            if one["status"]["phase"] == "InProgress" and self.next.ends == "PartiallyFailed":
                self._tell(fake, one, phase="Failed", message="data path failed: no space left on device")
            elif one["status"]["phase"] == "InProgress":
                moved = self.next.moved.get(one["spec"]["claim"], size)
                self._tell(fake, one, phase="Completed", progress={"bytesDone": moved, "totalBytes": size})
                target = one["spec"]["targetVolume"]
                self.network.volumes[f"{target['namespace']}/{target['pvc']}"] = moved
            elif one["status"]["phase"] == "Accepted":
                self._tell(fake, one, phase="InProgress", progress={"bytesDone": done + size // 2, "totalBytes": size})
        return all(one["status"]["phase"] in ("Completed", "Failed") for one in self._moving(fake, restore))

    def _finish(self, fake: Insides, restore: Thing) -> None:
        going, sizes = self.next, self.kept[restore["spec"]["backupName"]].volumes
        for old, namespace in restore["spec"]["namespaceMapping"].items():
            for claim in list(fake.objects.all(kind_of("PersistentVolumeClaim"), namespace)):
                name = claim["metadata"]["name"]
                if name in going.unbound:
                    event(fake, claim, "ProvisioningFailed", "no volume plugin matched", by="pv-controller")
                    continue
                self._bind(fake, claim)
                if self.how == "CSI snapshot":
                    self.network.volumes[f"{namespace}/{name}"] = going.moved.get(
                        f"{old}/{name}", sizes.get(f"{old}/{name}", 0)
                    )
        failed = {"hooksAttempted": 2, "hooksFailed": going.hooks_failed} if going.hooks_failed else None
        self.storage.keep(
            f"/RestoreResults/{restore['metadata']['name']}",
            {"warnings": {"namespaces": {"shop": ["could not restore, Service:db already exists"]}}, "errors": {}},
        )
        self._tell(
            fake,
            restore,
            phase=going.ends,
            errors=0 if going.ends == "Completed" else 1,
            hookStatus=failed,
            restoreItemOperationsFailed=going.operations_failed or None,
            completionTimestamp=fake.clock.stamp,
        )

    def _bind(self, fake: Insides, claim: Thing) -> None:
        meta = claim["metadata"]
        volume = f"pvc-{meta['uid']}"
        claimed = {"namespace": meta["namespace"], "name": meta["name"]}
        spec = {"claimRef": claimed, "persistentVolumeReclaimPolicy": self.next.kept, "csi": {"driver": "csi.test"}}
        if fake.objects.find(kind_of("PersistentVolume"), "", volume) is None:
            fake.objects.create(kind_of("PersistentVolume"), {"metadata": {"name": volume}, "spec": spec}, "csi")
        bound = patches.merge(claim, {"spec": {"volumeName": volume}})
        fake.objects.write(kind_of("PersistentVolumeClaim"), claim, bound, by="pv-controller")
        now = fake.objects.get(kind_of("PersistentVolumeClaim"), meta["namespace"], meta["name"])
        told = {**now, "status": {"phase": "Bound"}}
        fake.objects.write(kind_of("PersistentVolumeClaim"), now, told, by="pv-controller", sub="status")

    def _tell(self, fake: Insides, thing: Thing, **status: object) -> None:
        """Into its status, as it is now; None takes a field away."""
        resource, meta = resource_of(thing), thing["metadata"]
        now = fake.objects.get(resource, meta["namespace"], meta["name"])
        fake.objects.write(resource, now, patches.merge(now, {"status": status}), by="velero-server")

    def _mark(self, fake: Insides, thing: Thing) -> None:
        self._since[thing["metadata"]["uid"]] = fake.clock.at

    def _waited(self, fake: Insides, thing: Thing) -> bool:
        return bool(fake.clock.at - self._since.setdefault(thing["metadata"]["uid"], fake.clock.at) >= self.pace)


def _phase(thing: Thing) -> str:
    return str((thing.get("status") or {}).get("phase") or "")
