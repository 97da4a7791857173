"""What a plan to roll a release back has to say, and why one is refused: the release's versions against what is live.

A three-way merge, which Helm 3 does and Helm 4 for what Helm 3 installed, overwrites whatever differs without a word; a
server-side apply stops at the first field that somebody else holds, half-way. So both are looked for beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from bot.clusters import Ref, Thing
from bot.ports import Rejected
from bot.releases import Helm
from bot.workloads import autoscalers, grants, helm, helm_objects, holding, kinds, marks, place, status
from bot.workloads.helm import Choice, Release
from bot.workloads.helm_objects import Conflict, Installed
from bot.workloads.ways import Case

_REPLICAS = ".spec.replicas"
_COUNTED = (kinds.DEPLOYMENT, kinds.STATEFULSET, kinds.ROLLOUT)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """What stands in the way of a rollback, or is lost by it."""

    conflicts: tuple[Conflict, ...]
    handed: bool  #: whether the bot holds the workload's replicas beside Helm, whose value it is by now
    kept: str  #: how many replicas are set again; "" where that was not asked for, or is not needed
    lines: tuple[str, ...]  #: for the plan, a sentence each

    @property
    def forced(self) -> bool:
        """Whether it takes `--force-conflicts`."""
        return bool(self.conflicts)


def refuse_under_way(case: Case, kept: Sequence[Release]) -> None:
    """Raises `Rejected` where somebody may be at work on it: who waits for what, and who need not."""
    now = case.tools.now()
    for one in kept:
        if helm.under_way(one, now):
            since = f", begun {one.at:%H:%M} UTC" if one.at else ""
            said = f"Somebody is at work on release {case.owner.name}: {one}{since}. Nothing was done."
            raise Rejected(f"{said} {_if_killed(case, kept, one)}", code="under_way", status=HTTPStatus.CONFLICT)


def _if_killed(case: Case, kept: Sequence[Release], pending: Release) -> str:
    """What a person may do: Helm keeps no sign of life, so that nobody but a person can tell a killed one early."""
    again = "It does not say since when, so this bot never takes it for stuck."
    if pending.at is not None:
        stuck = f"{pending.at + helm.UNDER_WAY:%H:%M} UTC"
        again = f"From {stuck} on this bot takes it for stuck: say the same words again then."
    goal = next((one for one in reversed(kept) if one.status in helm.GOOD), None)
    if goal is None:
        return f"Wait for its end. {again}"
    now = (
        f"Before that, whoever has Helm (3.22, 4.2 or newer) and the rights in namespace {case.owner.namespace} ends it"
    )
    now += f" by `{by_hand(case, goal.version)}`, once sure that no helm still runs."
    return f"Wait for its end. If that helm was killed: {again[:1].lower()}{again[1:]} {now}"


def by_hand(case: Case, version: int) -> str:
    """The command for a person with Helm's program."""
    return f"helm rollback {case.owner.name} {version} --namespace {case.owner.namespace}"


def until(one: Release) -> str:
    """How a version that is left pending comes to its end by the bot."""
    if one.at is None:
        return ""
    return f" from {one.at + helm.UNDER_WAY:%H:%M} UTC on"


def ground_of(case: Case, choice: Choice, program: Helm) -> Ground:
    """Raises `Rejected` where Helm would stop half-way."""
    goal = choice.goal
    objects = helm_objects.installed(case.site.cluster, goal, case.owner.namespace)
    _refuse_dropped(case, choice, objects, program)
    found: Sequence[Conflict] = []
    lines: list[str] = []
    if goal.method == "ssa" and helm.applies_on_server(program.version(), goal):
        found, unseen = helm_objects.conflicts(case.site.cluster, objects, case.owner)
        lines += [f"Whether Helm stops half-way at these is not known: {', '.join(unseen)}."] if unseen else []
    handed = bool(found) and helm.MANAGER in holding.heirs(case.thing, [("spec", "replicas")])
    if handed:
        found = [one for one in found if not (_is_count(case, one) and marks.run_of(one.who))]
    live = _live_replicas(case, goal)
    kept, why_not = _kept_replicas(case, live)
    open_ = [one for one in found if not (case.force or (kept and _is_count(case, one)))]
    if open_:
        raise _half_way(case, goal, open_)
    lines += [f"Taken by force: {one}." for one in found]
    lines += [f"Before that the bot gives up its hold on {_REPLICAS}, which Helm says itself by now."] if handed else []
    lines += [*why_not, *_lost(case, choice, objects, live, kept)]
    return Ground(conflicts=tuple(found), handed=handed, kept=kept, lines=tuple(lines))


def _is_count(case: Case, one: Conflict) -> bool:
    return one.ref == case.site.workload and one.field == _REPLICAS


def _half_way(case: Case, goal: Release, found: Sequence[Conflict]) -> Rejected:
    said = (
        f"Helm would stop half-way: {'; '.join(map(str, found))}, with another value than version {goal.version} has."
    )
    words = f"rollback {case.service} to {goal.version}"
    runs = [run for one in found if (run := marks.run_of(one.who))]
    ways = [f"`undo {runs[0][: marks.SHOWN]}` undoes that, and gives the field back."] if runs else []
    if all(_is_count(case, one) for one in found) and not marks.is_autoscaled(case.thing):
        ways.append(f"`{words} replicas keep` leaves the count as it is.")
    ways.append(f"`{words} conflicts force` overwrites what the others have set.")
    return Rejected(f"{said} Nothing was done. {' '.join(ways)}", code="conflict", status=HTTPStatus.CONFLICT)


