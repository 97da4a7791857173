"""The settings' sections about Kubernetes clusters: how they are reached, who people are there, Flagger's gates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from shutil import which
from typing import Annotated

from pydantic import AfterValidator, Field

from bot.integrations.argocd.settings import ArgoCdSettings
from bot.integrations.kubernetes.kubeconfig import kubeconfig_fault
from bot.lib.settings_fields import KUBECONFIG, PROGRAM, Mistake, Secret, Section, text_of

#: Names that Kubernetes itself gives; of these only service accounts may be a person's.
_RESERVED, _SERVICE_ACCOUNT = "system:", "system:serviceaccount:"
#: The value of `kubeconfig` for the service account of the pod itself.
IN_CLUSTER = "in-cluster"
_IN_A_HEADER = re.compile(r"[!-~]+(?: +[!-~]+)*")


def _user(name: str) -> str:
    if name.startswith(_RESERVED) and not name.startswith(_SERVICE_ACCOUNT):
        raise ValueError("is a user of Kubernetes itself, which no person may be")
    return _sendable(name)


def _group(name: str) -> str:
    if name.startswith(_RESERVED):
        raise ValueError("is a group that Kubernetes itself assigns; name the team's own")
    return _sendable(name)


def _sendable(name: str) -> str:
    if not _IN_A_HEADER.fullmatch(name):
        raise ValueError("must be printable ASCII, without a space at its ends")
    return name


class FlaggerSettings(Section):
    """Flagger calls the bot at its gates."""

    tokens: tuple[Secret, ...] = Field(
        min_length=1, description="Tokens in the metadata of its webhooks; two while you rotate."
    )


class ClusterSettings(Section):
    """One Kubernetes cluster."""

    kubeconfig: Annotated[str, KUBECONFIG] = Field(
        IN_CLUSTER, min_length=1, description="Path of a kubeconfig file, or in-cluster; relative to the settings file."
    )
    context: str | None = None
    review: bool = Field(
        default=True, description="Also check the person's rights in the cluster, for people with a Kubernetes user."
    )
    impersonate: bool = Field(
        default=False,
        description="Make changes as the person (impersonation); people without a Kubernetes user then change nothing.",
    )
    argocd: ArgoCdSettings | None = Field(None, description="The Argo CD that deploys to this cluster.")
    helm: Annotated[str | None, PROGRAM] = Field(
        None, min_length=1, description="Name or path of the program helm; without it no release is rolled back."
    )
    flagger: FlaggerSettings | None = Field(
        None, description="The Flagger of this cluster, if it calls the bot's gates."
    )

    @classmethod
    def doubts(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        if text_of(given, "context") and text_of(given, "kubeconfig") in ("", IN_CLUSTER):
            yield ("context",), "has no effect in-cluster; name a kubeconfig file, or leave this key out"
        helm = text_of(given, "helm")
        if helm and which(helm) is None:
            yield ("helm",), "is no program that can be run on this machine; without it no release is rolled back"

    @classmethod
    def missing_here(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        file = text_of(given, "kubeconfig")
        if file and file != IN_CLUSTER and (fault := kubeconfig_fault(file, text_of(given, "context"))):
            yield fault


class ClusterUserSettings(Section):
    """A person's user in Kubernetes."""

    user: Annotated[str, AfterValidator(_user)] = Field(description="User name in the cluster's RBAC.")
    groups: tuple[Annotated[str, AfterValidator(_group)], ...] = Field((), description="Groups in the cluster's RBAC.")
