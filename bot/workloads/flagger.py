"""Flagger promotes and takes back by itself; at two of its gates it asks the bot, and an action opens one of them.

Nothing is written to the cluster. What is opened is open for the revision that the plan saw, for as long as Flagger
needs to ask a few times (a blue-green canary is asked about twice), and shut again by the run that opened it.
https://docs.flagger.app/usage/webhooks#manual-gating; pkg/controller/scheduler.go of flagger 1.44
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from bot.acting import Moved
from bot.acts import Ended, Outcome, Plan
from bot.canaries import Asked, Canary, Gates, Hook, Question
from bot.clusters import Ref, Thing
from bot.kinds import spell
from bot.ports import Rejected
from bot.sites import Site
from bot.workloads import kinds, place, templates
from bot.workloads.status import Standing, condition, counted
from bot.workloads.watching import watched
from bot.workloads.ways import WAY, Case

_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_USUAL, _SHORTEST, _DEADLINE_S = timedelta(minutes=1), timedelta(seconds=10), 600
_OPEN = timedelta(minutes=10)
#: In these it asks, and no promotion has begun.
_ASKING, _PROMOTING = ("Progressing", "Waiting", "WaitingPromotion"), ("Promoting", "Finalising")


@dataclass(frozen=True, kw_only=True)
class ByGate:
    """One gate as a way: `PROMOTION` for `promote`, `ROLLBACK` for `abort`."""

    hook: Hook
    name = "flagger"

    def plan(self, case: Case) -> Plan:
        thing = _lasting(case)
        asked = self._asked(case, thing)
        _check_person(case.site, thing)
        promotes = self.hook is Hook.PROMOTION
        return Plan(
            target=case.service,
            effect=tuple(_promoted(case, thing) if promotes else _taken_back(case, thing)),
            radius=f"{_ref(thing)} on cluster {case.site.cluster.name}",
            seen={WAY: self.name, **_facts(thing), "revision": asked.revision},
            private=(WAY, "uid", "spec", "revision"),
            check=case.site.check,
            within=case.site.within,
        )

    def run(self, case: Case, plan: Plan, run: str) -> Outcome:
        thing = _lasting(case)
        gates, asked = _gates(case), self._asked(case, thing)
        now = {**_facts(thing), "revision": asked.revision}
        moved = [f"{name}: {plan.seen[name]} -> {value}" for name, value in now.items() if plan.seen[name] != value]
        question = Question(canary=_key(case.site, thing), hook=self.hook, revision=asked.revision)
        if moved or not gates.open(question, run=run, lasts=_lasts(thing)):
            raise Moved("; ".join(moved) or "Flagger asks about another revision by now")
        return self._watched(case, plan, run, thing)

    def _watched(self, case: Case, plan: Plan, run: str, thing: Thing) -> Outcome:
        """From the moment at which its gate is open."""
        try:
            why = watched(case.site, case.tools, lambda _: self._standing(case, plan, run), patience=_patience(thing))
        finally:
            passed = _gates(case).close(run)
        if not passed:
            said = why or "Flagger went on without asking."
            return Outcome(ended=Ended.FAILED, said=f"{said} The gate is shut again. This run has changed nothing.")
        said = "was promoted" if self.hook is Hook.PROMOTION else "was taken back"
        return Outcome(
            ended=Ended.DONE,
            said=f"{_ref(thing)}: Flagger was told yes{'' if why else f', and it {said}'}.",
            unwell=why,
        )

    def probe(self, case: Case, plan: Plan, run: str) -> Outcome:
        """By its gate: what is still open there, or was passed, is watched on."""
        opened = _gates(case).opened(run)
        is_open = opened is not None and not opened.closed and opened.until > case.tools.now()
        if opened is not None and (opened.passed or is_open):
            return self._watched(case, plan, run, _canary(case.site))
        said = "was not opened" if opened is None else "was shut before Flagger asked"
        return Outcome(ended=Ended.FAILED, said=f"The gate {said}. Nothing was changed.")

    def _asked(self, case: Case, thing: Thing) -> Asked:
        """What Flagger asks now. Raises `Rejected` where it does not ask."""
        gates = _gates(case)
        if case.wish:
            said = f"Flagger goes by its own analysis, so that {case.wish} cannot be chosen. Nothing was done."
            raise Rejected(f"{said} Say the verb with the service alone.", code="bad_wish")
        _check_gated(thing, self.hook)
        if _phase(thing) not in _ASKING:
            raise _refused(f"{_ref(thing)} is {_phase(thing)}: there is no new version under way.", "nothing_under_way")
        asked = gates.asked(_key(case.site, thing), self.hook)
        if asked is None or case.tools.now() - asked.at > 2 * _interval(thing) + _USUAL:
            when = "It asks when its analysis is over" if self.hook is Hook.PROMOTION else "See its events"
            raise _refused(
                f"Flagger does not ask at the gate {self.hook} now; {_ref(thing)} is {_how(thing)}.", "not_asked", when
            )
        return asked

    def _standing(self, case: Case, plan: Plan, run: str) -> Standing:
        thing = _canary(case.site)
        phase, goal = _phase(thing), "Succeeded" if self.hook is Hook.PROMOTION else "Failed"
        if phase == goal:
            return Standing(said=phase, done=True)
        if phase in ("Succeeded", "Failed"):
            why = str(condition(thing, "Promoted").get("message", "")).rstrip(".")
            return Standing(
                said=phase, failed=f"Flagger has ended it the other way: {phase}{f', {why}' if why else ''}."
            )
        if _facts(thing) != {name: plan.seen[name] for name in _facts(thing)}:
            return Standing(said="anew", failed="A new version came meanwhile, and its analysis begins anew.")
        why = _shut(case, run, _lasts(thing))
        if why:
            return Standing(said="not asked", failed=why)
        if self.hook is Hook.ROLLBACK and phase in _PROMOTING:
            return Standing(said=phase, failed="Its promotion has begun, and Flagger asks no more.")
        return Standing(said=_how(thing))


#: `promote` and `abort` of what Flagger keeps.
PROMOTION, ROLLBACK = ByGate(hook=Hook.PROMOTION), ByGate(hook=Hook.ROLLBACK)


def _shut(case: Case, run: str, lasts: timedelta) -> str:
    """Why the gate is no longer open, though Flagger was not told yes; "" while it is, or where it was."""
    opened = _gates(case).opened(run)
    if opened is None or opened.passed:
        return ""
    if opened.closed:
        return "Somebody who asked for this, or approved it, may not any more."
    return f"Flagger has not asked for {spell(lasts)}." if opened.until <= case.tools.now() else ""


def canary_of(site: Site) -> Thing | None:
    """The Canary whose target the service's workload is."""
    for one in site.cluster.find(kinds.CANARY, site.workload.namespace):
        target = one["spec"].get("targetRef") or {}
        if (target.get("kind"), target.get("name")) == (site.workload.kind.title, site.workload.name):
            return one
    return None


