"""Who may do what in the fake Kubernetes: tokens, impersonation, and the access reviews that tell of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.fakes.kubernetes_store import Refused, Thing


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One right, as an access review names it; `resource` with its subresource: "deployments/scale"."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""

    def refusal(self, user: str) -> str:
        named = f' "{self.name}"' if self.name else ""
        where = f' in the namespace "{self.namespace}"' if self.namespace else " at the cluster scope"
        resource = f'resource "{self.resource}" in API group "{self.group}"'
        plural, _, _ = self.resource.partition("/")
        return (
            f"{plural}{f'.{self.group}' if self.group else ''}{named} is forbidden:"
            f' User "{user}" cannot {self.verb} {resource}{where}'
        )


@dataclass
class Rights:
    """`users`: whose token it is. `denied`: what a user may not, as (verb, resource with its subresource)."""

    users: dict[str, str]
    denied: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    groups: dict[str, set[tuple[str, str]]] = field(default_factory=dict)  #: likewise, of a group

    def user_of(self, headers: Mapping[str, str]) -> str:
        """Who asks. Raises `Refused`: 401 for an unknown token, 403 where it may not be somebody else."""
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.users:
            raise Refused(401, "Unauthorized", "Unauthorized")
        user, other = self.users[token], headers.get("impersonate-user")
        if other and not self.allow(user, Wanted(verb="impersonate", group="", resource="users", name=other)):
            said = Wanted(verb="impersonate", group="", resource="users", name=other).refusal(user)
            raise Refused(403, "Forbidden", said)
        return other or user

    def allow(self, user: str, wanted: Wanted) -> bool:
        return (wanted.verb, wanted.resource) not in self.denied.get(user, set())

    def review(self, kind: str, body: Thing, user: str) -> Thing:
        """What a SelfSubjectAccessReview or SubjectAccessReview answers: the same object, with its status."""
        asked = body["spec"]["resourceAttributes"]
        if kind == "subjectaccessreviews":
            user = body["spec"]["user"]
        sub = f"/{asked['subresource']}" if asked.get("subresource") else ""
        wanted = Wanted(
            verb=asked["verb"],
            group=asked.get("group", ""),
            resource=asked["resource"] + sub,
            namespace=asked.get("namespace", ""),
            name=asked.get("name", ""),
        )
        allowed = self.allow(user, wanted)
        return {**body, "status": {"allowed": allowed} | ({} if allowed else {"reason": "no rule allows it"})}
