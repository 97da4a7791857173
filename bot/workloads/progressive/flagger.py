"""Flagger promotes and rolls back by itself. At two of its gates it asks the bot, and an action opens one of them.

Nothing is written to the cluster. A gate is open for the revision that the plan saw, long enough for Flagger to ask a
few times (it asks about a blue-green canary twice), and the run that opened it closes it again.
https://docs.flagger.app/usage/webhooks#manual-gating; pkg/controller/scheduler.go of flagger 1.44
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from bot.core.errors import Conflict, Rejected
from bot.core.flagger import Canary, GateCheck, GateHook, Gates, LastGateCheck
from bot.core.kubernetes import KubernetesObject, ObjectRef
from bot.core.plan import Outcome, Plan, Result
from bot.core.site import ServiceTarget
from bot.lib.text import spell_duration
from bot.workloads.objects import kinds, pod_template
from bot.workloads.objects import target as targets
from bot.workloads.objects.status import WorkloadStatus, condition, status_count
from bot.workloads.objects.strategy import STRATEGY, StrategyRequest
from bot.workloads.objects.wait import wait_until_ready

_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_USUAL, _SHORTEST, _DEADLINE_S = timedelta(minutes=1), timedelta(seconds=10), 600
_OPEN = timedelta(minutes=10)
#: In the first phases Flagger asks; in the second its promotion has begun.
_ASKING, _PROMOTING = ("Progressing", "Waiting", "WaitingPromotion"), ("Promoting", "Finalising")


@dataclass(frozen=True, kw_only=True)
class FlaggerGateStrategy:
    """One gate as a strategy: `PROMOTION` for `promote`, `ROLLBACK` for `abort`."""

    hook: GateHook
    name = "flagger"

    def plan(self, request: StrategyRequest) -> Plan:
        thing = _lasting(request)
        asked = self._asked(request, thing)
        _check_person(request.site, thing)
        promotes = self.hook is GateHook.PROMOTION
        return Plan(
            target=request.service,
            effect=tuple(_promoted(request, thing) if promotes else _taken_back(request, thing)),
            blast_radius=f"{_ref(thing)} on cluster {request.site.cluster.name}",
            preconditions={STRATEGY: self.name, **_facts(thing), "revision": asked.revision},
            hidden=(STRATEGY, "uid", "spec", "revision"),
            check=request.site.check,
            check_duration=request.site.check_duration,
        )

    def run(self, request: StrategyRequest, plan: Plan, run: str) -> Outcome:
        thing = _lasting(request)
        gates, asked = _gates(request), self._asked(request, thing)
        now = {**_facts(thing), "revision": asked.revision}
        changed = [
            f"{name}: {plan.preconditions[name]} -> {value}"
            for name, value in now.items()
            if plan.preconditions[name] != value
        ]
        question = GateCheck(canary=_key(request.site, thing), hook=self.hook, revision=asked.revision)
        if changed or not gates.open(question, run=run, lasts=_lasts(thing)):
            raise Conflict("; ".join(changed) or "Flagger asks about another revision now")
        return self._watched(request, plan, run, thing)

    def _watched(self, request: StrategyRequest, plan: Plan, run: str, thing: KubernetesObject) -> Outcome:
        """Waits from the moment at which the gate is open."""
        try:
            reason = wait_until_ready(
                request.site, request.tools, lambda _: self._progress(request, plan, run), timeout=_patience(thing)
            )
        finally:
            passed = _gates(request).close(run)
        if not passed:
            message = reason or "Flagger continued without asking."
            return Outcome(result=Result.FAILED, message=f"{message} The gate is closed again. Nothing was changed.")
        message = "was promoted" if self.hook is GateHook.PROMOTION else "was rolled back"
        return Outcome(
            result=Result.DONE,
            message=f"{_ref(thing)}: Flagger passed the gate{'' if reason else f', and the new version {message}'}.",
            degraded=reason,
        )

    def probe(self, request: StrategyRequest, plan: Plan, run: str) -> Outcome:
        """By its gate: if that is still open, or was passed, the wait resumes."""
        opened = _gates(request).opened(run)
        is_open = opened is not None and not opened.closed and opened.until > request.tools.now()
        if opened is not None and (opened.passed or is_open):
            return self._watched(request, plan, run, _canary(request.site))
        message = "was not opened" if opened is None else "was closed before Flagger asked"
        return Outcome(result=Result.FAILED, message=f"The gate {message}. Nothing was changed.")

    def _asked(self, request: StrategyRequest, thing: KubernetesObject) -> LastGateCheck:
        """Flagger's current question. Raises `Rejected` if it does not ask."""
        gates = _gates(request)
        if request.wanted:
            message = f"Flagger follows its own analysis, so {request.wanted} cannot be chosen. Nothing was done."
            raise Rejected(f"{message} Use the verb with the service alone.", code="bad_wish")
        _check_gated(thing, self.hook)
        if _phase(thing) not in _ASKING:
            raise _refused(f"{_ref(thing)} is {_phase(thing)}: no new version is in progress.", "nothing_under_way")
        asked = gates.last_check(_key(request.site, thing), self.hook)
        if asked is None or request.tools.now() - asked.at > 2 * _interval(thing) + _USUAL:
            when = "It asks when its analysis is over" if self.hook is GateHook.PROMOTION else "See its events"
            raise _refused(
                f"Flagger does not ask at the gate {self.hook} now; {_ref(thing)} is {_how(thing)}.", "not_asked", when
            )
        return asked

    def _progress(self, request: StrategyRequest, plan: Plan, run: str) -> WorkloadStatus:
        thing = _canary(request.site)
        phase, goal = _phase(thing), "Succeeded" if self.hook is GateHook.PROMOTION else "Failed"
        if phase == goal:
            return WorkloadStatus(message=phase, done=True)
        if phase in ("Succeeded", "Failed"):
            reason = str(condition(thing, "Promoted").get("message", "")).rstrip(".")
            return WorkloadStatus(
                message=phase, failed=f"Flagger ended with the opposite: {phase}{f', {reason}' if reason else ''}."
            )
        if _facts(thing) != {name: plan.preconditions[name] for name in _facts(thing)}:
            return WorkloadStatus(
                message="restarted", failed="Another version was deployed meanwhile, so the analysis starts anew."
            )
        reason = _shut(request, run, _lasts(thing))
        if reason:
            return WorkloadStatus(message="not asked", failed=reason)
        if self.hook is GateHook.ROLLBACK and phase in _PROMOTING:
            return WorkloadStatus(message=phase, failed="Its promotion has begun: Flagger no longer asks.")
        return WorkloadStatus(message=_how(thing))


