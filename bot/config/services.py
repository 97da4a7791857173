"""The sections of the settings about what is watched over: services, and the clusters on which they run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from bot.lib.settings_fields import Minutes, Seconds, Section

#: What a workload may be, as it is written before the slash.
WORKLOADS = ("deployment", "statefulset", "daemonset", "rollout")
_WORKLOAD = re.compile(rf"({'|'.join(WORKLOADS)})/[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?")


def _workload(message: str) -> str:
    if not _WORKLOAD.fullmatch(message):
        raise ValueError(f"must be one of {', '.join(WORKLOADS)}, a slash, and the object's name")
    return message


class ReplicasSettings(Section):
    """Between how many replicas a workload may be scaled."""

    min: int = Field(ge=0)
    max: int = Field(ge=0)
    step: int | None = Field(None, ge=1, description="By how many at once; without it, to the double or the half.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min > self.max:
            raise ValueError("min is above max")
        return self


class HeadroomSettings(Section):
    """How much of each replica is used, so that there are never too few for the load."""

    query: str = Field(min_length=1, description="A PromQL expression of one value, 0 to 1.")
    most: float = Field(0.8, gt=0, le=1, description="It may be no more than this after scaling down.")


class ConnectionsSettings(Section):
    """What replicas share, such as a database: how many connections each opens, and how many it takes."""

    each: int = Field(ge=1)
    most: int = Field(ge=1)


class ServiceSettings(Section):
    """A service that people own: which labels are its own, and where it runs."""

    name: str = Field(min_length=1)
    environment: str | None = Field(None, min_length=1, description="Such as production; rules may ask for it.")
    on_call: tuple[str, ...] | None = Field(None, min_length=1, description="Ids of people; all of them are on call.")
    match: Mapping[str, str] = Field(min_length=1, description="label -> value; all of them must be on the alert.")
    owner: str | None = None
    cluster: str | None = Field(None, description="A name under `clusters`.")
    namespace: str | None = Field(None, min_length=1, description="Of the workload; without it, default.")
    workload: Annotated[str, AfterValidator(_workload)] | None = Field(
        None, description="kind/name, such as deployment/api; also statefulset, daemonset, rollout."
    )
    replicas: ReplicasSettings | None = None
    voters: bool = Field(
        default=False, description="Its replicas vote, as etcd's do: it is never scaled below a majority of them."
    )
    headroom: HeadroomSettings | None = None
    connections: ConnectionsSettings | None = None
    check: str | None = Field(None, min_length=1, description="A PromQL expression that is true while it is well.")
    check_for: Minutes = Field(
        timedelta(minutes=5),
        description="Minutes for which `check` is held after a change; where it fails, the change is undone.",
        json_schema_extra={"default": 5},
    )
    soak: Seconds = Field(
        timedelta(seconds=60),
        description="Seconds for which it has to stay ready before a change is called done.",
        json_schema_extra={"default": 60},
    )
