"""Argo CD is kept from syncing an application by itself, and let again: the policy is remembered on the application.

One patch takes `automated` out and writes the whole policy, as it stood, into an annotation; another puts it back and
takes the annotation away. That works in every version, where `enabled: false` is dropped unread before 3.1.
The trap: once it is let again, everything becomes what git has, a rollback of meanwhile too.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from bot.core.action import Tools
from bot.core.errors import Conflict, Rejected
from bot.core.kubernetes import KubernetesObject, ObjectRef, PatchType
from bot.core.plan import Outcome, Plan, Result
from bot.core.site import ServiceTarget
from bot.lib.text import spell
from bot.workloads.gitops import conflict
from bot.workloads.objects import argocd_application, kinds, run_markers
from bot.workloads.objects import target as place
from bot.workloads.objects.owners import ManagedBy, owner_of

#: On the application: its syncPolicy as JSON, byte for byte as it is put back.
REMEMBERED = "vakhta.dev/sync-policy"
_AUTO, _POLICY, _KEPT, _UID, _NONE = "auto-sync", "policy", "remembered", "uid", "none"
_WORKLOADS = frozenset(one.title for one in kinds.WORKLOADS.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class ApplicationState:
    """The application of a service."""

    service: str
    site: ServiceTarget
    application: KubernetesObject

    @property
    def ref(self) -> ObjectRef:
        meta = self.application["metadata"]
        return ObjectRef(kind=kinds.APPLICATION, namespace=meta["namespace"], name=meta["name"])

    @property
    def radius(self) -> str:
        resources = (self.application.get("status") or {}).get("resources") or ()
        kept = Counter(str(row.get("kind", "")) for row in resources)
        named = ", ".join(f"{count} {kind}" for kind, count in sorted(kept.items()) if kind in _WORKLOADS)
        return f"all that {self.ref} keeps: {len(resources)} objects{f', among them {named}' if named else ''}"

    @property
    def remembered(self) -> str:
        return str((self.application["metadata"].get("annotations") or {}).get(REMEMBERED, ""))


def find_application(service: str, tools: Tools) -> ApplicationState:
    """Raises `Rejected` where Argo CD does not keep the service, or its application cannot be read."""
    target = place.target_of(tools, service)
    owner = place.owner_of(target, place.workload_of(target))
    if owner.by is not ManagedBy.ARGOCD:
        message = f"{target.workload} is kept by {owner}, not by Argo CD. Nothing was done."
        raise Rejected(message, code="no_application", status=HTTPStatus.CONFLICT)
    application = conflict.application_of(target, owner)
    if application is None:
        message = (
            f"{owner} is said to keep {target.workload}, and there is none that the bot may see. Nothing was done."
        )
        hint = f"Set clusters.{target.cluster.name}.argocd where Argo CD runs elsewhere."
        raise Rejected(f"{message} {hint}", code="no_application", status=HTTPStatus.CONFLICT)
    argocd_application.check_has(application, target.workload)
    return ApplicationState(service=service, site=target, application=application)


def plan_off(one: ApplicationState, held: timedelta) -> Plan:
    if not argocd_application.syncs_itself(one.application):
        message = f"{one.ref} does not sync by itself anyway. Nothing was done."
        raise Rejected(message, code="off_already", status=HTTPStatus.CONFLICT)
    _check(one)
    way_back = f"After {spell(held)}, unless it is kept, and by" if held else "By"
    effect = (
        f"Argo CD no longer syncs {one.ref} by itself: what comes into git waits, and what others change stays.",
        f"Now it does, with {_spelled(one.application)}.",
        *_fought(one),
        f"{way_back} its undo the policy is put back as it is now, byte for byte; {REMEMBERED} keeps it until then.",
        "Then everything becomes what git has: whatever is to stay has to be in git by then.",
    )
    return Plan(
        target=one.service,
        effect=effect,
        blast_radius=one.radius,
        preconditions=_seen(one),
        hidden=(_POLICY, _KEPT, _UID),
        undo_command=f"autosync {one.service} on",
        undo_after=held,
    )


def plan_on(one: ApplicationState) -> Plan:
    old = _remembered(one)
    _check(one)
    back = {**one.application, "spec": {**one.application["spec"], "syncPolicy": old}}
    return Plan(
        target=one.service,
        effect=(
            f"Argo CD syncs {one.ref} by itself again, with {_spelled(back)}, as before it was paused.",
            *_fought(one),
            "Everything that it keeps becomes what git has, at once where it heals itself, else with the next change.",
        ),
        blast_radius=one.radius,
        preconditions=_seen(one),
        hidden=(_POLICY, _KEPT, _UID),
        undo_command=f"autosync {one.service} off",
    )


def run_off(one: ApplicationState, plan: Plan, run: str) -> Outcome:
    _check_still(one, plan)
    policy = argocd_application.policy(one.application)
    kept = _text(policy)
    _write(one, run, [{"op": "remove", "path": "/spec/syncPolicy/automated"}], kept)
    return _over(one, _without(policy), kept)


def run_on(one: ApplicationState, plan: Plan, run: str) -> Outcome:
    _check_still(one, plan)
    policy = _remembered(one)
    _write(one, run, [{"op": "add", "path": "/spec/syncPolicy", "value": policy}], None)
    return _over(one, policy, _NONE)


def probe(one: ApplicationState, plan: Plan, run: str) -> Outcome:
    """By the annotation that the patch itself wrote; where that is not there, by whether all is as the plan saw it."""
    now = _seen(one)
    if run_markers.written_by(one.application, run):
        if plan.preconditions[_AUTO] == "on":
            policy = json.loads(plan.preconditions[_POLICY])
            return _over(one, _without(policy), one.remembered or _text(policy))
        return _over(one, json.loads(plan.preconditions[_KEPT]), _NONE)
    if now == plan.preconditions:
        return Outcome(result=Result.FAILED, message=f"{one.ref} is as it was. Nothing was changed.")
    message = f"{one.ref} is not as it was, and bears no mark of this run."
    return Outcome(result=Result.UNKNOWN, message=message)


def _write(one: ApplicationState, run: str, steps: Sequence[Mapping[str, object]], kept: str | None) -> None:
    """One patch, which fails as a whole where anybody has changed the application's spec meanwhile."""
    patch = [
        {"op": "test", "path": "/metadata/uid", "value": one.application["metadata"]["uid"]},
        {"op": "test", "path": "/spec", "value": one.application["spec"]},
        *steps,
        *run_markers.annotation_patch(one.application, {**run_markers.annotation(run), REMEMBERED: kept}),
    ]
    if one.site.argocd is not None:
        one.site.argocd.patch(one.application, patch)
    else:
        one.site.cluster.patch(one.ref, patch, how=PatchType.JSON, by=run_markers.field_manager(run))


