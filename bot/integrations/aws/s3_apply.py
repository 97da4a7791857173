"""The changes of a plan, made: an old version copied, a delete marker set. Every step may be made twice.

Batches of keys go at once, and after each the checkpoint is stored, so that a process that comes after a crash begins
with the batch that was cut off. A batch of large objects may take hours: so a sign of life is given after every step.
The trap: S3 slows down whoever begins to write fast, which is no failure: it takes minutes until it takes more.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Any

from bot.core.errors import OutcomeUnknown, Rejected
from bot.integrations.aws.client import AwsService
from bot.integrations.aws.s3_plan import KeyChange, Step, VersionEntry

_THREADS = 16
_BATCH = 500
#: More than 5 GB is not copied in one request. https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
_MOST_COPIED = 5 * 1024**3
_PART = 1024**3
#: What an upload in parts does not take over by itself. Tags are the other thing, which the plan says.
_KEPT = (
    "ContentType", "Metadata", "CacheControl", "ContentEncoding", "ContentDisposition", "ContentLanguage",
    "WebsiteRedirectLocation",
)  # fmt: skip
#: Between the tries of one step: about four minutes in all.
_PAUSES = tuple(timedelta(seconds=one) for one in (1, 2, 4, 8, 15, 30, 60, 60, 60))
#: Refusals that pass by themselves.
_PASSING = ("too_many", "unreachable")

Pause = Callable[[timedelta], None]
#: Called after each batch with what is done by then: the last key, keys, bytes.
Done = Callable[[str, int, int], None]
#: Called after each step, on any thread.
Alive = Callable[[], None]


def often(step: Callable[[], object], pause: Pause) -> None:
    """A step that may be made twice, until it is done. Raises `Rejected`."""
    for wait in (*_PAUSES, None):
        try:
            step()
        except OutcomeUnknown as unknown:
            if wait is None:
                raise Rejected(f"{unknown.message} The objects before it are done.", code="unreachable") from None
        except Rejected as refused:
            if refused.code not in _PASSING or wait is None:
                raise
        else:
            return
        if wait is not None:
            pause(wait)


class VersionWriter:
    """Puts versions of `bucket` elsewhere, or back in their place. `place`: a key's place in the target."""

    def __init__(self, s3: AwsService, bucket: str, target: str, place: Callable[[str], str], pause: Pause) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._target = target
        self._place = place
        self._pause = pause
        self._alive: Alive = lambda: None

    def apply(self, changes: Iterable[KeyChange], *, beside: bool, done: Done, alive: Alive) -> None:
        """Beside, everything that existed is copied, and nothing deleted.

        Raises:
            Rejected: a step was refused; those before it are done, and the checkpoint says how far.
        """
        keys, size, self._alive = 0, 0, alive
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="s3-versions") as pool:
            rest = iter(changes)
            while batch := list(islice(rest, _BATCH)):
                list(pool.map(lambda change: self._one(change, beside=beside), batch))  # raises the first error
                keys += sum(1 for one in batch if one.then is not None)
                size += sum(one.then.size for one in batch if one.then is not None)
                done(batch[-1].key, keys, size)

    def _one(self, change: KeyChange, *, beside: bool) -> None:
        if change.then is not None and (beside or change.step is Step.COPY):
            often(lambda: self._copy(change.then), self._pause)
        elif change.step is Step.DELETE and not beside:
            where = {"Bucket": self._target, "Key": self._place(change.key)}
            often(lambda: self._s3.write("DeleteObject", **where), self._pause)
        self._alive()

    def _copy(self, then: VersionEntry | None) -> None:
        assert then is not None, "only what existed is copied"
        source = {"Bucket": self._bucket, "Key": then.key, "VersionId": then.version}
        target: dict[str, Any] = {"Bucket": self._target, "Key": self._place(then.key)}
        if then.size <= _MOST_COPIED:
            self._s3.write("CopyObject", **target, CopySource=source)
            return
        self._copy_parts(then, source, target)

    def _copy_parts(self, then: VersionEntry, source: dict[str, str], target: dict[str, Any]) -> None:
        """Each part is tried on its own: of 5 TB, the first refusal would else lose hours."""
        head = self._s3.read("HeadObject", Bucket=self._bucket, Key=then.key, VersionId=then.version)
        kept = {key: head[key] for key in _KEPT if head.get(key)}
        upload = self._s3.write("CreateMultipartUpload", **target, **kept)["UploadId"]
        parts: list[dict[str, Any]] = []

        def copy_part(begin: int) -> None:
            span = f"bytes={begin}-{min(begin + _PART, then.size) - 1}"
            told = {"UploadId": upload, "PartNumber": len(parts) + 1, "CopySource": source, "CopySourceRange": span}
            answer = self._s3.write("UploadPartCopy", **target, **told)
            parts.append({"PartNumber": len(parts) + 1, "ETag": answer["CopyPartResult"]["ETag"]})

        try:
            for begin in range(0, then.size, _PART):
                often(partial(copy_part, begin), self._pause)
                self._alive()
        except Rejected:
            with suppress(Rejected, OutcomeUnknown):  # The first error is what people need to see.
                self._s3.write("AbortMultipartUpload", **target, UploadId=upload)
            raise
        self._s3.write("CompleteMultipartUpload", **target, UploadId=upload, MultipartUpload={"Parts": parts})
