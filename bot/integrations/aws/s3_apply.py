"""The changes of a plan, made: an old version copied, a delete marker set. Every step may be made twice.

Batches of keys go at once, and after each the checkpoint is stored, so that a process that comes after a crash begins
with the batch that was cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
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
_TRIES = 3

#: Called after each batch with what is done by then: the last key, keys, bytes.
Done = Callable[[str, int, int], None]


class VersionWriter:
    """Puts versions of `bucket` elsewhere, or back in their place. `place`: a key's place in the target."""

    def __init__(self, s3: AwsService, bucket: str, target: str, place: Callable[[str], str]) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._target = target
        self._place = place

    def apply(self, changes: Iterable[KeyChange], *, beside: bool, done: Done) -> None:
        """Beside, everything that existed is copied, and nothing deleted.

        Raises:
            Rejected: a step was refused; those before it are done, and the checkpoint says how far.
        """
        keys = size = 0
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="s3-versions") as pool:
            rest = iter(changes)
            while batch := list(islice(rest, _BATCH)):
                list(pool.map(lambda change: self._one(change, beside=beside), batch))  # raises the first error
                keys += sum(1 for one in batch if one.then is not None)
                size += sum(one.then.size for one in batch if one.then is not None)
                done(batch[-1].key, keys, size)

    def _one(self, change: KeyChange, *, beside: bool) -> None:
        if change.then is not None and (beside or change.step is Step.COPY):
            self._often(lambda: self._copy(change.then))
        elif change.step is Step.DELETE and not beside:
            self._often(lambda: self._s3.write("DeleteObject", Bucket=self._target, Key=self._place(change.key)))

    def _often(self, step: Callable[[], object]) -> None:
        """A copy of the same version is the same copy, so one without an answer is made again."""
        for tried in range(1, _TRIES + 1):
            try:
                step()
            except OutcomeUnknown as unknown:
                if tried == _TRIES:
                    raise Rejected(f"{unknown.message} The objects before it are done.", code="unreachable") from None
            except Rejected as refused:
                if refused.code != "too_many" or tried == _TRIES:
                    raise
            else:
                return

    def _copy(self, then: VersionEntry | None) -> None:
        assert then is not None, "only what existed is copied"
        source = {"Bucket": self._bucket, "Key": then.key, "VersionId": then.version}
        target: dict[str, Any] = {"Bucket": self._target, "Key": self._place(then.key)}
        if then.size <= _MOST_COPIED:
            self._s3.write("CopyObject", **target, CopySource=source)
            return
        head = self._s3.read("HeadObject", Bucket=self._bucket, Key=then.key, VersionId=then.version)
        kept = {
            key: head[key] for key in ("ContentType", "Metadata", "CacheControl", "ContentEncoding") if head.get(key)
        }
        upload = self._s3.write("CreateMultipartUpload", **target, **kept)["UploadId"]
        parts = []
        try:
            for number, begin in enumerate(range(0, then.size, _PART), start=1):
                span = f"bytes={begin}-{min(begin + _PART, then.size) - 1}"
                answer = self._s3.write(
                    "UploadPartCopy",
                    **target,
                    UploadId=upload,
                    PartNumber=number,
                    CopySource=source,
                    CopySourceRange=span,
                )
                parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
        except (Rejected, OutcomeUnknown):
            self._s3.write("AbortMultipartUpload", **target, UploadId=upload)
            raise
        self._s3.write("CompleteMultipartUpload", **target, UploadId=upload, MultipartUpload={"Parts": parts})
