"""Turns Argo CD's auto-sync of an application off and on again. The policy is remembered on the application.

One patch removes `automated` and writes the whole policy, as it was, into an annotation; another puts it back and
removes the annotation. That works in every version; `enabled: false` is silently dropped before 3.1.
The trap: once auto-sync is on again, git's state is applied, also over a rollback done meanwhile.
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
from bot.lib.text import spell_duration
from bot.workloads.gitops import conflict
from bot.workloads.objects import argocd_application, kinds, run_markers
from bot.workloads.objects import target as targets
from bot.workloads.objects.owners import ManagedBy, owner_of

#: The annotation on the application: its syncPolicy as JSON, put back byte for byte.
REMEMBERED = "vakhta.dev/sync-policy"
_AUTO, _POLICY, _KEPT, _UID, _NONE = "auto-sync", "policy", "remembered", "uid", "none"
_WORKLOADS = frozenset(one.title for one in kinds.WORKLOADS.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class ApplicationState:
    """The application of a service, as it was read."""

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
        objects = f"{len(resources)} object{'' if len(resources) == 1 else 's'}"
        return f"everything in {self.ref}: {objects}{f', among them {named}' if named else ''}"

    @property
    def remembered(self) -> str:
        return str((self.application["metadata"].get("annotations") or {}).get(REMEMBERED, ""))


def find_application(service: str, tools: Tools) -> ApplicationState:
    """Raises `Rejected` if Argo CD does not manage the service, or its application cannot be read."""
    target = targets.target_of(tools, service)
    owner = targets.owner_of(target, targets.workload_of(target))
    if owner.by is not ManagedBy.ARGOCD:
        instead = "" if owner.by is ManagedBy.NOBODY else f", but by {owner}"
        message = f"{target.workload} is not managed by Argo CD{instead}. Nothing was done."
        raise Rejected(message, code="no_application", status=HTTPStatus.CONFLICT)
    application = conflict.application_of(target, owner)
    if application is None:
        message = (
            f"{target.workload} is marked as managed by {owner}, which does not exist, or which the bot may not see."
            " Nothing was done."
        )
        hint = f"If Argo CD runs elsewhere, set clusters.{target.cluster.name}.argocd."
        raise Rejected(f"{message} {hint}", code="no_application", status=HTTPStatus.CONFLICT)
    argocd_application.check_has(application, target.workload)
    return ApplicationState(service=service, site=target, application=application)


def plan_off(one: ApplicationState, duration: timedelta) -> Plan:
    if not argocd_application.syncs_itself(one.application):
        message = f"Auto-sync of {one.ref} is off already. Nothing was done."
        raise Rejected(message, code="off_already", status=HTTPStatus.CONFLICT)
    _check(one)
    undo = f"by undo, and automatically after {spell_duration(duration)} unless kept" if duration else "by undo"
    effect = (
        f"Argo CD stops syncing {one.ref} by itself: new commits wait, and changes in the cluster stay.",
        f"The policy is put back {undo}. Then git's state is applied: commit by then what has to stay.",
        f"Until then the annotation {REMEMBERED} keeps the policy, byte for byte.",
        f"Now auto-sync is on, with {_policy_summary(one.application)}.",
        *_gitops_warning(one),
    )
    return Plan(
        target=one.service,
        effect=effect,
        blast_radius=one.radius,
        preconditions=_preconditions(one),
        hidden=(_POLICY, _KEPT, _UID),
        undo_command=f"autosync {one.service} on",
        undo_after=duration,
    )


def plan_on(one: ApplicationState) -> Plan:
    old = _remembered(one)
    _check(one)
    back = {**one.application, "spec": {**one.application["spec"], "syncPolicy": old}}
    return Plan(
        target=one.service,
        effect=(
            f"Argo CD syncs {one.ref} by itself again, with {_policy_summary(back)}, as before.",
            f"Undo: `autosync {one.service} off`.",
            "Git's state is applied to the whole application: at once with self-heal, else with the next commit.",
            *_gitops_warning(one),
        ),
        blast_radius=one.radius,
        preconditions=_preconditions(one),
        hidden=(_POLICY, _KEPT, _UID),
        undo_command=f"autosync {one.service} off",
    )


def run_off(one: ApplicationState, plan: Plan, run: str) -> Outcome:
    _check_still(one, plan)
    policy = argocd_application.policy(one.application)
    kept = _text(policy)
    _write(one, run, [{"op": "remove", "path": "/spec/syncPolicy/automated"}], kept)
    return _outcome(one, _without(policy), kept)


def run_on(one: ApplicationState, plan: Plan, run: str) -> Outcome:
    _check_still(one, plan)
    policy = _remembered(one)
    _write(one, run, [{"op": "add", "path": "/spec/syncPolicy", "value": policy}], None)
    return _outcome(one, policy, _NONE)


def probe(one: ApplicationState, plan: Plan, run: str) -> Outcome:
    """By the annotation that the patch wrote; without it, by whether everything is as the plan saw it."""
    now = _preconditions(one)
    if run_markers.written_by(one.application, run):
        if plan.preconditions[_AUTO] == "on":
            policy = json.loads(plan.preconditions[_POLICY])
            return _outcome(one, _without(policy), one.remembered or _text(policy))
        return _outcome(one, json.loads(plan.preconditions[_KEPT]), _NONE)
    if now == plan.preconditions:
        return Outcome(result=Result.FAILED, message=f"{one.ref} is as it was. Nothing was changed.")
    message = f"{one.ref} has changed, and does not have the mark of this run."
    return Outcome(result=Result.UNKNOWN, message=message)


def _write(one: ApplicationState, run: str, steps: Sequence[Mapping[str, object]], kept: str | None) -> None:
    """One patch, which fails as a whole if anybody has changed the application's spec meanwhile."""
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


