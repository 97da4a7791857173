"""What is installed is what was locked: with hashes, from wherever the machine says, and without the known clash."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.docs.papers import ROOT

LOCKS = [ROOT / "requirements.lock", ROOT / "requirements-dev.lock"]
#: A name with its version and perhaps a marker on one line, and below it nothing but hashes.
_LOCKED = re.compile(r"\S+==[^\n]+?(?: \\\n    --hash=sha256:[0-9a-f]{64})+")
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)", re.MULTILINE)

every_lock = pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)


def pins(lock: Path) -> dict[str, str]:
    return {_plain(name): version for name, version in _PIN.findall(lock.read_text())}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@every_lock
def test_the_locks_name_a_hash_for_every_package_and_no_address(lock: Path) -> None:
    blocks = re.split(r"\n(?=\S)", lock.read_text().strip())
    unlocked = [block.splitlines()[0] for block in blocks if not _LOCKED.fullmatch(block)]

    assert len(blocks) > 50
    assert unlocked == []
    assert "://" not in lock.read_text()


@every_lock
def test_the_lock_holds_neither_the_clash_nor_a_library_of_2014(lock: Path) -> None:
    pinned = pins(lock)

    assert _numbers(pinned["kubernetes"]) < (37, 0, 2)
    assert _numbers(pinned["boto3"]) >= (1, 44)
    assert _numbers(pinned["botocore"]) >= (1, 44)
    assert _numbers(pinned["python-dateutil"]) < (3,)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


@every_lock
def test_everything_that_the_project_asks_for_is_locked(lock: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = {_plain(re.split(r"[\[<>=;! ]", one)[0]) for one in project["project"]["dependencies"]}
    asked |= {"setuptools"}

    assert sorted(asked - set(pins(lock))) == []


def test_both_locks_agree() -> None:
    run, dev = (pins(lock) for lock in LOCKS)

    assert {name: (version, dev.get(name)) for name, version in run.items() if dev.get(name) != version} == {}
