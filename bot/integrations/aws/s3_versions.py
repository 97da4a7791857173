"""The objects under a prefix as they were at a moment, from the versions that the bucket keeps. MinIO and other S3 too.

Beside: what existed then is copied to another prefix or bucket. The cutover brings the prefix itself back, by new
versions and delete markers on top of the old ones: nothing is lost, so the versions are the safety, and an undo is the
same with the moment before.
The trap: a bucket whose versioning is off, or whose lifecycle removes old versions, looks like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bot.core.backup import (
    Backup,
    Check,
    CheckResult,
    Continuity,
    Copy,
    CopyState,
    CopyStatus,
    CutoverPreview,
    CutoverState,
    CutoverStatus,
    EngineParts,
    Inventory,
    Report,
    RestorePoint,
    RestorePreview,
    RestoreTask,
    Window,
)
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.integrations.aws.client import AwsService
from bot.integrations.aws.s3_apply import VersionWriter
from bot.integrations.aws.s3_bucket import (
    kept_days,
    lock_of,
    notified_prefixes,
    unreadable_sample,
    versioning_problem,
)
from bot.integrations.aws.s3_manifest import STALE, Manifests, RestoreManifest, VersionsCheckpoint
from bot.integrations.aws.s3_plan import ASKED_FOR, KeyChange, Step, VersionPlan, changes_at, entries_of
from bot.integrations.aws.s3_verify import verify_copy
from bot.integrations.aws.settings import S3VersionsSettings

#: The id of the only backup there is: the versions.
VERSIONS = "versions"
#: LastModified has whole seconds: so long after the moment of an undo its first change is made.
_APART = timedelta(seconds=2)
_DELETED_AT_ONCE = 1000


class S3VersionsEngine:
    """One prefix of one bucket."""

    title = "S3 versions"

    def __init__(self, where: S3VersionsSettings, parts: EngineParts) -> None:
        self._where = where
        self._parts = parts
        self._bucket = where.bucket
        self._target = where.copy_bucket or where.bucket
        self._s3 = AwsService(where, "s3", called=f"vakhta-{parts.store}")
        self._manifests = Manifests(self._s3, self._target)

    def inventory(self) -> Inventory:
        now = self._parts.now()
        kept = kept_days(self._s3, self._bucket, self._where.prefix)
        blockers = [versioning_problem(self._s3, self._bucket)]
        if kept is not None and kept < self._where.keep_days:
            blockers.append(
                f"The lifecycle of {self._bucket} removes old versions after {kept} days, and a restore must reach "
                f"{self._where.keep_days} days back. Raise NoncurrentDays, or lower keep_days."
            )
        problem = "" if blockers[0] else unreadable_sample(self._s3, self._bucket, self._where.prefix)
        days = min(self._where.keep_days, kept or self._where.keep_days)
        lock = lock_of(self._s3, self._bucket)
        return Inventory(
            backups=(
                Backup(id=VERSIONS, data_at=now, finished_at=now, kind=f"versions {lock}".rstrip(), problem=problem),
            ),
            window=Window(earliest=now - timedelta(days=days), latest=now),
            continuity=Continuity(ok_until=now),
            blockers=tuple(one for one in blockers if one),
        )

    def plan(self, at: datetime, begun: VersionPlan | None = None) -> Iterator[VersionPlan]:
        """Count what that moment had, and what would change, in one pass: the same plan after each key, with more in
        it. `begun`: go on after its last key.
        """
        plan = begun or VersionPlan(at=at)
        for change in self._changes(plan.at, plan.after):
            plan.add(change)
            yield plan

    def preview(self, point: RestorePoint, *, drill: bool) -> RestorePreview:
        found = self.inventory()
        if found.blockers:
            raise Rejected(f"{' '.join(found.blockers)} Nothing was done.")
        if problem := found.backups[0].problem:
            raise Rejected(f"The versions cannot be restored from: {problem}. Nothing was done.")
        at, kept = self._moment(point, found), kept_days(self._s3, self._bucket, self._where.prefix)
        if drill and (told := list(notified_prefixes(self._s3, self._target, "restore-"))):
            raise Rejected(
                f"{', '.join(told)} would be told of each object of the copy in {self._target}, and act on it. Nothing "
                "was done. Give the store a copy_bucket without notifications."
            )
        plan = VersionPlan(at=at)
        for plan in self.plan(at):  # noqa: B007 (the last one counts)
            pass
        if plan.archived:
            raise Rejected(
                f"{plan.archived} objects of that moment are in GLACIER and have to be restored from it first. "
                "Nothing was done."
            )
        return RestorePreview(
            backup_id=VERSIONS,
            data_at=at,
            copy_name=f"{self._target}/restore-{{run}}/",
            effect=(f"copies the {plan.keys:,} objects that {self._place} had at {_told(at)}, {plan.size:,} bytes",),
            not_restored=(
                "ACLs, retention and legal holds of Object Lock, and encryption other than the target bucket's own",
                "storage classes other than STANDARD, and the tags of objects of more than 5 GB",
            ),
            moving=tuple(_described(plan)),
            size_bytes=plan.size,
            # What was current then may have been overwritten the moment after, and goes so many days later.
            expires_at=at + timedelta(days=kept) if kept else None,
            facts={"at": at.isoformat(), "keys": str(plan.keys), "bytes": str(plan.size)},
        )

    def begin(self, task: RestoreTask) -> None:
        """Blocks until the copy is complete. A process that comes after a crash goes on from its checkpoint."""
        now = self._parts.now().isoformat()
        fresh = RestoreManifest(
            run=task.run, store=self._parts.store, at=task.facts["at"], prefix=f"restore-{task.short_run}/",
            created_at=now, beaten_at=now, drill=task.drill, all_keys=int(task.facts["keys"]),
            all_bytes=int(task.facts["bytes"]),
        )  # fmt: skip
        manifest = self._manifests.get(task.run)
        if manifest is None:
            if not self._manifests.create(task.run, fresh):
                return
            manifest = fresh
        elif manifest.state != "running" or not self._is_stale(manifest):
            return
        pause = self._parts.pause
        writer = VersionWriter(self._s3, self._bucket, self._target, lambda key: self._copied(fresh.prefix, key), pause)
        self._work(task.run, manifest, writer, beside=True)

    def look(self, task: RestoreTask) -> CopyStatus:
        manifest = self._manifests.get(task.run)
        if manifest is None:
            return CopyStatus(state=CopyState.ABSENT)
        return replace(self._standing(manifest), bytes_done=manifest.done_bytes, bytes_total=manifest.all_bytes)

    def _standing(self, manifest: RestoreManifest) -> CopyStatus:
        if manifest.state == "done":
            at = datetime.fromisoformat(manifest.at)
            return CopyStatus(state=CopyState.RESTORED, message=f"{manifest.done_keys:,} objects", data_at=at)
        if manifest.state == "failed":
            return CopyStatus(state=CopyState.FAILED, message=manifest.message)
        if self._is_stale(manifest):
            message = f"nobody has copied since {manifest.beaten_at}; the last key was {manifest.after!r}"
            return CopyStatus(state=CopyState.FAILED, message=message)
        message = f"{manifest.done_keys:,} of {manifest.all_keys:,} objects"
        return CopyStatus(state=CopyState.RUNNING, phase="copying", message=message)

    def verify(self, task: RestoreTask, checks: Sequence[Check], report: Report) -> Sequence[CheckResult]:
        at, prefix = datetime.fromisoformat(task.facts["at"]), f"restore-{task.short_run}/"
        wanted = ((self._copied(prefix, one.key), one.then) for one in self._changes(at) if one.then is not None)
        return verify_copy(
            self._s3, self._target, prefix, wanted, source=self._bucket, checks=checks, report=report, at=at
        )

    def isolation_leak(self, task: RestoreTask) -> str:
        """Objects do nothing by themselves; who is told of them may."""
        told = list(notified_prefixes(self._s3, self._target, f"restore-{task.short_run}/"))
        return f"{', '.join(told)} is told of each object of the copy in {self._target}" if told else ""

    def copies(self) -> Sequence[Copy]:
        return [
            Copy(
                run=one.run, name=f"{self._target}/{one.prefix}", created_at=datetime.fromisoformat(one.created_at),
                drill=one.drill,
            )
            for one in self._manifests.list_all()
            if one.prefix and one.store == self._parts.store
        ]  # fmt: skip

    def remove(self, copy: Copy) -> None:
        """The copy's objects with all of their versions, and then what tells of it."""
        manifest = self._manifests.get(copy.run)
        if manifest is None:
            return
        prefix = f"restore-{copy.run[:8]}/"
        ours = (manifest.run, manifest.store, manifest.prefix) == (copy.run, self._parts.store, prefix)
        if not ours or copy.name != f"{self._target}/{prefix}":
            raise Rejected(f"{copy.name} is not the copy of run {copy.run[:8]}. Nothing was removed.")
        if self._target == self._bucket and (
            prefix.startswith(self._where.prefix) or self._where.prefix.startswith(prefix)
        ):
            raise Rejected(f"{copy.name} is where the live objects are. Nothing was removed.")
        for page in self._s3.pages("ListObjectVersions", Bucket=self._target, Prefix=prefix):
            found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            named = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
            for begin in range(0, len(named), _DELETED_AT_ONCE):
                some = {"Objects": named[begin : begin + _DELETED_AT_ONCE], "Quiet": True}
                left = self._s3.write("DeleteObjects", Bucket=self._target, Delete=some).get("Errors", ())
                if left:
                    raise OutcomeUnknown(f"{left[0]['Key']} was not removed ({left[0]['Code']}); others may be.")
        self._manifests.delete(copy.run)

    def preview_cutover(self, task: RestoreTask) -> CutoverPreview:
        if (found := self.look(task)).state is not CopyState.RESTORED:
            raise Rejected(f"The copy is not complete: {found.message or found.state}. Nothing was done.")
        at = datetime.fromisoformat(task.facts["at"])
        plan = VersionPlan(at=at)
        for plan in self.plan(at):  # noqa: B007 (the last one counts)
            pass
        return CutoverPreview(
            live=self._place,
            old_name=f"the versions of {self._place} before run {{run}}",
            effect=(
                f"brings {self._place} back to {_told(at)}, by new versions and delete markers; no version is removed",
                "whatever writes there goes on writing: stop it before, the bot does not",
            ),
            moving=tuple(_described(plan)),
            safety="the versions that are there now stay, and an undo brings them back",
        )

    def cut_over(self, task: RestoreTask, cutover_run: str, report: Report) -> None:
        if (problem := versioning_problem(self._s3, self._bucket)) or self.look(task).state is not CopyState.RESTORED:
            raise Conflict(f"{problem or 'The copy is not complete.'} Nothing was done.")
        name, now = _cutover_name(task, cutover_run), self._parts.now().isoformat()
        manifest = self._manifests.get(name)
        if manifest is None:
            manifest = RestoreManifest(
                run=task.run, store=self._parts.store, at=task.facts["at"], prefix="", created_at="", beaten_at=now
            )
            self._manifests.create(name, manifest)
        if not manifest.created_at:
            # What an undo goes back to: by S3's clock, from the object as it was created, whoever comes to it.
            manifest = replace(manifest, created_at=self._manifests.stored_at(name).isoformat())
            manifest = self._manifests.put(name, manifest, self._parts.now())
            self._parts.pause(_APART)
        if manifest.state != "running":
            return
        report(f"bringing {self._place} back")
        self._work(name, manifest, self._in_place(), beside=False, report=report)

    def look_cutover(self, task: RestoreTask, cutover_run: str) -> CutoverStatus:
        manifest = self._manifests.get(_cutover_name(task, cutover_run))
        if manifest is None or manifest.state == "undone" or not manifest.created_at:
            return CutoverStatus(state=CutoverState.OLD)
        if manifest.state == "done":
            return CutoverStatus(state=CutoverState.NEW)
        return CutoverStatus(
            state=CutoverState.PARTIAL,
            message=f"the keys up to {manifest.after!r} are as they were, those after it as before the cutover",
        )

    def undo_refusal(self, task: RestoreTask, cutover_run: str) -> str:
        if self._manifests.get(_cutover_name(task, cutover_run)) is None:
            return f"Run {cutover_run[:8]} has changed nothing in {self._place}."
        return versioning_problem(self._s3, self._bucket)

    def undo_cutover(self, task: RestoreTask, cutover_run: str, report: Report) -> None:
        if refusal := self.undo_refusal(task, cutover_run):
            raise Rejected(f"{refusal} Nothing was done.")
        name = _cutover_name(task, cutover_run)
        manifest = self._manifests.get(name)
        if manifest is None or manifest.state == "undone" or not manifest.created_at:
            return
        report(f"bringing {self._place} back to before the cutover")
        back = replace(manifest, at=manifest.created_at, after="", state="running")
        self._in_place().apply(
            self._changes(datetime.fromisoformat(back.at)),
            beside=False,
            done=lambda key, *_: report(f"up to {key}"),
            alive=lambda: None,
        )
        self._manifests.put(name, replace(manifest, state="undone"), self._parts.now())

    def remove_old(self, task: RestoreTask, cutover_run: str) -> None:  # noqa: ARG002 (the protocol's)
        """The old versions go by the bucket's own lifecycle, which the bot does not anticipate."""
        raise Rejected("Old versions are removed by the bucket's lifecycle alone. Nothing was removed.")

    def _work(
        self, name: str, manifest: RestoreManifest, writer: VersionWriter, *, beside: bool, report: Report | None = None
    ) -> None:
        checkpoint = VersionsCheckpoint(self._manifests, name, manifest, self._parts)

        def done(key: str, keys: int, size: int) -> None:
            checkpoint.done(key, keys, size)
            if report:
                report(f"up to {key}")

        changes = self._changes(datetime.fromisoformat(manifest.at), manifest.after)
        try:
            writer.apply(changes, beside=beside, done=done, alive=checkpoint.alive)
        except Rejected as refused:
            if beside:
                checkpoint.end("failed", refused.message)
            message = f"Stopped after the key {checkpoint.held.after!r}. {refused.message}"
            raise OutcomeUnknown(message) from None
        checkpoint.end("done")

    def _changes(self, at: datetime, after: str = "") -> Iterator[KeyChange]:
        asked = ASKED_FOR | ({"KeyMarker": after} if after else {})
        pages = self._s3.pages("ListObjectVersions", Bucket=self._bucket, Prefix=self._where.prefix, **asked)
        # Whether the marker's own key comes once more is not the same everywhere.
        entries = (one for one in entries_of(pages) if not after or one.key > after)
        return changes_at(entries, at)

    def _in_place(self) -> VersionWriter:
        return VersionWriter(self._s3, self._bucket, self._bucket, lambda key: key, self._parts.pause)

    def _copied(self, prefix: str, key: str) -> str:
        return prefix + key.removeprefix(self._where.prefix)

    def _is_stale(self, manifest: RestoreManifest) -> bool:
        return self._parts.now() - datetime.fromisoformat(manifest.beaten_at) > STALE

    def _moment(self, point: RestorePoint, found: Inventory) -> datetime:
        assert found.window is not None, "the inventory of versions has one"
        at = point.at or found.window.latest
        if at > found.window.latest:
            raise Rejected(f"{_told(at)} is in the future. Nothing was done. For what is there now ask for `latest`.")
        if at < found.window.earliest:
            raise Rejected(
                f"{_told(at)} is before the window, which begins at {_told(found.window.earliest)}. Nothing was done."
            )
        return at

    @property
    def _place(self) -> str:
        return f"{self._bucket}/{self._where.prefix}"


def _described(plan: VersionPlan) -> Iterator[str]:
    counts = {step: plan.counts.get(step, 0) for step in Step}
    yield (
        f"{counts[Step.COPY]:,} objects differ since, {counts[Step.DELETE]:,} did not exist then, "
        f"{counts[Step.KEEP]:,} are as they were"
    )
    for storage, size in sorted(plan.sizes.items()):
        yield f"{size:,} bytes to copy are in {storage}"
    if plan.samples:
        yield f"for example: {', '.join(plan.samples)}"


def _cutover_name(task: RestoreTask, cutover_run: str) -> str:
    return f"{task.run}-cutover-{cutover_run}"


def _told(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S %Z}"
