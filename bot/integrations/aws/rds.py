"""Databases of RDS and Aurora: restored from a snapshot or to a point in time into a new one beside, and swapped by
renaming.

The promise: the name of a copy is made of the run, and its tags carry the run from its first moment, so a run has one
copy or none. What is live is told by resource id, never by name.
The trap: "available" says that a database answers, not that its data is there or read. So a copy is verified by reading
all of it, which also brings its blocks from S3; where nobody can read it, that is a check that failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bot.core.backup import (
    DRILL_LABEL,
    OWNER_LABEL,
    Backup,
    Check,
    CheckResult,
    Copy,
    CopyState,
    CopyStatus,
    EngineParts,
    Inventory,
    Report,
    RestorePoint,
    RestorePreview,
    RestoreTask,
    Window,
)
from bot.core.errors import Conflict, Rejected
from bot.integrations.aws.client import AwsRefused, AwsService
from bot.integrations.aws.rds_clusters import RdsClusters
from bot.integrations.aws.rds_cutover import RdsCutover
from bot.integrations.aws.rds_database import GIB, RdsDatabase, as_tags, copy_name
from bot.integrations.aws.rds_drill import DrillPlace
from bot.integrations.aws.rds_instances import RdsInstances
from bot.integrations.aws.rds_inventory import POINT_IN_TIME, RdsFindings, RdsKind, window_of
from bot.integrations.aws.rds_isolation import connects, leak_of, refuse_without_groups
from bot.integrations.aws.rds_sessions import sessions_of
from bot.integrations.aws.rds_status import status_of
from bot.integrations.aws.rds_verify import verify_database
from bot.integrations.aws.settings import RdsSettings
from bot.integrations.cutover import CutsOver

_STORE_TAG = "vakhta.dev/store"
_EXPIRES_TAG = "vakhta.dev/expires"
_OURS = "vakhta.dev/"
#: Right after the request, describe may answer that there is no such database.
_SHOWN_WITHIN = timedelta(minutes=5)
#: What to do about a refusal, by AWS's word for it.
_REMEDIES = {
    "InstanceQuotaExceeded": "Raise the account's quota of DB instances, or remove one.",
    "DBClusterQuotaExceededFault": "Raise the account's quota of DB clusters, or remove one.",
    "StorageQuotaExceeded": "Raise the account's quota of storage for RDS, or remove an instance.",
    "InsufficientDBInstanceCapacity": "Use another instance_class or another zone, or try again in some hours.",
    "KMSKeyNotAccessibleFault": "Enable the KMS key, and allow the bot kms:CreateGrant on it.",
    "PointInTimeRestoreNotEnabled": "Set a backup retention period; until then restore from a snapshot.",
    "DBClusterParameterGroupNotFound": "Make the cluster's parameter group again.",
    "InsufficientStorageClusterCapacity": "Use another zone, or try again in some hours.",
    "DBParameterGroupNotFound": "Make the parameter group again.",
    "DBSubnetGroupNotFoundFault": "Make the subnet group again, or name another one.",
    "OptionGroupNotFoundFault": "Make the option group again.",
}


class RdsEngine(CutsOver):
    """One instance or one cluster."""

    title = "RDS"

    _cutover: RdsCutover

    def __init__(self, where: RdsSettings, parts: EngineParts) -> None:
        called = f"vakhta-{parts.store}"
        self._where = where
        self._parts = parts
        self._name = where.identifier
        self._rds = AwsService(where, "rds", called=called)
        self._kms = AwsService(where, "kms", called=called)
        self._ec2 = AwsService(where, "ec2", called=called)
        self._kind: RdsKind = RdsInstances(self._rds) if where.instance else RdsClusters(self._rds)
        self._place = DrillPlace(
            security_groups=where.security_groups,
            subnet_group=where.subnet_group,
            instance_class=where.instance_class,
        )
        self._cutover = RdsCutover(self._kind, self._name, parts, lambda one: sessions_of(where.url, one.host))
        self._begun: dict[str, datetime] = {}  #: run -> when this process has asked for its copy

    def inventory(self) -> Inventory:
        live = self._kind.find(self._name)
        network = bool(self._where.security_groups and self._where.subnet_group)
        return self._findings().inventory(self._name, live, network_set=network)

    def preview(self, point: RestorePoint, *, drill: bool) -> RestorePreview:
        live = self._kind.find(self._name)
        found = self._findings().inventory(self._name, live, network_set=bool(self._where.security_groups))
        if found.blockers:
            raise Rejected(f"{' '.join(found.blockers)} Nothing was done.")
        if drill:
            refuse_without_groups(self._where.security_groups, live)
        begin = _beginning(point, found)
        self._kind.parameters(live, self._place if drill else None) if live else self._kind.bare(self._place)
        needs = live.allocated_bytes if live else begin.size_bytes
        return RestorePreview(
            backup_id=begin.id,
            data_at=point.at or begin.data_at,
            copy_name=f"{self._name[:40].rstrip('-')}-{'drill' if drill else 'restore'}-{{run}}",
            effect=self._effect(point, begin, drill=drill),
            preconditions={"source": live.resource_id if live else "gone"},
            not_restored=tuple(self._kind.not_restored(live))
            if live
            else ("the settings of the database that is gone",),
            moving=_told_moving(self._cutover_sessions(live), self._name),
            size_bytes=needs or begin.size_bytes,
            needs_bytes=needs,
            free_bytes=self._room(),
            expires_at=begin.expires_at,
            facts=_facts(live, point, begin),
        )

    def begin(self, task: RestoreTask) -> None:
        target = copy_name(self._name, task)
        if (found := self._kind.find(target)) is not None:
            self._refuse_foreign(found, task)
            return
        live = self._kind.find(self._name)
        source = task.facts.get("resource_id", "")
        if (live.resource_id if live else "") != source:
            raise Conflict(f"{self._name} is another database than the plan has seen. Nothing was done. Ask again.")
        place = self._place if task.drill else None
        parameters = self._kind.parameters(live, place) if live else self._kind.bare(self._place)
        parameters["Tags"] = as_tags(self._tags(task, live))
        if task.drill:
            refuse_without_groups(self._where.security_groups, live)
        self._begun[task.run] = self._parts.now()
        try:
            self._restore(task, live, target, parameters)
        except AwsRefused as refused:
            self._refused(refused, task, target)

    def look(self, task: RestoreTask) -> CopyStatus:
        copy = self._copy_of(task)
        if copy is None:
            begun = self._begun.get(task.run)
            if begun and self._parts.now() - begun < _SHOWN_WITHIN:
                return CopyStatus(state=CopyState.WAITING, message="AWS does not show it yet")
            return CopyStatus(state=CopyState.ABSENT)
        status = status_of(copy.status, copy.name)
        if status.state is CopyState.RESTORED:
            live = self._kind.find(self._name)
            if waits := self._kind.complete(copy, live, self._place if task.drill else None):
                return waits
            return CopyStatus(state=CopyState.RESTORED, message=status.message, data_at=_data_at(task))
        return status

    def verify(self, task: RestoreTask, checks: Sequence[Check], report: Report) -> Sequence[CheckResult]:
        copy = self._copy_of(task)
        if copy is None:
            return [CheckResult(name="the copy is there", expected="available", got="nothing", ok=False)]
        live = self._kind.find(self._name)
        found = list(self._own_checks(task, copy, live))
        return found + verify_database(self._where.url, copy, live, checks, report, data_at=_data_at(task))

    def isolation_leak(self, task: RestoreTask) -> str:
        copy = self._copy_of(task)
        if copy is None:
            return "the copy is not there, so its isolation cannot be tried"
        live = self._kind.find(self._name)
        if leak := leak_of(copy, live, self._where.security_groups, self._ec2):
            return leak
        if self._where.url is None and copy.host and not connects(copy.host, copy.port):
            return f"{copy.host}:{copy.port} accepts a connection from here, and nobody should be let in"
        return ""

    def copies(self) -> Sequence[Copy]:
        found = []
        for one in self._kind.list_all():
            run = one.tags.get(DRILL_LABEL) or one.tags.get(OWNER_LABEL)
            if run and one.name != self._name and one.tags.get(_STORE_TAG) == self._parts.store:
                drill = DRILL_LABEL in one.tags
                found.append(Copy(run=run, name=one.name, created_at=one.created_at, drill=drill))
        return found

    def remove(self, copy: Copy) -> None:
        found = self._kind.find(copy.name)
        if found is None or found.status == "deleting":
            return
        run = found.tags.get(DRILL_LABEL if copy.drill else OWNER_LABEL)
        if run != copy.run or found.tags.get(_STORE_TAG) != self._parts.store:
            raise Rejected(f"{copy.name} does not carry the run {copy.run[:8]}. Nothing was removed.")
        live = self._kind.find(self._name)
        if live is not None and live.resource_id == found.resource_id:
            raise Rejected(f"{copy.name} is the live {self._name}. Nothing was removed.")
        if copy.created_at and found.created_at and copy.created_at != found.created_at:
            raise Rejected(f"{copy.name} was created at another time than the copy of that run. Nothing was removed.")
        if found.raw.get("DeletionProtection"):
            self._kind.protect(found.name, on=False)
        self._kind.delete(found.name)

    def begin_backup(self, run: str) -> None:
        name = self._backup_name(run)
        if self._kind.find_snapshot(name) is None:
            self._begun[run] = self._parts.now()
            self._kind.take_snapshot(self._name, name, {OWNER_LABEL: run, _STORE_TAG: self._parts.store})

    def look_backup(self, run: str) -> CopyStatus:
        """botocore's waiter takes a snapshot that is not found for a completed one; here it is absent."""
        name = self._backup_name(run)
        found = self._kind.find_snapshot(name)
        if found is None:
            begun = self._begun.get(run)
            if begun and self._parts.now() - begun < _SHOWN_WITHIN:
                return CopyStatus(state=CopyState.WAITING, message="AWS does not show it yet")
            return CopyStatus(state=CopyState.ABSENT)
        if found.status in ("creating", "pending"):
            return CopyStatus(state=CopyState.RUNNING, message=f"{name}: {found.percent or 0} %", phase="snapshot")
        if problem := self._findings().problem_of(found):
            return CopyStatus(state=CopyState.FAILED, message=f"{name} cannot be restored from: {problem}")
        return CopyStatus(state=CopyState.RESTORED, message=name, data_at=found.made_at)

    def _restore(self, task: RestoreTask, live: RdsDatabase | None, target: str, parameters: dict[str, Any]) -> None:
        if not _is_point_in_time(task.point):
            snapshot = self._kind.find_snapshot(task.point.backup_id)
            if snapshot is None or (problem := self._findings().problem_of(snapshot)):
                why = "it is gone" if snapshot is None else problem
                raise Conflict(f"{task.point.backup_id} cannot be restored from any more: {why}. Nothing was done.")
            self._kind.restore_snapshot(snapshot.name, target, parameters)
            return
        automated = self._kind.automated(self._name, live)
        window = window_of(live, automated)
        if window is None:
            raise Conflict(f"{self._name} has no automated backups any more. Nothing was done.")
        at = task.point.at
        if at is not None and not window.earliest <= at <= window.latest:
            raise Conflict(f"{_told(at)} can no longer be reached; the window is {_span(window)}. Nothing was done.")
        self._kind.restore_time(self._kind.source(live, automated), target, at, parameters)

    def _refused(self, refused: AwsRefused, task: RestoreTask, target: str) -> None:
        if refused.reason.removesuffix("Fault") in ("DBInstanceAlreadyExists", "DBClusterAlreadyExists"):
            found = self._kind.find(target)
            if found is not None:
                self._refuse_foreign(found, task)
            return
        del self._begun[task.run]
        remedy = _REMEDIES.get(refused.reason, "")
        raise AwsRefused(f"{refused.message} {remedy}".rstrip(), reason=refused.reason, code=refused.code) from None

    def _refuse_foreign(self, found: RdsDatabase, task: RestoreTask) -> None:
        if found.tags.get(DRILL_LABEL if task.drill else OWNER_LABEL) != task.run:
            raise Conflict(f"There is a {self._kind.word} {found.name} already, and not of this run. Nothing was done.")

    def _copy_of(self, task: RestoreTask) -> RdsDatabase | None:
        """By its name, or where it was renamed by a cutover, by its tags."""
        label = DRILL_LABEL if task.drill else OWNER_LABEL
        found = self._kind.find(copy_name(self._name, task))
        if found is not None and found.tags.get(label) == task.run:
            return found
        if task.drill:
            return None
        return next((one for one in self._kind.list_all() if one.tags.get(label) == task.run), None)

    def _own_checks(self, task: RestoreTask, copy: RdsDatabase, live: RdsDatabase | None) -> Iterator[CheckResult]:
        yield CheckResult(
            name="status", expected="available", got=copy.status,
            ok=status_of(copy.status, copy.name).state is CopyState.RESTORED,
        )  # fmt: skip
        source = task.facts.get("resource_id") or "another than the live one"
        apart = copy.resource_id != (live.resource_id if live else "")
        yield CheckResult(
            name="resource id", expected=f"not {source}", got=copy.resource_id, ok=apart or copy.name == self._name
        )
        if live is not None:
            yield CheckResult(
                name="engine version", expected=live.version, got=copy.version, ok=copy.version == live.version
            )
        if task.drill and self._where.url is not None:
            leak = leak_of(copy, live, self._where.security_groups, self._ec2)
            got = leak or "not tried by a connection, because the bot itself is let in; read from the security groups"
            yield CheckResult(name="isolation", expected="reached by the bot alone", got=got, ok=not leak)

    def _effect(self, point: RestorePoint, begin: Backup, *, drill: bool) -> tuple[str, ...]:
        what = f"from the snapshot {begin.id}"
        if _is_point_in_time(point) or begin.id == POINT_IN_TIME:
            what = f"to {_told(point.at)}" if point.at else "to the latest moment that its logs reach"
        lines = [f"restores the {self._kind.word} {self._name} {what} into a new one beside it"]
        lines.append("the live one is not touched; the copy has its parameters, options, class and network")
        if drill:
            lines[1] = "the copy is in security groups of drills alone, without a public address, and is removed after"
        if self._kind.word == "cluster":
            lines.append("the copy is a full copy with one instance, which is asked for when the cluster is available")
        return tuple(lines)

    def _tags(self, task: RestoreTask, live: RdsDatabase | None) -> Mapping[str, str]:
        """Of a drill only ours, so that no rule by the live one's tags applies to it."""
        ours = {DRILL_LABEL if task.drill else OWNER_LABEL: task.run, _STORE_TAG: self._parts.store}
        if task.expires_at:
            ours[_EXPIRES_TAG] = task.expires_at.isoformat(timespec="seconds")
        if task.drill or live is None:
            return ours
        kept = {key: value for key, value in live.tags.items() if not key.startswith(("aws:", _OURS))}
        return kept | ours

    def _room(self) -> int | None:
        """Bytes of storage that the account's quotas still allow. Raises `Rejected` where they allow none more."""
        quotas = {
            one["AccountQuotaName"]: (int(one["Used"]), int(one["Max"]))
            for one in self._rds.read("DescribeAccountAttributes")["AccountQuotas"]
        }
        for quota, word in self._kind.quotas.items():
            used, most = quotas.get(quota, (0, 1))
            if used >= most:
                raise Rejected(
                    f"The account has {used} of at most {most} {word} of RDS in this region, so there is "
                    "no room for a copy. Nothing was done. Raise the quota, or remove one."
                )
        storage = quotas.get("AllocatedStorage")
        return None if storage is None else max(0, storage[1] - storage[0]) * GIB

    def _cutover_sessions(self, live: RdsDatabase | None) -> int | None:
        try:
            return sessions_of(self._where.url, live.host) if live else None
        except Rejected:
            return None  # It is down, which may be why somebody restores it.

    def _findings(self) -> RdsFindings:
        return RdsFindings(kind=self._kind, kms=self._kms, rds=self._rds, now=self._parts.now())

    def _backup_name(self, run: str) -> str:
        return f"{self._name[:40].rstrip('-')}-backup-{run[:8]}"