def _over(one: ApplicationState, policy: Mapping[str, Any], kept: str) -> Outcome:
    """Read once more: whoever generates applications sets them back at once, and then it does not hold."""
    left = {_POLICY: _ordered(policy), _KEPT: kept}
    message = _said(one, on=kept == _NONE)
    try:
        now = _again(one)
    except Rejected:
        return Outcome(result=Result.DONE, message=message, expected_state=left)
    held = now is not None and _ordered(argocd_application.policy(now)) == left[_POLICY]
    unwell = "" if held else f"{one.ref} was changed again at once by somebody else. Whoever makes it has to be asked."
    return Outcome(result=Result.DONE, message=message, degraded=unwell, expected_state=left)


def _again(one: ApplicationState) -> KubernetesObject | None:
    if one.site.argocd is not None:
        return one.site.argocd.application(one.ref.name, one.ref.namespace)
    return one.site.cluster.get(one.ref)


def _said(one: ApplicationState, *, on: bool) -> str:
    return f"{one.ref} {'syncs by itself again' if on else 'no longer syncs by itself'}."


def _remembered(one: ApplicationState) -> Mapping[str, Any]:
    """What is to be put back. Raises `Rejected` where nothing is, or somebody has changed the policy since."""
    if not one.remembered:
        message = f"The bot has not paused {one.ref}, so that it has nothing to put back. Nothing was done."
        hint = f"By hand: `argocd app set {one.ref.name} --sync-policy automated`."
        raise Rejected(f"{message} {hint}", code="not_paused", status=HTTPStatus.CONFLICT)
    try:
        policy = json.loads(one.remembered)
    except ValueError:
        policy = None
    if not isinstance(policy, dict):
        message = f"What {one.ref} has in {REMEMBERED} is no policy: somebody has changed it. Nothing was done."
        raise Rejected(f"{message} Set its syncPolicy by hand.", code="not_paused", status=HTTPStatus.CONFLICT)
    if _ordered(argocd_application.policy(one.application)) != _ordered(_without(policy)):
        message = f"Somebody has changed the sync policy of {one.ref} since it was paused. Nothing was done."
        hint = f"Set it by hand, and take {REMEMBERED} away."
        raise Rejected(f"{message} {hint}", code="changed_since", status=HTTPStatus.CONFLICT)
    return policy


def _check(one: ApplicationState) -> None:
    place.check_not_going(one.ref, one.application)
    fight = owner_of_application(one.site, one.application)
    if fight is not None and fight.refuses:
        raise Rejected(fight.refusal, code="fought_over", status=HTTPStatus.CONFLICT)
    if one.site.argocd is None:
        place.check_rights(one.site, [place.patch_access(one.ref)])
    else:
        place.check_person(one.site, [place.patch_access(one.site.workload)])


def owner_of_application(target: ServiceTarget, application: KubernetesObject) -> conflict.GitOpsConflict | None:
    """Who keeps the application itself: an ApplicationSet, or an application of applications."""
    meta = application["metadata"]
    ref = ObjectRef(kind=kinds.APPLICATION, namespace=meta["namespace"], name=meta["name"])
    return conflict.gitops_conflict_over(target, application, owner_of(application, ref), "/spec/syncPolicy", ref=ref)


def _fought(one: ApplicationState) -> tuple[str, ...]:
    fight = owner_of_application(one.site, one.application)
    return () if fight is None else (fight.message,)


def _check_still(one: ApplicationState, plan: Plan) -> None:
    place.check_not_going(one.ref, one.application)
    now = _seen(one)
    moved = sorted(name for name, value in now.items() if plan.preconditions.get(name) != value)
    if moved:
        raise Conflict(f"{one.ref} was changed meanwhile: {', '.join(moved)}")


def _seen(one: ApplicationState) -> dict[str, str]:
    return {
        _AUTO: "on" if argocd_application.syncs_itself(one.application) else "off",
        _POLICY: _ordered(argocd_application.policy(one.application)),
        _KEPT: one.remembered or _NONE,
        _UID: one.application["metadata"]["uid"],
    }


def _without(policy: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in policy.items() if name != "automated"}


def _text(policy: Mapping[str, Any]) -> str:
    return json.dumps(policy, separators=(",", ":"), ensure_ascii=False)


def _ordered(policy: Mapping[str, Any]) -> str:
    """To be compared: no policy and an empty one are the same to Argo CD."""
    return json.dumps(policy, sort_keys=True)


def _spelled(application: KubernetesObject) -> str:
    automated = argocd_application.policy(application).get("automated") or {}
    heals = "self-heal" if automated.get("selfHeal") else "no self-heal"
    return f"{heals} and {'pruning' if automated.get('prune') else 'no pruning'}"
