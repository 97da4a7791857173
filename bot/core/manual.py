"""What `help` says of a verb beside its usage: topic, examples, way back, and what the installation needs for it.

A verb declares this itself (`manual`), so that `help` needs no list of verbs. What it needs is a `Facility`, by name:
the composition root knows which of them the settings provide, and a verb imports no integration to ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Topic(StrEnum):
    """A group of verbs, in the order in which `help` lists them. The value is the word that people type."""

    INCIDENTS = "incidents"
    SILENCES = "silences"
    WORKLOADS = "workloads"
    BACKUPS = "backups"
    APPROVALS = "approvals"
    PEOPLE = "people"

    @property
    def heading(self) -> str:
        return _HEADINGS[self]


_HEADINGS = {
    Topic.INCIDENTS: "Incidents",
    Topic.SILENCES: "Silences",
    Topic.WORKLOADS: "Actions on workloads",
    Topic.BACKUPS: "Backups and restores",
    Topic.APPROVALS: "Approvals and runs",
    Topic.PEOPLE: "People and rights",
}
#: Other words for a topic. A verb of the same name goes first.
TOPIC_WORDS: Mapping[str, Topic] = {
    **{one.value: one for one in Topic},
    **{one.heading.lower(): one for one in Topic},
    "incident": Topic.INCIDENTS,
    "alerts": Topic.SILENCES,
    "actions": Topic.WORKLOADS,
    "workload": Topic.WORKLOADS,
    "rollouts": Topic.WORKLOADS,
    "backup": Topic.BACKUPS,
    "restores": Topic.BACKUPS,
    "drills": Topic.BACKUPS,
    "plans": Topic.APPROVALS,
    "approval": Topic.APPROVALS,
    "rights": Topic.PEOPLE,
    "roles": Topic.PEOPLE,
    "accounts": Topic.PEOPLE,
}


class Facility(StrEnum):
    """Something that the settings may leave out. The value says how to set it up, after "This bot needs"."""

    CLUSTER = "a cluster, under `clusters`"
    WORKLOAD = "a service with `cluster` and `workload`, under `services`"
    ROLLOUT = "a service whose `workload` is an Argo Rollout, under `services`"
    FLAGGER = "Flagger's tokens, `clusters.NAME.flagger.tokens`"
    BACKUPS = "a store, under `backups.stores`"
    ON_CALL = "somebody on call, under `services[].on_call`, or a rota, under `rotas`"
    ROTA = "a rota, under `rotas`"
    SILENCES = "Alertmanager's API, `sources.alertmanager.api_url`"
    ACCOUNTS = "a chat in which people have accounts, under `channels`"
    BREAK_GLASS = "a role with `break_glass: true`, under `roles`"


EVERY_FACILITY = frozenset(Facility)


@dataclass(frozen=True, kw_only=True, slots=True)
class Manual:
    """What `help` says of one verb.

    An example may hold `{service}`, `{store}`, `{incident}`, `{person}`, `{run}` or `{plan}`; `help` fills in names
    that exist.
    """

    topic: Topic
    examples: tuple[str, ...]
    details: str = ""  #: what its one-line summary leaves out, in full sentences
    way_back: str = ""  #: how to undo it, in full sentences; "" for a verb that changes nothing
    approval: str = ""  #: in which cases its plan asks for more approvals than the rules do, in full sentences
    needs: tuple[Facility, ...] = ()  #: one of these is enough; empty: it works in every installation

    def works_with(self, facilities: frozenset[Facility]) -> bool:
        return not self.needs or not facilities.isdisjoint(self.needs)
