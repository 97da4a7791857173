"""The copy of a prefix against the versions that it was made of: every key by size and ETag, and some read in full.

The checks of the settings ask for "count", "bytes" or "newest".
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


def verify_copy(
    s3: AwsService,
    bucket: str,
    prefix: str,
    wanted: Iterator[tuple[str, VersionEntry]],
    *,
    checks: Sequence[Check],
    report: Report,
    at: datetime,
) -> list[CheckResult]:
    """`at`: the moment of the copy. `wanted`: by key in the copy, in order, the version that it was made of."""
    held = _objects(s3, bucket, prefix)
    count = size = 0
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
        if copy[1] != then.size or (_MD5.fullmatch(then.etag) and _MD5.fullmatch(copy[2]) and copy[2] != then.etag):
            wrong.append(f"{key} has {copy[1]} bytes or another content, not {then.size}")
        count, size, newest = count + 1, size + then.size, max(newest, then.modified_at.isoformat())
        _keep(sample, count, (key, then))
        if count % _REPORT_EVERY == 0:
            report(f"compared {count:,} objects")
        copy = next(held, None)
    wrong.extend(f"{one[0]} did not exist then" for one in [copy, *held] if one is not None)
    answers = {"count": str(count), "bytes": str(size), "newest": newest}
    found = [_all_there(count, wrong), _read_some(s3, bucket, sample, count, report)]
    return found + [run_check(one, _asking(answers), ask_live=None, data_at=at) for one in checks]


def _all_there(count: int, wrong: Sequence[str]) -> CheckResult:
    bad = f": {'; '.join(wrong[:_NAMED])}" if wrong else ""
    return CheckResult(
        name="every object is there",
        expected="all, with their sizes and ETags",
        got=f"{count:,} as they were; {len(wrong):,} not{bad}",
        ok=not wrong and count > 0,
    )


def _read_some(
    s3: AwsService, bucket: str, sample: Sequence[tuple[str, VersionEntry]], count: int, report: Report
) -> CheckResult:
    wrong = []
    report(f"reading {len(sample)} objects")
    for key, then in sample:
        try:
            with closing(s3.read("GetObject", Bucket=bucket, Key=key)["Body"]) as body:
                digest, size = hashlib.md5(usedforsecurity=False), 0
                for chunk in body.iter_chunks(1024 * 1024):
                    digest.update(chunk)
                    size += len(chunk)
        except Rejected as refused:
            wrong.append(refused.message)
        except CUT_OFF as error:
            wrong.append(f"{key} was cut off ({type(error).__name__})")
        else:
            if size != then.size or (_MD5.fullmatch(then.etag) and digest.hexdigest() != then.etag):
                wrong.append(f"{key} gave {size} bytes or another content")
    got = f"{len(sample)} of {count:,} read, {len(wrong)} wrong{': ' + wrong[0] if wrong else ''}"
    return CheckResult(name="objects can be read", expected="the bytes of then", got=got, ok=bool(sample) and not wrong)


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
