"""Helm's program, run for the one thing that must not be written anew: its rollback. Implements `releases.Helm`.

It is given a list of words and no shell, little of the environment, no plugins and no settings of anybody's; what it
says is shown short, and without secrets. The trap: killed half-way it leaves a release that is pending for ever, so it
gets its own time limit, and is killed only long after that.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

from bot.core.errors import OutcomeUnknown, Rejected
from bot.core.kubernetes import ClusterUser
from bot.integrations.kubernetes.settings import ClusterSettings
from bot.lib.redact import redact

_MARGIN = timedelta(minutes=1)
_MOST_SHOWN = 400
#: What the kubeconfig's own programs may need (`aws eks get-token`), and where the API is from within.
_KEPT = ("PATH", "HOME")
_KEPT_PREFIXES = ("AWS_", "AZURE_", "GOOGLE_", "KUBERNETES_SERVICE_", "SSL_CERT_")
#: Release names and namespaces; nothing that begins with a dash.
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,51}[a-z0-9])?")
_VERSION = re.compile(r"v(\d+)\.(\d+)")
_NAMESPACE = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")


class HelmClient:
    """`section`: of the cluster; it says which program, and how the cluster is reached."""

    def __init__(self, section: ClusterSettings, *, person: ClusterUser | None = None) -> None:
        self._section = section
        self._person = person

    def acting_as(self, person: ClusterUser) -> HelmClient:
        return HelmClient(self._section, person=person)

    def version(self) -> tuple[int, int]:
        with tempfile.TemporaryDirectory(prefix="vakhta-helm-") as place:
            try:
                ended = self._run(["version", "--template={{.Version}}"], Path(place), _MARGIN)
            except OutcomeUnknown as unsure:  # It was only asked.
                raise _refused(unsure.message, HTTPStatus.SERVICE_UNAVAILABLE) from None
        found = _VERSION.match(ended.stdout.decode(errors="replace").strip())
        if found is None:
            raise _refused(f"{self._program} does not say which version it is.", HTTPStatus.SERVICE_UNAVAILABLE)
        return int(found[1]), int(found[2])

    def roll_back(self, release: str, namespace: str, version: int, *, patience: timedelta, force: bool = False) -> str:
        if not _NAME.fullmatch(release) or not _NAMESPACE.fullmatch(namespace):
            raise _refused(f"{namespace}/{release} is no name of a release.", HTTPStatus.BAD_REQUEST)
        seconds = int(patience.total_seconds())
        words = ["rollback", release, str(version), f"--namespace={namespace}", "--wait", f"--timeout={seconds}s"]
        words += ["--force-conflicts"] if force else []
        with tempfile.TemporaryDirectory(prefix="vakhta-helm-") as place:
            ended = self._run([*words, *self._where(), *self._who()], Path(place), patience + _MARGIN)
        return "" if ended.returncode == 0 else _said(ended.stderr or ended.stdout)

    @property
    def _program(self) -> str:
        return self._section.helm or "helm"

    def _run(self, words: list[str], place: Path, patience: timedelta) -> subprocess.CompletedProcess[bytes]:
        program = self._program
        try:
            ended = subprocess.run(  # noqa: S603 (a list of words, each checked; no shell)
                [program, *words],
                env=_environment(place),
                cwd=place,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=patience.total_seconds(),
            )
        except FileNotFoundError:
            raise _refused(f"There is no program {program}.", HTTPStatus.SERVICE_UNAVAILABLE) from None
        except OSError as error:
            raise _refused(
                f"{program} cannot be started ({type(error).__name__}).", HTTPStatus.SERVICE_UNAVAILABLE
            ) from None
        except subprocess.TimeoutExpired:
            raise OutcomeUnknown(
                f"Helm did not end within {int(patience.total_seconds())} s, and was stopped."
            ) from None
        if ended.returncode < 0:
            raise OutcomeUnknown(f"Helm was ended by signal {-ended.returncode}.")
        return ended

    def _where(self) -> list[str]:
        if self._section.kubeconfig == "in-cluster":
            return []
        context = [f"--kube-context={self._section.context}"] if self._section.context else []
        return [f"--kubeconfig={Path(self._section.kubeconfig).absolute()}", *context]

    def _who(self) -> list[str]:
        if self._person is None:
            return []
        return [f"--kube-as-user={self._person.user}", *(f"--kube-as-group={one}" for one in self._person.groups)]


def _environment(place: Path) -> Mapping[str, str]:
    """`place` is an empty directory: no plugins, no repositories, and no kubeconfig but the one that is named."""
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)}
    homes = {f"HELM_{name}_HOME": str(place / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
    return {**kept, **homes, "HELM_PLUGINS": str(place / "plugins"), "KUBECONFIG": str(place / "none")}


def _said(told: bytes) -> str:
    """What it says went wrong, short: its last lines, where errors are."""
    text = redact(" ".join(told[-8192:].decode(errors="replace").split()))
    text = text.rpartition("Error: ")[2].rstrip(".")
    return f"{text[:_MOST_SHOWN] or 'no reason given'}."


def _refused(message: str, status: int) -> Rejected:
    hint = "Set clusters.NAME.helm to the program's name or path."
    return Rejected(f"{message} Nothing was done. {hint}", code="no_helm", status=status)