def _canary(site: Site) -> Thing:
    found = canary_of(site)
    if found is None:
        hint = f"`rollback {site.service}` goes back by its own revisions"
        raise _refused(f"{site.workload} is the target of no Canary of Flagger.", "no_canary", hint)
    return found


def _lasting(case: Case) -> Thing:
    """As `_canary`, where neither that nor its target is being deleted."""
    found = _canary(case.site)
    place.check_stays(case.site, case.thing)
    place.check_not_going(_ref(found), found)
    return found


def _gates(case: Case) -> Gates:
    if case.tools.gates is None:
        where = f"Set clusters.{case.site.cluster.name}.flagger.tokens, and the webhooks of its Canary"
        raise _refused("Flagger does not ask this bot.", "no_gates", where)
    return case.tools.gates


def _check_gated(thing: Thing, hook: Hook) -> None:
    """Whether Flagger will ask at all."""
    spec, ref = thing["spec"], _ref(thing)
    if spec.get("suspend"):
        raise _refused(f"{ref} is suspended, so that Flagger does nothing with it.", "suspended")
    if spec.get("skipAnalysis"):
        raise _refused(f"{ref} has skipAnalysis: Flagger promotes it at once, without asking.", "no_gate")
    hooks = _analysis(thing).get("webhooks") or ()
    ours = [one for one in hooks if one.get("type") == hook and f"/flagger/gate/{hook}" in str(one.get("url"))]
    if not ours:
        raise _refused(f"{ref} has no webhook {hook} that asks this bot.", "no_gate", "docs/operating.md shows one")


