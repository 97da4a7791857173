"""What a restore of versions leaves in the bucket about itself: whose it is, how far it is, and from which moment.

It is the label by which a copy is found, the checkpoint from which another process goes on, and the clock of an undo:
its own LastModified is S3's time before the first change.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from bot.core.backup import EngineParts
from bot.core.errors import OutcomeUnknown, Rejected
from bot.integrations.aws.client import AwsRefused, AwsService
from bot.integrations.aws.s3_apply import often

_FOLDER = "vakhta-restores/"
#: It is written anew with every batch, and within a long one. When it was not for so long, nobody works on it.
STALE = timedelta(minutes=10)
_BEAT = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class RestoreManifest:
    run: str
    store: str
    at: str  #: the moment, in ISO 8601
    prefix: str  #: where the copy is; "" for a change in place
    created_at: str
    beaten_at: str  #: when it was last written, by the bot's clock
    drill: bool = False
    after: str = ""  #: the last key that is done
    done_keys: int = 0
    done_bytes: int = 0
    all_keys: int = 0
    all_bytes: int = 0
    state: str = "running"  #: running, done, undone, failed
    message: str = ""


class Manifests:
    """Those in that bucket. `name`: a run, or a run and what was done with it."""

    def __init__(self, s3: AwsService, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def get(self, name: str) -> RestoreManifest | None:
        try:
            body = self._s3.read("GetObject", Bucket=self._bucket, Key=f"{_FOLDER}{name}.json")["Body"].read()
        except AwsRefused as refused:
            if refused.reason in ("NoSuchKey", "404"):
                return None
            raise
        try:
            return RestoreManifest(**json.loads(body))
        except (ValueError, TypeError):
            raise Rejected(f"{_FOLDER}{name}.json in {self._bucket} is not a manifest of the bot.") from None

    def create(self, name: str, manifest: RestoreManifest) -> bool:
        """False where another process was quicker."""
        try:
            self._put(name, manifest, IfNoneMatch="*")
        except AwsRefused as refused:
            if refused.reason in ("PreconditionFailed", "412", "ConditionalRequestConflict"):
                return False
            raise
        return True

    def put(self, name: str, manifest: RestoreManifest, now: datetime) -> RestoreManifest:
        beaten = replace(manifest, beaten_at=now.isoformat())
        self._put(name, beaten)
        return beaten

    def stored_at(self, name: str) -> datetime:
        """By S3's clock."""
        found: datetime = self._s3.read("HeadObject", Bucket=self._bucket, Key=f"{_FOLDER}{name}.json")["LastModified"]
        return found

    def list_all(self) -> Iterator[RestoreManifest]:
        for page in self._s3.pages("ListObjectsV2", Bucket=self._bucket, Prefix=_FOLDER):
            for one in page.get("Contents", ()):
                found = self.get(one["Key"].removeprefix(_FOLDER).removesuffix(".json"))
                if found is not None:
                    yield found

    def delete(self, name: str) -> None:
        self._s3.write("DeleteObject", Bucket=self._bucket, Key=f"{_FOLDER}{name}.json")

    def _put(self, name: str, manifest: RestoreManifest, **condition: str) -> None:
        body = json.dumps(asdict(manifest)).encode()
        self._s3.write("PutObject", Bucket=self._bucket, Key=f"{_FOLDER}{name}.json", Body=body, **condition)


class VersionsCheckpoint:
    """How far one process is with the work of a manifest. `held`: the manifest as it was last stored."""

    def __init__(self, manifests: Manifests, name: str, begun: RestoreManifest, parts: EngineParts) -> None:
        self._manifests, self._name, self._parts = manifests, name, parts
        self._begun = self.held = begun
        self._lock = Lock()

    def done(self, key: str, keys: int, size: int) -> None:
        """Up to that key. `keys` and `size`: since this process began."""
        counts = {"done_keys": self._begun.done_keys + keys, "done_bytes": self._begun.done_bytes + size}
        self._store_often(after=key, **counts)

    def alive(self) -> None:
        """Say that somebody works on it; on any thread."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._parts.now() - datetime.fromisoformat(self.held.beaten_at) > _BEAT:
                self._store()
        except (Rejected, OutcomeUnknown):
            return  # The next step says it again, long before anybody takes this one for dead.
        finally:
            self._lock.release()

    def end(self, state: str, message: str = "") -> None:
        self._store_often(state=state, message=message)

    def _store_often(self, **changed: Any) -> None:
        with self._lock:
            often(lambda: self._store(**changed), self._parts.pause)

    def _store(self, **changed: Any) -> None:
        self.held = self._manifests.put(self._name, replace(self.held, **changed), self._parts.now())