def _refuse_dropped(case: Case, choice: Choice, objects: Sequence[Installed], program: Helm) -> None:
    """Raises `Rejected` where that Helm cannot go back over what its newest version no longer names."""
    names = helm.dropped(choice.now, choice.goal)
    there = helm_objects.standing(case.site.cluster, [one for one in objects if helm.called(one.thing) in names])
    if not there:
        return
    version = program.version()
    if helm.goes_over_dropped(version):
        return
    now, namespace = choice.now, case.owner.namespace
    said = f"{now} no longer names {', '.join(map(str, there))}, which may still be there".replace(
        "version", "Version", 1
    )
    why = f"Helm {version[0]}.{version[1]} stops half-way at that; 3.22 and 4.2 do not."
    hint = f"Set clusters.{case.site.cluster.name}.helm to one of those and ask again."
    if now.is_pending or now.status == "failed":
        secret = f"sh.helm.release.v1.{case.owner.name}.v{now.version}"
        hint += f" Or somebody who may delete Secrets runs `kubectl delete secret {secret} --namespace {namespace}`,"
        hint += " by which Helm forgets that version, and asks again."
    raise Rejected(f"{said}: {why} Nothing was done. {hint}", code="old_helm", status=HTTPStatus.CONFLICT)


def _live_replicas(case: Case, goal: Release) -> str:
    ref = case.site.workload
    said = helm.replicas(goal, ref)
    live = status.wanted(case.thing)
    return "" if said is None or ref.kind not in _COUNTED or said == live else str(live)


def _kept_replicas(case: Case, live: str) -> tuple[str, list[str]]:
    """How many are kept, where that was asked for, or why none: no undo fails because nothing is left to keep."""
    if not case.keep:
        return "", []
    if not live:
        return "", [f"There is no count to keep: the older version says the one of {case.site.workload} now, or none."]
    place.check_rights(case.site, grants.keeping_replicas(case.site.workload))
    auto = autoscalers.autoscaler_of(case.site.cluster, case.site.workload)
    if auto is not None and not auto.frozen:
        return "", [f"{auto.ref} scales it, and decides how many there are after the rollback as well."]
    return live, []


def _lost(case: Case, choice: Choice, objects: Sequence[Installed], live: str, kept: str) -> list[str]:
    """What is live and in no version: it is overwritten, or set again."""
    lines = []
    for one in objects:
        thing = _read(case, one.ref)
        if thing is None:
            continue
        said = (one.thing.get("spec") or {}).get("replicas")
        if one.ref == case.site.workload and live:
            lines.append(_of_count(case, choice.goal, live, str(said), kept=bool(kept)))
        elif one.ref.kind in _COUNTED and said not in (None, status.wanted(thing)):
            who = marks.whose(thing, "spec", "replicas")
            lines.append(f"{one.ref} has {status.wanted(thing)} replicas now, set by {who}, and gets {said}.")
        lines += _images(choice, one, thing)
    return lines


def _images(choice: Choice, one: Installed, thing: Thing) -> Iterator[str]:
    """Containers that do not run what the newest version says: it stopped half-way, or somebody set them by hand."""
    called = helm.called(one.thing)
    before, after = helm.images_of(choice.now, called), helm.images(one.thing)
    for name, image in helm.images(thing).items():
        if name not in after or image == before.get(name):
            continue
        if image == after[name]:
            said = f"{image} already, as version {choice.goal.version} has it: version {choice.now.version}"
            yield f"{one.ref}, container {name}: runs {said} did not get that far."
            continue
        older = (held for held in choice.others if helm.images_of(held, called).get(name) == image)
        known = next((f"as version {held.version} has it" for held in older), "by no version of the release")
        yield f"{one.ref}, container {name}: runs {image} now, {known}; that goes."


def _of_count(case: Case, goal: Release, live: str, said: str, *, kept: bool) -> str:
    who, ref = marks.whose(case.thing, "spec", "replicas"), case.site.workload
    if kept:
        keeps = (
            f"{ref} keeps its {live} replicas, set by {who}: Helm sets {said}, and the bot sets {live} again at once."
            " Pods may go in between."
        )
        holds = f"The bot holds {_REPLICAS} from then on: until the values of the release say {live} as well, a `helm"
        holds += " upgrade` stops half-way at a conflict over it, unless that is forced."
        return f"{keeps} {holds}" if goal.method == "ssa" else keeps
    if case.keep:
        return f"{ref} has {live} replicas now, set by {who}, and Helm sets {said}."
    words = f"rollback {case.service} to {goal.version} replicas keep"
    return f"{ref} has {live} replicas now, set by {who}, and Helm sets {said}. `{words}` keeps them."


def _read(case: Case, ref: Ref) -> Thing | None:
    if ref == case.site.workload:
        return case.thing
    try:
        return case.site.cluster.get(ref) if ref.kind in kinds.WORKLOADS.values() else None
    except Rejected:
        return None
