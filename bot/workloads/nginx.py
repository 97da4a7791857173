"""A canary by ingress-nginx: an Ingress of its own sends a part of the traffic to a Deployment, by one annotation.

Nothing judges it and nothing moves it on; the bot takes it from weight to weight, and its undo is the old weight. The
value is a text. ingress-nginx is being retired, so this is for what still stands.
https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/#canary
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from bot.acting import Moved
from bot.acts import Ended, Outcome, Plan
from bot.clusters import How, Ref, Thing
from bot.ports import Rejected
from bot.workloads import kinds, marks, place
from bot.workloads.owners import NOBODY, By, owner_of
from bot.workloads.status import Standing, standing_of
from bot.workloads.watching import watched
from bot.workloads.ways import WAY, Case

_PREFIX = "nginx.ingress.kubernetes.io/"
_CANARY, _WEIGHT, _TOTAL = f"{_PREFIX}canary", f"{_PREFIX}canary-weight", f"{_PREFIX}canary-weight-total"
_STRONGER = tuple(f"{_PREFIX}canary-by-{name}" for name in ("header", "header-value", "header-pattern", "cookie"))
_STEPS = (10, 25, 50, 100)
_PATIENCE = timedelta(minutes=2)


class ByWeight:
    """From weight to weight: 10, 25, 50, 100 percent, or the one that was asked for."""

    name = "nginx"

    def plan(self, case: Case) -> Plan:
        found = _lasting(case)
        name, now = found["metadata"]["name"], weight_of(found)
        wanted = _wanted(case, now)
        self._check(case, found)
        ready = standing_of(kinds.DEPLOYMENT, case.thing)
        if wanted > now and not ready.done:
            said = f"{case.site.workload} is not ready for more traffic: {ready.said}. Nothing was done."
            raise Rejected(f"{said} Wait for its pods.", code="not_available", status=409)
        words = f"promote {case.service} {now}%"
        return Plan(
            target=case.service,
            effect=(*_effect(case, found, now, wanted), f"`{words}` brings back what it was."),
            radius=f"Ingress {case.site.workload.namespace}/{name} on cluster {case.site.cluster.name}",
            seen={WAY: self.name, "uid": found["metadata"]["uid"], "ingress": name, "weight": f"{now}%"},
            private=(WAY, "uid"),
            undo=words,
            check=case.site.check,
            within=case.site.within,
        )

    def run(self, case: Case, plan: Plan, run: str) -> Outcome:
        found = _lasting(case)
        now = weight_of(found)
        if (found["metadata"]["uid"], f"{now}%") != (plan.seen["uid"], plan.seen["weight"]):
            raise Moved(f"weight: {plan.seen['weight']} -> {now}%")
        wanted = _wanted(case, now)
        notes = {**marks.annotation(run), _WEIGHT: _written(found, wanted)}
        patch = {"metadata": {"resourceVersion": found["metadata"]["resourceVersion"], "annotations": notes}}
        case.site.cluster.patch(_ref(case, found), patch, how=How.MERGE, by=marks.manager(run))
        return self._watched(case, wanted)

    def probe(self, case: Case, plan: Plan, run: str) -> Outcome:
        found = _canary(case)
        now, wanted = weight_of(found), _wanted(case, int(plan.seen["weight"].rstrip("%")))
        if marks.written_by(found, run):
            return self._watched(case, wanted)
        if f"{now}%" == plan.seen["weight"]:
            return Outcome(ended=Ended.FAILED, said="The weight is as the plan saw it. Nothing was changed.")
        return Outcome(ended=Ended.UNKNOWN, said=f"The weight is {now}%, and nothing says who set it. Look at it.")

    def _watched(self, case: Case, wanted: int) -> Outcome:
        why = watched(case.site, case.tools, lambda thing: self._holds(case, thing, wanted), patience=_PATIENCE)
        said = f"{wanted}% of the traffic goes to {case.site.workload.name}."
        return Outcome(ended=Ended.DONE, said=said, unwell=why, left={"weight": f"{wanted}%"})

    def _check(self, case: Case, found: Thing) -> None:
        ref = _ref(case, found)
        owner = owner_of(found, ref)
        if owner.by in (By.ARGOCD, By.FLUX) and owner.sure:
            said = f"{ref} is kept by {owner}, which would take that back. Nothing was done."
            raise Rejected(f"{said} Change the weight where it comes from.", code="owned", status=409)
        place.check_rights(case.site, [place.changing(ref)])

    def _holds(self, case: Case, thing: Thing, wanted: int) -> Standing:
        now = weight_of(_canary(case))
        if now != wanted:
            return Standing(said="taken back", failed=f"Somebody has set the weight to {now}% since.")
        pods = standing_of(kinds.DEPLOYMENT, thing)
        return Standing(said=f"{wanted}% of the traffic; {pods.said}", done=pods.done, failed=pods.failed)


def canary_of(case: Case) -> Thing | None:
    """The canary Ingress that sends traffic to this Deployment."""
    cluster, namespace = case.site.cluster, case.site.workload.namespace
    ingresses = [one for one in cluster.find(kinds.INGRESS, namespace) if _note(one, _CANARY) == "true"]
    if not ingresses:
        return None
    labels = (case.thing["spec"]["template"].get("metadata") or {}).get("labels") or {}
    services = {
        one["metadata"]["name"]
        for one in cluster.find(kinds.SERVICE, namespace)
        if (one["spec"].get("selector") or {}).items() and (one["spec"]["selector"]).items() <= labels.items()
    }
    return next((one for one in ingresses if services & set(_backends(one))), None)


def weight_of(ingress: Thing) -> int:
    """In percent, whatever the total is."""
    said, total = _note(ingress, _WEIGHT), _note(ingress, _TOTAL)
    return round(100 * int(said) / _total(total)) if said.isdigit() else 0


def _canary(case: Case) -> Thing:
    found = canary_of(case)
    if found is None:
        said = f"No canary Ingress sends traffic to {case.site.workload} any more. Nothing was done."
        raise Rejected(said, code="no_canary", status=404)
    if _kept(case, found):
        said = f"Ingress {found['metadata']['name']} belongs to {_kept(case, found)}, which sets its weight."
        raise Rejected(f"{said} Nothing was done. Promote that.", code="owned", status=409)
    return found


def _lasting(case: Case) -> Thing:
    """As `_canary`, where neither that nor the workload is being deleted."""
    found = _canary(case)
    place.check_stays(case.site, case.thing)
    place.check_not_going(_ref(case, found), found)
    return found


def _kept(case: Case, found: Thing) -> str:
    """The Rollout or Canary that writes this annotation itself; "" where there is none."""
    owners = found["metadata"].get("ownerReferences") or ()
    for one in owners:
        if one.get("kind") in ("Rollout", "Canary"):
            return f"{one['kind']} {one['name']}"
    owner = owner_of(found, _ref(case, found))
    return str(owner) if owner is not NOBODY and owner.by is By.OPERATOR else ""


def _wanted(case: Case, now: int) -> int:
    if case.wish.endswith("%"):
        wanted = int(case.wish.rstrip("%"))
        if wanted == now:
            raise Rejected(f"It has {now}% of the traffic already. Nothing was done.", code="same_weight", status=409)
        return wanted
    if now >= _STEPS[-1]:
        said = f"{case.service} has all of the traffic. Nothing was done."
        raise Rejected(f"{said} `promote {case.service} 0%` takes it away.", code="not_updating", status=409)
    return _STEPS[-1] if case.wish else next(one for one in _STEPS if one > now)


def _effect(case: Case, found: Thing, now: int, wanted: int) -> Iterator[str]:
    name = found["metadata"]["name"]
    yield f"The canary Ingress {name} sends {wanted}% of the traffic to {case.site.workload.name}; now it is {now}%."
    following = [f"{one}%" for one in _STEPS if one > wanted]
    if following and wanted > now:
        yield f"After that: {', '.join(following)}, one at a time."
    if any(_note(found, name) for name in _STRONGER):
        yield "Requests with its header or cookie go there whatever the weight is."
    yield "Nothing judges it by itself but the service's own check, where it has one."


def _written(found: Thing, percent: int) -> str:
    return str(round(percent * _total(_note(found, _TOTAL)) / 100))


def _total(said: str) -> int:
    return int(said) if said.isdigit() and int(said) else 100


def _backends(ingress: Thing) -> Iterator[str]:
    for rule in ingress["spec"].get("rules") or ():
        for one in (rule.get("http") or {}).get("paths") or ():
            yield str(((one.get("backend") or {}).get("service") or {}).get("name", ""))
    yield str(((ingress["spec"].get("defaultBackend") or {}).get("service") or {}).get("name", ""))


def _note(ingress: Thing, name: str) -> str:
    return str((ingress["metadata"].get("annotations") or {}).get(name, ""))


def _ref(case: Case, found: Thing) -> Ref:
    return Ref(kind=kinds.INGRESS, namespace=case.site.workload.namespace, name=found["metadata"]["name"])
