"""Runs the program helm for one thing that is not reimplemented here: its rollback. Implements `bot.core.helm.Helm`.

It gets a list of arguments and no shell, little of the environment, and no plugins or settings of any user; its output
is shown shortened and without secrets. The trap: killed half-way it leaves a release pending for ever, so it gets its
own time limit, and is killed only long after that.
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
_MAX_SHOWN = 400
#: Variables that the kubeconfig's login programs may need (`aws eks get-token`), and the API's address in a cluster.
_KEPT = ("PATH", "HOME")
_KEPT_PREFIXES = ("AWS_", "AZURE_", "GOOGLE_", "KUBERNETES_SERVICE_", "SSL_CERT_")
#: Release names and namespaces; none begins with a dash, so none is taken for an option.
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,51}[a-z0-9])?")
_VERSION = re.compile(r"v(\d+)\.(\d+)")
_NAMESPACE = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")


class HelmClient:
    """`section`: the cluster's, with the program and the kubeconfig."""

    def __init__(self, section: ClusterSettings, *, person: ClusterUser | None = None) -> None:
        self._section = section
        self._person = person

    def acting_as(self, person: ClusterUser) -> HelmClient:
        return HelmClient(self._section, person=person)

    def version(self) -> tuple[int, int]:
        with tempfile.TemporaryDirectory(prefix="vakhta-helm-") as place:
            try:
                ended = self._run(["version", "--template={{.Version}}"], Path(place), _MARGIN)
            except OutcomeUnknown as unknown:  # A read: nothing was done.
                raise _refused(unknown.message, HTTPStatus.SERVICE_UNAVAILABLE) from None
        found = _VERSION.match(ended.stdout.decode(errors="replace").strip())
        if found is None:
            raise _refused(f"{self._program} does not print its version.", HTTPStatus.SERVICE_UNAVAILABLE)
        return int(found[1]), int(found[2])

    def roll_back(self, release: str, namespace: str, version: int, *, patience: timedelta, force: bool = False) -> str:
        if not _NAME.fullmatch(release) or not _NAMESPACE.fullmatch(namespace):
            raise _refused(f"{namespace}/{release} is not the name of a release.", HTTPStatus.BAD_REQUEST)
        seconds = int(patience.total_seconds())
        arguments = ["rollback", release, str(version), f"--namespace={namespace}", "--wait", f"--timeout={seconds}s"]
        arguments += ["--force-conflicts"] if force else []
        with tempfile.TemporaryDirectory(prefix="vakhta-helm-") as place:
            ended = self._run(
                [*arguments, *self._cluster_options(), *self._user_options()], Path(place), patience + _MARGIN
            )
        return "" if ended.returncode == 0 else _error_in(ended.stderr or ended.stdout)

    @property
    def _program(self) -> str:
        return self._section.helm or "helm"

    def _run(self, arguments: list[str], place: Path, patience: timedelta) -> subprocess.CompletedProcess[bytes]:
        program = self._program
        try:
            ended = subprocess.run(  # noqa: S603 (a list of checked arguments; no shell)
                [program, *arguments],
                env=_environment(place),
                cwd=place,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=patience.total_seconds(),
            )
        except FileNotFoundError:
            raise _refused(f"The program {program} does not exist.", HTTPStatus.SERVICE_UNAVAILABLE) from None
        except OSError as error:
            raise _refused(
                f"{program} cannot be started ({type(error).__name__}).", HTTPStatus.SERVICE_UNAVAILABLE
            ) from None
        except subprocess.TimeoutExpired:
            raise OutcomeUnknown(
                f"Helm did not end within {int(patience.total_seconds())} s and was stopped."
            ) from None
        if ended.returncode < 0:
            raise OutcomeUnknown(f"Helm was ended by signal {-ended.returncode}.")
        return ended

    def _cluster_options(self) -> list[str]:
        if self._section.kubeconfig == "in-cluster":
            return []
        context = [f"--kube-context={self._section.context}"] if self._section.context else []
        return [f"--kubeconfig={Path(self._section.kubeconfig).absolute()}", *context]

    def _user_options(self) -> list[str]:
        if self._person is None:
            return []
        return [f"--kube-as-user={self._person.user}", *(f"--kube-as-group={one}" for one in self._person.groups)]


def _environment(place: Path) -> Mapping[str, str]:
    """`place` is an empty directory: no plugins, no repositories, and no kubeconfig other than the named one."""
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)}
    homes = {f"HELM_{name}_HOME": str(place / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
    return {**kept, **homes, "HELM_PLUGINS": str(place / "plugins"), "KUBECONFIG": str(place / "none")}


def _error_in(output: bytes) -> str:
    """The error in helm's output, shortened: its last lines."""
    text = redact(" ".join(output[-8192:].decode(errors="replace").split()))
    text = text.rpartition("Error: ")[2].rstrip(".")
    return f"{text[:_MAX_SHOWN] or 'no reason given'}."


def _refused(message: str, status: int) -> Rejected:
    hint = "Set clusters.NAME.helm to the program's name or path."
    return Rejected(f"{message} Nothing was done. {hint}", code="no_helm", status=status)
