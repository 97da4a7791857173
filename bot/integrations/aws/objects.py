"""Files in a bucket of S3, or of MinIO and others with its protocol: listed, fetched to disk, put there.

The trap: a download that is cut off, or an object that is replaced while it is read, looks like a whole file. So an
object is fetched by its ETag, its bytes are counted, and its MD5 or checksum is compared where S3 tells one; only then
does the file have its name.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.core.errors import OutcomeUnknown, Rejected
from bot.integrations.aws.settings import BucketSettings

if TYPE_CHECKING:
    from bot.integrations.aws.client import AwsService

_CHUNK = 1024 * 1024
_MD5 = re.compile(r"[0-9a-f]{32}")
#: From here on an upload is made of parts. S3 takes 5 MB to 5 GB for each, and 10,000 of them.
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
_PART = 64 * 1024 * 1024
_MOST_PARTS = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredObject:
    """An object as it stands in the bucket. `etag` without quotes."""

    key: str
    size: int
    etag: str
    modified_at: datetime


class Objects:
    """The objects under the prefix of that section. Keys are whole, with the prefix. boto3 is loaded by the first."""

    def __init__(self, where: BucketSettings, *, called: str = "vakhta") -> None:
        self.bucket = where.bucket
        self.prefix = where.prefix
        service: type[AwsService] = import_module("bot.integrations.aws.client").AwsService
        self._s3 = service(where, "s3", called=called)

    def list_all(self, under: str = "") -> Iterator[StoredObject]:
        """All below `prefix` + `under`, sorted by key, page after page. Raises `Rejected`."""
        for page in self._s3.pages("ListObjectsV2", Bucket=self.bucket, Prefix=self.prefix + under):
            for one in page.get("Contents", ()):
                yield StoredObject(
                    key=one["Key"], size=one["Size"], etag=one["ETag"].strip('"'), modified_at=one["LastModified"]
                )

    def fetch(self, one: StoredObject, to: Path, *, time_limit: timedelta = timedelta(hours=1)) -> None:
        """Its bytes into the new file `to`, which is there only if they are whole.

        Raises:
            Rejected: it was not fetched, was cut off, or is no longer the one that was listed; there is no file.
        """
        part = to.with_name(f"{to.name}.part")
        try:
            self._stream(one, part, time.monotonic() + time_limit.total_seconds())
            part.replace(to)
        except OSError as error:
            raise Rejected(
                f"{one.key} was not fetched to {to.parent}: {error.strerror or type(error).__name__}. "
                "Make room there, or name another folder.",
                code="failed",
            ) from None
        finally:
            part.unlink(missing_ok=True)

    def begin_of(self, one: StoredObject, count: int) -> bytes:
        """Its first bytes, at most so many. Raises `Rejected`."""
        if not one.size:
            return b""
        wanted = {"Bucket": self.bucket, "Key": one.key, "IfMatch": f'"{one.etag}"', "Range": f"bytes=0-{count - 1}"}
        with closing(self._s3.read("GetObject", **wanted)["Body"]) as body:
            return b"".join(self._chunks(one, body))[:count]

    def _stream(self, one: StoredObject, part: Path, until: float) -> None:
        answer = self._s3.read("GetObject", Bucket=self.bucket, Key=one.key, IfMatch=f'"{one.etag}"')
        # Written by one PUT and without a key of KMS, an object has its MD5 for an ETag.
        plain = _MD5.fullmatch(one.etag) and answer.get("ServerSideEncryption") in (None, "AES256")
        digest = hashlib.md5(usedforsecurity=False)
        count = 0
        with closing(answer["Body"]) as body, part.open("wb") as file:
            for chunk in self._chunks(one, body):
                if time.monotonic() > until:
                    raise Rejected(f"{one.key} came too slowly and was given up. Nothing was done.", code="unreachable")
                file.write(chunk)
                digest.update(chunk)
                count += len(chunk)
            file.flush()
            os.fsync(file.fileno())
        if count != one.size or (plain and digest.hexdigest() != one.etag):
            raise Rejected(
                f"{one.key} did not come whole: {count} of {one.size} bytes, or others than were stored. "
                "Nothing was done. Try again.",
                code="unreachable",
            )

    def _chunks(self, one: StoredObject, body: Any) -> Iterator[bytes]:
        errors: tuple[type[Exception], ...] = import_module("bot.integrations.aws.client").CUT_OFF
        try:
            yield from body.iter_chunks(_CHUNK)
        except errors as error:
            raise Rejected(
                f"{one.key} was cut off while it was fetched ({type(error).__name__}). Nothing was done. Try again.",
                code="unreachable",
            ) from None

    def put_bytes(self, key: str, body: bytes) -> None:
        """Raises `Rejected`, `OutcomeUnknown`."""
        self._s3.write("PutObject", Bucket=self.bucket, Key=key, Body=body)

    def put_file(self, key: str, source: Path) -> None:
        """The file, of any size, as that object. It is there only when it is whole.

        Raises:
            Rejected: nothing was stored under that key.
            OutcomeUnknown: it may be stored.
        """
        size = source.stat().st_size
        with source.open("rb") as file:
            if size <= _PART:
                self._s3.write("PutObject", Bucket=self.bucket, Key=key, Body=file)
                return
            upload = self._s3.write("CreateMultipartUpload", Bucket=self.bucket, Key=key)["UploadId"]
            named = {"Bucket": self.bucket, "Key": key, "UploadId": upload}
            try:
                each = max(_PART, -(-size // _MOST_PARTS))
                parts: list[dict[str, object]] = []
                while body := file.read(each):
                    number = len(parts) + 1
                    etag = self._s3.write("UploadPart", **named, PartNumber=number, Body=body)["ETag"]
                    parts.append({"PartNumber": number, "ETag": etag})
            except (Rejected, OutcomeUnknown) as error:
                self._give_up(named)
                raise Rejected(f"{error.message} The upload of {key} was given up.", code="failed") from None
            self._s3.write("CompleteMultipartUpload", **named, MultipartUpload={"Parts": parts})

    def _give_up(self, named: dict[str, str]) -> None:
        """Parts that nobody completes are paid for until they are removed."""
        try:
            self._s3.write("AbortMultipartUpload", **named)
        except (Rejected, OutcomeUnknown):
            return  # The bucket's lifecycle removes them; the first error is what people need to see.
