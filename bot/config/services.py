"""The settings sections about services: their labels, where they run, and the limits for actions on them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from bot.lib import promql
from bot.lib.open_links import can_open
from bot.lib.settings_fields import Minutes, Mistake, Seconds, Section, namespace_mistake, text_of
from bot.notifications.template_settings import TemplatesSettings

#: Kinds of workload, as written before the slash.
WORKLOADS = ("deployment", "statefulset", "daemonset", "rollout")
_NOT_TYPED = re.compile(r"[\s*?]")
_WORKLOAD = re.compile(rf"({'|'.join(WORKLOADS)})/[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?")


def _workload(text: str) -> str:
    if not _WORKLOAD.fullmatch(text):
        raise ValueError(f"must be one of {', '.join(WORKLOADS)}, a slash, and the object's name")
    return text


def _promql(expression: str) -> str:
    if fault := promql.fault_in(expression):
        raise ValueError(fault)
    return expression


def _page(url: str) -> str:
    if not url.startswith(("http://", "https://")) or not can_open(url):
        raise ValueError("must be an address that people can open in a browser, without a user or a password")
    return url


_Expression = Annotated[str, AfterValidator(_promql)]


class ReplicasSettings(Section):
    """The limits within which a workload may be scaled."""

    min: int = Field(ge=0)
    max: int = Field(ge=0)
    step: int | None = Field(
        None, ge=1, description="Replicas that one scale may add or remove; by default up to double or half."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min > self.max:
            raise ValueError("min is above max")
        return self


class HeadroomSettings(Section):
    """How much of each replica is in use, so that a scale-down leaves enough for the load."""

    query: _Expression = Field(min_length=1, description="A PromQL expression of one value, 0 to 1.")
    most: float = Field(0.8, gt=0, le=1, description="The maximum after scaling down.")


class ConnectionsSettings(Section):
    """A resource that the replicas share, such as a database: connections per replica, and the limit of them."""

    each: int = Field(ge=1)
    most: int = Field(ge=1)

    @classmethod
    def doubts(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        each, most = given.get("each"), given.get("most")
        if isinstance(each, int) and isinstance(most, int) and each > most:
            yield ("each",), "is above `most`, so not even one replica is within the limit"


class TeamSettings(Section):
    """A team, which owns services."""

    name: str = Field(min_length=1, description="As `services[].owner` names it.")
    members: tuple[str, ...] = Field((), description="Ids of people.")


class ServiceSettings(Section):
    """A service: the labels of its alerts, whose it is, and where it runs."""

    name: str = Field(min_length=1)
    environment: str | None = Field(None, min_length=1, description="Such as production; rules may refer to it.")
    on_call: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Ids of people, who are always on call, and rotas, as in: rota orders-primary.",
    )
    match: Mapping[str, str] = Field(
        default_factory=dict,
        description="label -> value; the alert must have all of them. Only default_service may be without.",
    )
    owner: str | None = Field(None, description="The name of a team under `teams`, or any text.")
    tier: int | None = Field(None, ge=1, le=9, description="How important it is; 1 is the most important.")
    runbooks: tuple[str, ...] = Field((), description="Addresses, or the names by which people find them.")
    links: Mapping[str, Annotated[str, AfterValidator(_page)]] = Field(
        default_factory=dict, description="label -> address; shown on its incidents."
    )
    depends_on: tuple[str, ...] = Field((), description="Names of services that it needs.")
    templates: TemplatesSettings | None = None
    cluster: str | None = Field(None, description="A name under `clusters`.")
    namespace: str | None = Field(None, min_length=1, description="Namespace of the workload; by default, default.")
    workload: Annotated[str, AfterValidator(_workload)] | None = Field(
        None, description="kind/name, such as deployment/api; also statefulset, daemonset, rollout."
    )
    replicas: ReplicasSettings | None = None
    voters: bool = Field(
        default=False,
        description="The replicas form a quorum, as in etcd; it is never scaled below a majority of them.",
    )
    headroom: HeadroomSettings | None = None
    connections: ConnectionsSettings | None = None
    check: _Expression | None = Field(
        None, min_length=1, description="A PromQL expression that is true while the service is healthy."
    )
    check_for: Minutes = Field(
        timedelta(minutes=5),
        description="Minutes for which `check` must hold after a change; if it fails, the change is undone.",
        json_schema_extra={"default": 5},
    )
    soak: Seconds = Field(
        timedelta(seconds=60),
        description="Seconds for which the workload must stay ready before a change counts as done.",
        json_schema_extra={"default": 60},
    )

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        yield from namespace_mistake(given, "namespace")

    @classmethod
    def doubts(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        if _NOT_TYPED.search(text_of(given, "name")):
            yield ("name",), "has a space or a wildcard, so no command can name the service"
