"""Who may do what in the fake Kubernetes: tokens, impersonation, RBAC, and the access reviews that tell of it.

As the real one: rights add up over a user and all their groups; to be somebody else takes the verb impersonate on that
user and on each of the groups; a rule with names is for no list and no creation.
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.fakes.kubernetes_store import Refused, Thing

Key = tuple[str, str, str]  #: kind, namespace ("" where there is none), name
_EVERYBODY = "system:authenticated"
#: Kubernetes asks RBAC nothing about its members.
_MASTERS = "system:masters"


@dataclass(frozen=True, kw_only=True)
class User:
    """Who asks."""

    name: str
    groups: tuple[str, ...] = ()

    @property
    def subjects(self) -> tuple[str, ...]:
        """As rights are kept for them: "ana", "group:sre"."""
        return (self.name, *(f"group:{one}" for one in (*self.groups, _EVERYBODY)))


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One right, as an access review names it; `resource` with its subresource: "deployments/scale"."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""

    def refusal(self, user: User) -> str:
        named = f' "{self.name}"' if self.name else ""
        where = f' in the namespace "{self.namespace}"' if self.namespace else " at the cluster scope"
        resource = f'resource "{self.resource}" in API group "{self.group}"'
        plural, _, _ = self.resource.partition("/")
        return (
            f"{plural}{f'.{self.group}' if self.group else ''}{named} is forbidden:"
            f' User "{user.name}" cannot {self.verb} {resource}{where}'
        )


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule of a Role, in that namespace, or of a ClusterRole everywhere ("")."""

    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    names: frozenset[str] = frozenset()
    namespace: str = ""

    def allows(self, wanted: Wanted) -> bool:
        return (
            wanted.verb in self.verbs
            and wanted.group in self.groups
            and wanted.resource in self.resources
            and (not self.names or wanted.name in self.names)
            and self.namespace in ("", wanted.namespace)
        )


@dataclass
class Rights:
    """`users`: whose token it is. A user of whom no rule speaks, by name or group, may do anything at first."""

    users: dict[str, str]
    denied: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    """What a user may not whatever the rules say, as (verb, resource with its subresource)."""
    rules: dict[str, list[Rule]] = field(default_factory=dict)  #: given by hand, by "ana" or "group:sre"
    roles: dict[Key, list[Rule]] = field(default_factory=dict)
    bindings: dict[Key, tuple[Key, list[str]]] = field(default_factory=dict)  #: each: its role, and whom it is given to

    def grant(self, subject: str, verbs: str, resource: str, *, names: Iterable[str] = (), namespace: str = "") -> None:
        """`verbs`: several with a blank between; `resource`: "deployments.apps/scale"."""
        whole, _, sub = resource.partition("/")
        plural, _, group = whole.partition(".")
        rule = Rule(
            verbs=frozenset(verbs.split()),
            groups=frozenset({group}),
            resources=frozenset({f"{plural}/{sub}" if sub else plural}),
            names=frozenset(names),
            namespace=namespace,
        )
        self.rules.setdefault(subject, []).append(rule)

    def apply(self, objects: Iterable[Mapping[str, Any]]) -> None:
        """Roles and their bindings, as `kubectl apply` would take them: each takes the place of the one of its name."""
        for one in objects:
            meta, kind = one["metadata"], one["kind"]
            assert one["apiVersion"] == "rbac.authorization.k8s.io/v1"
            namespace = meta.get("namespace", "")
            key = (kind, namespace, meta["name"])
            if kind in ("Role", "ClusterRole"):
                self.roles[key] = [_rule(each, namespace) for each in one["rules"]]
                continue
            ref = one["roleRef"]
            role = (ref["kind"], namespace if ref["kind"] == "Role" else "", ref["name"])
            assert self.bindings.get(key, (role, []))[0] == role, "a binding's role cannot be changed"
            self.bindings[key] = (role, [_subject(each) for each in one["subjects"]])

    def strip(self, subject: str) -> None:
        """Nothing is granted to that one any more, as if nothing had ever been."""
        self.rules.pop(subject, None)
        for role, subjects in self.bindings.values():
            if subject in subjects:
                subjects.remove(subject)
                self.roles[role] = []

    def _rules_of(self, subject: str) -> Iterator[Rule]:
        yield from self.rules.get(subject, ())
        for (_, namespace, _), (role, subjects) in self.bindings.items():
            if subject in subjects:
                yield from (replace(each, namespace=namespace) for each in self.roles.get(role, ()))

    def user_of(self, heads: Sequence[tuple[str, str]]) -> User:
        """Who asks. Raises `Refused`: 401 for an unknown token, 403 where it may not be somebody else."""
        headers = dict(heads)
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.users:
            raise Refused(401, "Unauthorized", "Unauthorized")
        user = User(name=self.users[token])
        groups = tuple(value for name, value in heads if name == "impersonate-group")
        other = headers.get("impersonate-user")
        if other is None:
            if groups:
                raise Refused(500, "InternalError", "requested groups without impersonating a user")
            return user
        for resource, name in (("users", other), *(("groups", one) for one in groups)):
            wanted = Wanted(verb="impersonate", group="", resource=resource, name=name)
            if name == _MASTERS or not self.allow(user, wanted):
                raise Refused(403, "Forbidden", wanted.refusal(user), name=name, kind=resource)
        return User(name=other, groups=groups)

    def allow(self, user: User, wanted: Wanted) -> bool:
        if (wanted.verb, wanted.resource) in self.denied.get(user.name, set()):
            return False
        rules = [rule for subject in user.subjects for rule in self._rules_of(subject)]
        return not rules or any(rule.allows(wanted) for rule in rules)

    def review(self, kind: str, body: Thing, user: User) -> Thing:
        """What a SelfSubjectAccessReview or SubjectAccessReview answers: the same object, with its status."""
        asked = body["spec"]["resourceAttributes"]
        if kind == "subjectaccessreviews":
            asking = Wanted(verb="create", group="authorization.k8s.io", resource=kind)
            if not self.allow(user, asking):
                raise Refused(403, "Forbidden", asking.refusal(user), kind=kind)
            groups = tuple(one for one in body["spec"].get("groups", ()) if one != _EVERYBODY)
            user = User(name=body["spec"]["user"], groups=groups)
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


def _subject(subject: Mapping[str, str]) -> str:
    match subject["kind"]:
        case "Group":
            return f"group:{subject['name']}"
        case "ServiceAccount":
            return f"system:serviceaccount:{subject['namespace']}:{subject['name']}"
        case _:
            return subject["name"]


def _rule(told: Mapping[str, Sequence[str]], namespace: str) -> Rule:
    return Rule(
        verbs=frozenset(told["verbs"]),
        groups=frozenset(told["apiGroups"]),
        resources=frozenset(told["resources"]),
        names=frozenset(told.get("resourceNames", ())),
        namespace=namespace,
    )
