"""The image's recipe, as far as it can be held without an engine: what goes in, who runs it, and what a wheel holds."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.docs.papers import ROOT

_DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
_STEPS = re.findall(r"^([A-Z]+) +(.+)$", _DOCKERFILE, re.MULTILINE)
_PACKAGES = ("bot", "commands", "runbooks")


def steps(word: str) -> list[str]:
    return [rest for step, rest in _STEPS if step == word]


def test_it_runs_as_nobody_special_and_without_a_shell() -> None:
    assert steps("USER") == ["10001:10001"]
    assert steps("ENTRYPOINT") == ['["vakhta"]']
    assert steps("CMD") == ['["run"]']
    assert steps("STOPSIGNAL") == ["SIGTERM"]
    assert steps("VOLUME") == ["/var/lib/vakhta"]


def test_all_that_is_installed_has_its_hash() -> None:
    installs = [step for step in steps("RUN") if "install" in step and "pip" in step]

    assert len(installs) == 2
    assert all('"--require-hashes"' in step or '"--no-deps"' in step for step in installs)


def test_all_that_is_copied_is_there_and_let_into_the_build() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {name for step in steps("COPY") if "--from" not in step for name in shlex.split(step)[:-1]}

    assert copied == let_in
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert set(_PACKAGES) <= copied


def test_the_health_check_asks_what_is_served() -> None:
    (check,) = re.findall(r"HEALTHCHECK .*", _DOCKERFILE)

    assert "http://127.0.0.1:8080/livez" in check
    assert '["python", "-c"' in check


def test_a_wheel_holds_every_file_of_the_packages(tmp_path: Path) -> None:
    for name in (*_PACKAGES, "pyproject.toml", "README.md", "LICENSE"):
        _copy(ROOT / name, tmp_path / "src" / name)
    ours = {str(path.relative_to(tmp_path / "src")) for path in _files(tmp_path / "src")}

    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", tmp_path, "."], cwd=tmp_path / "src", check=True, timeout=60)

    (wheel,) = tmp_path.glob("vakhta-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        assert sorted(ours - set(packed.namelist())) == []


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _files(folder: Path) -> list[Path]:
    return [path for name in _PACKAGES for path in (folder / name).rglob("*") if path.is_file()]
