"""The settings' sections about Kubernetes clusters: how they are reached, who people are there, Flagger's gates."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from bot.integrations.argocd.settings import ArgoCdSettings
from bot.lib.settings_fields import Secret, Section

#: Whoever Kubernetes itself gives a name to; of these only service accounts are given to people.
_KUBERNETES, _ACCOUNT = "system:", "system:serviceaccount:"
_IN_A_HEADER = re.compile(r"[!-~]+(?: +[!-~]+)*")


def _user(message: str) -> str:
    if message.startswith(_KUBERNETES) and not message.startswith(_ACCOUNT):
        raise ValueError("names a part of Kubernetes itself, whom nobody may be")
    return _sendable(message)


def _group(message: str) -> str:
    if message.startswith(_KUBERNETES):
        raise ValueError("names a group of Kubernetes' own, which it gives out by itself; name the team's")
    return _sendable(message)


def _sendable(message: str) -> str:
    if not _IN_A_HEADER.fullmatch(message):
        raise ValueError("must be of printable ASCII, without a blank at its ends")
    return message


class FlaggerSettings(Section):
    """Flagger asks the bot at its gates."""

    tokens: tuple[Secret, ...] = Field(
        min_length=1, description="In the metadata of its webhooks; two while you rotate from one to the other."
    )


class ClusterSettings(Section):
    """One Kubernetes cluster."""

    kubeconfig: str = Field("in-cluster", description="A file, or in-cluster.")
    context: str | None = None
    review: bool = Field(
        default=True, description="Ask the cluster whether the person may, where `people` say who they are there."
    )
    impersonate: bool = Field(
        default=False, description="Write in the person's name; who is nobody there may then change nothing."
    )
    argocd: ArgoCdSettings | None = Field(None, description="Who keeps what runs in that cluster as git has it.")
    helm: str | None = Field(
        None, min_length=1, description="Helm's program, a name or a path; without it no release is rolled back."
    )
    flagger: FlaggerSettings | None = Field(None, description="Who of that cluster may ask at the bot's gates.")


class ClusterUserSettings(Section):
    """Who a person is to Kubernetes."""

    user: Annotated[str, AfterValidator(_user)] = Field(description="As the cluster's RBAC names them.")
    groups: tuple[Annotated[str, AfterValidator(_group)], ...] = Field((), description="Their groups there.")