def _check_person(site: Site, thing: Thing) -> None:
    """The bot writes nothing there; whoever asks has to be somebody who could."""
    place.check_person(site, [place.changing(_ref(thing))])


def _promoted(case: Case, thing: Thing) -> Iterator[str]:
    primary = _primary(case.site)
    yield f"Flagger is told that {_ref(thing)} may be promoted: yes to this one revision, for {spell(_lasts(thing))}."
    yield from _differences(case, primary)
    yield f"Flagger copies that to {primary}, which gets all the traffic, and scales {case.site.workload} to zero."
    yield f"There is no undo: `rollback {case.service}` makes what was before a new canary, with its own analysis."


def _taken_back(case: Case, thing: Thing) -> Iterator[str]:
    primary = _primary(case.site)
    yield f"Flagger is told to take {_ref(thing)} back: all traffic to {primary}, {case.site.workload} to zero."
    yield from _differences(case, primary)
    yield "The new version stays in its template, and is tried again only when that changes. There is no undo."


def _differences(case: Case, primary: Ref) -> Iterator[str]:
    """What the canary runs that the primary does not."""
    found = case.site.cluster.get(primary)
    if found is None:
        raise _refused(f"There is no {primary}, which Flagger makes when it begins.", "no_primary")
    lines = templates.differences(found["spec"]["template"], case.thing["spec"]["template"])
    yield from (f"From the primary to the canary, {line}." for line in lines)


def _primary(site: Site) -> Ref:
    ref = site.workload
    return Ref(kind=ref.kind, namespace=ref.namespace, name=f"{ref.name}-primary")


def _facts(thing: Thing) -> dict[str, str]:
    spec = (thing.get("status") or {}).get("lastAppliedSpec")
    return {"uid": str(thing["metadata"]["uid"]), "spec": str(spec or "")}


def _phase(thing: Thing) -> str:
    return str((thing.get("status") or {}).get("phase") or "not begun")


def _how(thing: Thing) -> str:
    """How far it is. Only while it progresses does its status tell the weight; where it waits, that says 0."""
    phase, failed = _phase(thing), counted(thing, "failedChecks")
    weight = f", {counted(thing, 'canaryWeight')}% of the traffic" if phase == "Progressing" else ""
    return f"{phase}{weight}{f', {failed} failed checks' if failed else ''}"


def _ref(thing: Thing) -> Ref:
    meta = thing["metadata"]
    return Ref(kind=kinds.CANARY, namespace=meta["namespace"], name=meta["name"])


def _key(site: Site, thing: Thing) -> Canary:
    meta = thing["metadata"]
    return Canary(cluster=site.cluster.name, namespace=meta["namespace"], name=meta["name"])


def _analysis(thing: Thing) -> Mapping[str, Any]:
    spec = thing["spec"]
    return dict(spec.get("analysis") or spec.get("canaryAnalysis") or {})


def _interval(thing: Thing) -> timedelta:
    """How often it looks, and asks; Flagger takes no less than ten seconds."""
    parts = _SPAN.findall(str(_analysis(thing).get("interval") or ""))
    said = timedelta(seconds=sum(float(count) * _UNITS[unit] for count, unit in parts))
    return max(said, _SHORTEST) if said else _USUAL


def _lasts(thing: Thing) -> timedelta:
    return max(_OPEN, 4 * _interval(thing))


def _patience(thing: Thing) -> timedelta:
    """Until it has asked, and then a step of the weight an interval, and what the primary may need to come up."""
    step = int(_analysis(thing).get("stepWeightPromotion") or 100)
    deadline = timedelta(seconds=int(thing["spec"].get("progressDeadlineSeconds") or _DEADLINE_S))
    return _lasts(thing) + deadline + _interval(thing) * (2 - -100 // step)


def _refused(said: str, code: str, hint: str = "") -> Rejected:
    return Rejected(f"{said} Nothing was done.{f' {hint}.' if hint else ''}", code=code, status=HTTPStatus.CONFLICT)