def _outcome(one: ApplicationState, policy: Mapping[str, Any], kept: str) -> Outcome:
    """Reads the application once more: a generator of applications reverts the change at once."""
    left = {_POLICY: _ordered(policy), _KEPT: kept}
    message = _result_message(one, on=kept == _NONE)
    try:
        now = _read_again(one)
    except Rejected:
        return Outcome(result=Result.DONE, message=message, expected_state=left)
    held = now is not None and _ordered(argocd_application.policy(now)) == left[_POLICY]
    degraded = "" if held else f"Somebody reverted the change of {one.ref} at once. Change it where it is generated."
    return Outcome(result=Result.DONE, message=message, degraded=degraded, expected_state=left)


def _read_again(one: ApplicationState) -> KubernetesObject | None:
    if one.site.argocd is not None:
        return one.site.argocd.application(one.ref.name, one.ref.namespace)
    return one.site.cluster.get(one.ref)


def _result_message(one: ApplicationState, *, on: bool) -> str:
    return f"{one.ref}: auto-sync is {'on' if on else 'off'}."


def _remembered(one: ApplicationState) -> Mapping[str, Any]:
    """The policy to put back. Raises `Rejected` if there is none, or somebody has changed the policy since."""
    if not one.remembered:
        message = f"The bot has not paused {one.ref}, so it has no policy to put back. Nothing was done."
        hint = f"By hand: `argocd app set {one.ref.name} --sync-policy automated`."
        raise Rejected(f"{message} {hint}", code="not_paused", status=HTTPStatus.CONFLICT)
    try:
        policy = json.loads(one.remembered)
    except ValueError:
        policy = None
    if not isinstance(policy, dict):
        message = f"The annotation {REMEMBERED} of {one.ref} is no policy: somebody changed it. Nothing was done."
        raise Rejected(f"{message} Set its syncPolicy by hand.", code="not_paused", status=HTTPStatus.CONFLICT)
    if _ordered(argocd_application.policy(one.application)) != _ordered(_without(policy)):
        message = f"Somebody changed the sync policy of {one.ref} since it was paused. Nothing was done."
        hint = f"Set the policy by hand, and remove the annotation {REMEMBERED}."
        raise Rejected(f"{message} {hint}", code="changed_since", status=HTTPStatus.CONFLICT)
    return policy


def _check(one: ApplicationState) -> None:
    targets.check_not_going(one.ref, one.application)
    found = owner_of_application(one.site, one.application)
    if found is not None and found.refuses:
        raise Rejected(found.refusal, code="fought_over", status=HTTPStatus.CONFLICT)
    if one.site.argocd is None:
        targets.check_rights(one.site, [targets.patch_access(one.ref)])
    else:
        targets.check_person(one.site, [targets.patch_access(one.site.workload)])


def owner_of_application(target: ServiceTarget, application: KubernetesObject) -> conflict.GitOpsConflict | None:
    """The manager of the application itself: an ApplicationSet, or an application of applications."""
    meta = application["metadata"]
    ref = ObjectRef(kind=kinds.APPLICATION, namespace=meta["namespace"], name=meta["name"])
    return conflict.gitops_conflict_over(target, application, owner_of(application, ref), "/spec/syncPolicy", ref=ref)


def _gitops_warning(one: ApplicationState) -> tuple[str, ...]:
    found = owner_of_application(one.site, one.application)
    return () if found is None else (found.message,)


def _check_still(one: ApplicationState, plan: Plan) -> None:
    targets.check_not_going(one.ref, one.application)
    now = _preconditions(one)
    changed = sorted(name for name, value in now.items() if plan.preconditions.get(name) != value)
    if changed:
        raise Conflict(f"{one.ref} was changed meanwhile: {', '.join(changed)}")


def _preconditions(one: ApplicationState) -> dict[str, str]:
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
    """For comparisons: to Argo CD no policy and an empty one are the same."""
    return json.dumps(policy, sort_keys=True)


def _policy_summary(application: KubernetesObject) -> str:
    automated = argocd_application.policy(application).get("automated") or {}
    heals = "self-heal" if automated.get("selfHeal") else "no self-heal"
    return f"{heals} and {'pruning' if automated.get('prune') else 'no pruning'}"