#: `promote` and `abort` of Flagger's canaries.
PROMOTION, ROLLBACK = FlaggerGateStrategy(hook=GateHook.PROMOTION), FlaggerGateStrategy(hook=GateHook.ROLLBACK)


def _shut(request: StrategyRequest, run: str, lasts: timedelta) -> str:
    """Why the gate is no longer open though Flagger has not passed it; "" while it is open, and once it was passed."""
    opened = _gates(request).opened(run)
    if opened is None or opened.passed:
        return ""
    if opened.closed:
        return "The person who asked for this, or approved it, no longer has the right."
    return f"Flagger has not asked for {spell_duration(lasts)}." if opened.until <= request.tools.now() else ""


def canary_of(site: ServiceTarget) -> KubernetesObject | None:
    """The Canary that targets the service's workload."""
    for one in site.cluster.find(kinds.CANARY, site.workload.namespace):
        target = one["spec"].get("targetRef") or {}
        if (target.get("kind"), target.get("name")) == (site.workload.kind.title, site.workload.name):
            return one
    return None


def _canary(target: ServiceTarget) -> KubernetesObject:
    found = canary_of(target)
    if found is None:
        hint = f"`rollback {target.service}` goes back by its own revisions"
        raise _refused(f"No Canary of Flagger targets {target.workload}.", "no_canary", hint)
    return found


def _lasting(request: StrategyRequest) -> KubernetesObject:
    """As `_canary`, if neither it nor its target is being deleted."""
    found = _canary(request.site)
    targets.check_not_deleting(request.site, request.workload)
    targets.check_not_going(_ref(found), found)
    return found


def _gates(request: StrategyRequest) -> Gates:
    if request.tools.gates is None:
        where = f"Set clusters.{request.site.cluster.name}.flagger.tokens, and the webhooks of its Canary"
        raise _refused("Flagger does not ask this bot.", "no_gates", where)
    return request.tools.gates


def _check_gated(thing: KubernetesObject, hook: GateHook) -> None:
    """Checks that Flagger will ask at all."""
    spec, ref = thing["spec"], _ref(thing)
    if spec.get("suspend"):
        raise _refused(f"{ref} is suspended, so Flagger does nothing with it.", "suspended")
    if spec.get("skipAnalysis"):
        raise _refused(f"{ref} has skipAnalysis: Flagger promotes it at once, without asking.", "no_gate")
    hooks = _analysis(thing).get("webhooks") or ()
    ours = [one for one in hooks if one.get("type") == hook and f"/flagger/gate/{hook}" in str(one.get("url"))]
    if not ours:
        raise _refused(f"{ref} has no webhook {hook} that asks this bot.", "no_gate", "docs/operating.md shows one")