def _is_point_in_time(point: RestorePoint) -> bool:
    return point.at is not None or point.latest or point.backup_id in ("", POINT_IN_TIME)


def _beginning(point: RestorePoint, found: Inventory) -> Backup:
    """What a restore of that point reads from. Raises `Rejected`."""
    if point.at is not None:
        window = found.window
        if window is None:
            raise Rejected("There are no logs, so no point in time can be restored. Nothing was done. Name a snapshot.")
        if point.at > window.latest:
            raise Rejected(
                f"{_told(point.at)} is after the newest moment that can be reached. The window is {_span(window)}. "
                "Nothing was done. For the newest data ask for `latest`."
            )
        if point.at < window.earliest:
            raise Rejected(f"{_told(point.at)} is before the window, {_span(window)}. Nothing was done.")
    wanted = POINT_IN_TIME if _is_point_in_time(point) else point.backup_id
    backup = next((one for one in found.backups if one.id == wanted), None)
    if backup is None and not point.backup_id:
        backup = next((one for one in found.backups if one.usable), None)
    if backup is None:
        raise Rejected(f"There is no backup {wanted!r} to restore from. Nothing was done. `backups` lists them.")
    if backup.problem:
        raise Rejected(f"{backup.id} cannot be restored from: {backup.problem}. Nothing was done.")
    return backup


def _facts(live: RdsDatabase | None, point: RestorePoint, begin: Backup) -> Mapping[str, str]:
    return {
        "resource_id": live.resource_id if live else "",
        "data_at": (point.at or begin.data_at).isoformat(),
    }


def _data_at(task: RestoreTask) -> datetime | None:
    """The moment whose data the copy has; of the latest, what could be reached when it was planned."""
    written = task.facts.get("data_at")
    return datetime.fromisoformat(written) if written else task.point.at


def _told_moving(sessions: int | None, name: str) -> tuple[str, ...]:
    return () if sessions is None else (f"{sessions} sessions are connected to {name} now",)


def _told(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S %Z}" if at else "the latest moment"


def _span(window: Window) -> str:
    return f"{_told(window.earliest)} to {_told(window.latest)}"
