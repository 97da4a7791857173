"""The settings' section about where the programs of a store run: on the bot's machine, or as Jobs in a cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field, model_validator

from bot.lib.settings_fields import Mistake, Section, namespace_mistake, text_of

LOCAL = "local"
_REF = re.compile(r"[a-z0-9][-a-z0-9.]*/[-._A-Za-z0-9]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CLAIM = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")
_TAGGED = re.compile(r".+(?:@sha256:[0-9a-f]{64}|:[A-Za-z0-9_][-._A-Za-z0-9]*)")


class VolumeSettings(Section):
    """A volume of the Job's pod: where archives are, or are put."""

    claim: str = Field(min_length=1, description="Name of the PersistentVolumeClaim, in the Job's namespace.")
    path: str = Field(min_length=2, description="Where it is mounted: the same path as the bot has it at.")
    read_only: bool = Field(default=True, description="Whether programs may only read there.")

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        if (claim := text_of(given, "claim")) and not _CLAIM.fullmatch(claim):
            yield ("claim",), "must be the name of a PersistentVolumeClaim"
        if (path := text_of(given, "path")) and not path.startswith("/"):
            yield ("path",), "must be an absolute path"


class JobSettings(Section):
    """Programs run as Kubernetes Jobs."""

    cluster: str = Field(min_length=1, description="The cluster, by its name under clusters.")
    namespace: str = Field(min_length=1, description="The namespace in which the Jobs are made.")
    image: str = Field(min_length=1, description="The image that has the programs, with a tag or a digest.")
    secrets: Mapping[str, str] = Field(
        default_factory=dict,
        description="Environment variables from Secrets of that namespace, such as PGPASSWORD: orders-backup/password. "
        "The values are never in the Job.",
    )
    service_account: str | None = Field(None, description="A service account of the pod; its token is not mounted.")
    volumes: tuple[VolumeSettings, ...] = Field((), description="Volumes that the programs need.")
    user: int = Field(65532, ge=1, description="The numeric user that the programs run as; never root.")
    wait_to_start: int = Field(
        300, ge=10, le=3600, description="Seconds after which a pod that does not start is given up."
    )

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        yield from namespace_mistake(given, "namespace")
        if (image := text_of(given, "image")) and not _TAGGED.fullmatch(image):
            yield ("image",), "must have a tag or a digest; without one another image may run tomorrow"
        secrets = given.get("secrets")
        for name, ref in secrets.items() if isinstance(secrets, Mapping) else ():
            if not _VARIABLE.fullmatch(str(name)):
                yield ("secrets", str(name)), "must be the name of an environment variable"
            elif not isinstance(ref, str) or not _REF.fullmatch(ref):
                yield ("secrets", str(name)), "must be SECRET/KEY, such as orders-backup/password"

    @classmethod
    def doubts(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        if text_of(given, "image").endswith(":latest"):
            yield ("image",), "is whatever the tag latest is on that day; name a version or a digest"


class RunSettings(Section):
    """Where programs run: `local`, which is the bot's own machine, or a Job."""

    job: JobSettings | None = None

    @model_validator(mode="before")
    @classmethod
    def _local(cls, given: Any) -> Any:
        if given == LOCAL:
            return {}
        if not isinstance(given, Mapping):
            raise ValueError("must be local, or {job: ...}")  # noqa: TRY004 (pydantic's exception for a fault)
        return given