def _check_person(target: ServiceTarget, thing: KubernetesObject) -> None:
    """The bot writes nothing there, but the person who asks must have the right to."""
    targets.check_person(target, [targets.patch_access(_ref(thing))])


def _promoted(request: StrategyRequest, thing: KubernetesObject) -> Iterator[str]:
    primary = _primary(request.site)
    yield f"Flagger may promote {_ref(thing)}: this one revision, within {spell_duration(_lasts(thing))}."
    yield f"There is no undo: `rollback {request.service}` starts a new canary of the old version, with its analysis."
    yield f"Flagger copies it to {primary}, which gets all the traffic, and scales {request.site.workload} to 0."
    yield from _differences(request, primary)


def _taken_back(request: StrategyRequest, thing: KubernetesObject) -> Iterator[str]:
    primary = _primary(request.site)
    yield f"Flagger rolls {_ref(thing)} back: all traffic to {primary}, {request.site.workload} scaled to 0."
    yield "There is no undo: the new version stays in the template, and is tried again only when that changes."
    yield from _differences(request, primary)


def _differences(request: StrategyRequest, primary: ObjectRef) -> Iterator[str]:
    """How the canary differs from the primary."""
    found = request.site.cluster.get(primary)
    if found is None:
        raise _refused(f"There is no {primary}: Flagger creates it when it initializes the canary.", "no_primary")
    lines = pod_template.differences(found["spec"]["template"], request.workload["spec"]["template"])
    yield from (f"From the primary to the canary, {line}." for line in lines)


def _primary(target: ServiceTarget) -> ObjectRef:
    ref = target.workload
    return ObjectRef(kind=ref.kind, namespace=ref.namespace, name=f"{ref.name}-primary")


def _facts(thing: KubernetesObject) -> dict[str, str]:
    spec = (thing.get("status") or {}).get("lastAppliedSpec")
    return {"uid": str(thing["metadata"]["uid"]), "spec": str(spec or "")}


def _phase(thing: KubernetesObject) -> str:
    return str((thing.get("status") or {}).get("phase") or "not started")


def _how(thing: KubernetesObject) -> str:
    """Its progress. Only in the phase Progressing does the status have the weight; while it waits, it says 0."""
    phase, failed = _phase(thing), status_count(thing, "failedChecks")
    weight = f", {status_count(thing, 'canaryWeight')}% of the traffic" if phase == "Progressing" else ""
    return f"{phase}{weight}{f', {failed} failed checks' if failed else ''}"


def _ref(thing: KubernetesObject) -> ObjectRef:
    meta = thing["metadata"]
    return ObjectRef(kind=kinds.CANARY, namespace=meta["namespace"], name=meta["name"])


def _key(target: ServiceTarget, thing: KubernetesObject) -> Canary:
    meta = thing["metadata"]
    return Canary(cluster=target.cluster.name, namespace=meta["namespace"], name=meta["name"])


def _analysis(thing: KubernetesObject) -> Mapping[str, Any]:
    spec = thing["spec"]
    return dict(spec.get("analysis") or spec.get("canaryAnalysis") or {})


def _interval(thing: KubernetesObject) -> timedelta:
    """How often Flagger checks and asks; it accepts no less than 10 s."""
    parts = _SPAN.findall(str(_analysis(thing).get("interval") or ""))
    message = timedelta(seconds=sum(float(count) * _UNITS[unit] for count, unit in parts))
    return max(message, _SHORTEST) if message else _USUAL


def _lasts(thing: KubernetesObject) -> timedelta:
    return max(_OPEN, 4 * _interval(thing))


def _patience(thing: KubernetesObject) -> timedelta:
    """Time for Flagger's question, then one interval per step of the weight, and for the primary to become ready."""
    step = int(_analysis(thing).get("stepWeightPromotion") or 100)
    deadline = timedelta(seconds=int(thing["spec"].get("progressDeadlineSeconds") or _DEADLINE_S))
    return _lasts(thing) + deadline + _interval(thing) * (2 - -100 // step)


def _refused(message: str, code: str, hint: str = "") -> Rejected:
    return Rejected(f"{message} Nothing was done.{f' {hint}.' if hint else ''}", code=code, status=HTTPStatus.CONFLICT)
