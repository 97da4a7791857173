"""Tests that share an expensive fixture run on one worker, as their mark says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_GROUPED = """
import pytest

@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("n", range(6))
def test_it(n, worker_id):
    print("ran on", worker_id)
"""


def test_the_tests_of_a_group_run_on_one_worker(tmp_path: Path) -> None:
    """A pytest whose ids pytest-xdist cannot change drops the groups without a word."""
    (tmp_path / "test_grouped.py").write_text(_GROUPED)
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadgroup", "-rP", "-p", "no:cacheprovider"]

    ended = subprocess.run(
        [*command, "-c", "/dev/null", "--rootdir", str(tmp_path), str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )

    ran_on = [line for line in ended.stdout.splitlines() if line.startswith("ran on ")]
    assert len(ran_on) == 6, ended.stdout + ended.stderr
    assert len(set(ran_on)) == 1
