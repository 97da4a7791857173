"""The copy of a prefix against the versions that it was made of: every key by size and ETag, and some read in full.

The checks of the settings ask for "count", "bytes" or "newest".
The trap: an ETag looks like an MD5 also where it is none. With a key of KMS, or of the customer's, it is another one
for each copy of the same bytes. Such objects are compared by size, which is told, and some of them by their bytes.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import datetime

from bot.core.backup import Check, CheckResult, Report
from bot.core.backup_checks import run_check
from bot.core.errors import Rejected
from bot.integrations.aws.client import CUT_OFF, AwsService
from bot.integrations.aws.s3_plan import VersionEntry

_READ = 50
_NAMED = 3
_REPORT_EVERY = 10_000
_MD5 = re.compile(r"[0-9a-f]{32}")


class _Contents:
    """Tells by their ETags whether an object of the copy has the bytes of a version; None where ETags do not tell."""

    def __init__(self, s3: AwsService, source: str, target: str) -> None:
        self._s3, self._source, self._target = s3, source, target
        self._plain_target: bool | None = None  #: one for all, as every copy has the encryption of its bucket

    def same(self, key: str, etag: str, then: VersionEntry) -> bool | None:
        if etag == then.etag:
            return True
        if not (_MD5.fullmatch(etag) and _MD5.fullmatch(then.etag)):
            return None
        if self._plain_target is None:
            self._plain_target = self._is_plain(Bucket=self._target, Key=key)
        if self._plain_target and self._is_plain(Bucket=self._source, Key=then.key, VersionId=then.version):
            return False
        return None

    def _is_plain(self, **named: str) -> bool:
        head = self._s3.read("HeadObject", **named)
        return head.get("ServerSideEncryption") in (None, "AES256") and not head.get("SSECustomerAlgorithm")


def verify_copy(
    s3: AwsService,
    bucket: str,
    prefix: str,
    wanted: Iterator[tuple[str, VersionEntry]],
    *,
    source: str,
    checks: Sequence[Check],
    report: Report,
    at: datetime,
) -> list[CheckResult]:
    """`at`: the moment of the copy. `wanted`: by key in the copy, in order, the version in `source` that it is of."""
    held, contents = _objects(s3, bucket, prefix), _Contents(s3, source, bucket)
    count = size = by_size = 0
    wrong: list[str] = []
    sample: list[tuple[str, VersionEntry]] = []
    newest = ""
    copy = next(held, None)
    for key, then in wanted:
        while copy is not None and copy[0] < key:
            wrong.append(f"{copy[0]} did not exist then")
            copy = next(held, None)
        if copy is None or copy[0] != key:
            wrong.append(f"{key} is missing")
            continue
        same = contents.same(key, copy[2], then) if copy[1] == then.size else False
        if same is False:
            wrong.append(f"{key} has {copy[1]} bytes or another content, not {then.size}")
        by_size += same is None
        count, size, newest = count + 1, size + then.size, max(newest, then.modified_at.isoformat())
        _keep(sample, count, (key, then))
        if count % _REPORT_EVERY == 0:
            report(f"compared {count:,} objects")
        copy = next(held, None)
    wrong.extend(f"{one[0]} did not exist then" for one in [copy, *held] if one is not None)
    answers = {"count": str(count), "bytes": str(size), "newest": newest}
    reader = _Reader(s3, source, bucket)
    found = [_all_there(count, wrong, by_size), reader.read_some(sample, count, report)]
    return found + [run_check(one, _asking(answers), ask_live=None, data_at=at) for one in checks]


def _all_there(count: int, wrong: Sequence[str], by_size: int) -> CheckResult:
    bad = f": {'; '.join(wrong[:_NAMED])}" if wrong else ""
    told = f" ({by_size:,} by size alone, as their ETags are no MD5)" if by_size else ""
    return CheckResult(
        name="every object is there",
        expected="all, with their sizes and ETags",
        got=f"{count:,} as they were{told}; {len(wrong):,} not{bad}",
        ok=not wrong and count > 0,
    )


class _Reader:
    """Reads objects of the copy in full, and where their ETag is no MD5, the versions that they are made of."""

    def __init__(self, s3: AwsService, source: str, target: str) -> None:
        self._s3, self._source, self._target = s3, source, target

    def read_some(self, sample: Sequence[tuple[str, VersionEntry]], count: int, report: Report) -> CheckResult:
        report(f"reading {len(sample)} objects")
        wrong = [said for key, then in sample if (said := self._difference(key, then))]
        first = f": {wrong[0]}" if wrong else ""
        got = f"{len(sample)} of {count:,} read, {len(wrong)} wrong{first}"
        ok = bool(sample) and not wrong
        return CheckResult(name="objects can be read", expected="the bytes of then", got=got, ok=ok)

    def _difference(self, key: str, then: VersionEntry) -> str:
        try:
            size, digest = self._read(Bucket=self._target, Key=key)
            if size == then.size and digest != then.etag:
                was = self._read(Bucket=self._source, Key=then.key, VersionId=then.version)
                return "" if was == (size, digest) else f"{key} gave {size} bytes or another content"
        except Rejected as refused:
            return refused.message
        except CUT_OFF as error:
            return f"{key} was cut off ({type(error).__name__})"
        return "" if size == then.size else f"{key} gave {size} bytes or another content"

    def _read(self, **named: str) -> tuple[int, str]:
        with closing(self._s3.read("GetObject", **named)["Body"]) as body:
            digest, size = hashlib.md5(usedforsecurity=False), 0
            for chunk in body.iter_chunks(1024 * 1024):
                digest.update(chunk)
                size += len(chunk)
        return size, digest.hexdigest()


def _objects(s3: AwsService, bucket: str, prefix: str) -> Iterator[tuple[str, int, str]]:
    for page in s3.pages("ListObjectsV2", Bucket=bucket, Prefix=prefix):
        for one in page.get("Contents", ()):
            yield one["Key"], one["Size"], one["ETag"].strip('"')


def _keep(sample: list[tuple[str, VersionEntry]], count: int, one: tuple[str, VersionEntry]) -> None:
    """Spread over all: while it is full, every second of it goes, and fewer come."""
    step = 1 << max(0, (count // _READ).bit_length() - 1)
    if count % step == 0:
        sample.append(one)
    if len(sample) > _READ:
        del sample[::2]


def _asking(answers: dict[str, str]) -> Callable[[str], str]:
    def ask(query: str) -> str:
        try:
            return answers[query.strip()]
        except KeyError:
            raise Rejected("A check of objects asks for count, bytes or newest.", code="no_answer") from None

    return ask
