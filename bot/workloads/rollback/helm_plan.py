"""The findings for a plan to roll a release back: the release's versions against the cluster, and reasons to refuse.

A three-way merge (Helm 3; Helm 4 for releases that Helm 3 installed) silently overwrites every difference. A
server-side apply stops half-way, at the first field that somebody else owns. So both are checked beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from bot.core.errors import Rejected
from bot.core.helm import Helm
from bot.core.kubernetes import KubernetesObject, ObjectRef
from bot.workloads import rbac
from bot.workloads.objects import field_ownership, kinds, run_markers, status, target
from bot.workloads.objects.strategy import StrategyRequest
from bot.workloads.rollback import helm_history, helm_objects
from bot.workloads.rollback.helm_history import HelmChoice, Release
from bot.workloads.rollback.helm_objects import FieldConflict, ReleaseObject
from bot.workloads.scale import autoscalers

_REPLICAS = ".spec.replicas"
_COUNTED = (kinds.DEPLOYMENT, kinds.STATEFULSET, kinds.ROLLOUT)


@dataclass(frozen=True, kw_only=True, slots=True)
class RollbackFindings:
    """What prevents a rollback, or is lost by it."""

    conflicts: tuple[FieldConflict, ...]
    handed: bool  #: whether the bot owns the workload's replicas beside Helm, which now sets the same value
    kept: str  #: how many replicas are set again; "" if not asked for, or not needed
    lines: tuple[str, ...]  #: for the plan, a sentence each

    @property
    def forced(self) -> bool:
        """Whether it needs `--force-conflicts`."""
        return bool(self.conflicts)


def refuse_in_progress(request: StrategyRequest, kept: Sequence[Release]) -> None:
    """Raises `Rejected` if somebody may be at work on it, with what to wait for."""
    now = request.tools.now()
    for one in kept:
        if helm_history.in_progress(one, now):
            since = f", started {one.at:%H:%M} UTC" if one.at else ""
            message = (
                f"Another operation on release {request.owner.name} is in progress: {one}{since}. Nothing was done."
            )
            raise Rejected(f"{message} {_if_killed(request, kept, one)}", code="under_way", status=HTTPStatus.CONFLICT)


def _if_killed(request: StrategyRequest, kept: Sequence[Release], pending: Release) -> str:
    """What a person may do. Helm leaves no sign of life, so only a person can recognise a killed one early."""
    again = "Its start is unknown, so the bot never treats it as stuck."
    if pending.at is not None:
        stuck = f"{pending.at + helm_history.UNDER_WAY:%H:%M} UTC"
        again = f"From {stuck} on the bot treats it as stuck: repeat the command then."
    goal = next((one for one in reversed(kept) if one.status in helm_history.GOOD), None)
    if goal is None:
        return f"Wait until it ends. {again}"
    now = f"Sooner: once sure that no helm still runs, `{by_hand(request, goal.version)}`, with Helm 3.22, 4.2 or newer"
    now += f" and the rights in namespace {request.owner.namespace}."
    return f"Wait until it ends. If that helm was killed: {again[:1].lower()}{again[1:]} {now}"


def by_hand(request: StrategyRequest, version: int) -> str:
    """The command for a person with Helm's program."""
    return f"helm rollback {request.owner.name} {version} --namespace {request.owner.namespace}"


def until(one: Release) -> str:
    """From when on the bot can end a pending version: words that follow "ask for a rollback"."""
    if one.at is None:
        return ""
    return f" from {one.at + helm_history.UNDER_WAY:%H:%M} UTC on"


def findings_of(request: StrategyRequest, choice: HelmChoice, program: Helm) -> RollbackFindings:
    """Raises `Rejected` if Helm would stop half-way."""
    goal = choice.goal
    objects = helm_objects.release_objects(request.site.cluster, goal, request.owner.namespace)
    _refuse_dropped(request, choice, objects, program)
    found: Sequence[FieldConflict] = []
    lines: list[str] = []
    if goal.method == "ssa" and helm_history.applies_on_server(program.version(), goal):
        found, unseen = helm_objects.conflicts(request.site.cluster, objects, request.owner)
        lines += [f"It is unknown whether Helm stops half-way at these: {', '.join(unseen)}."] if unseen else []
    handed = bool(found) and run_markers.HELM in field_ownership.heirs(request.workload, [("spec", "replicas")])
    if handed:
        found = [one for one in found if not (_is_count(request, one) and run_markers.run_of(one.manager))]
    live = _live_replicas(request, goal)
    kept, why_not = _kept_replicas(request, live)
    open_ = [one for one in found if not (request.force or (kept and _is_count(request, one)))]
    if open_:
        raise _half_way(request, goal, open_)
    lines += [f"Overwritten by force: {one}." for one in found]
    lines += [f"Before that the bot gives up {_REPLICAS}, which Helm now sets itself."] if handed else []
    lines += [*why_not, *_lost(request, choice, objects, live, kept)]
    return RollbackFindings(conflicts=tuple(found), handed=handed, kept=kept, lines=tuple(lines))


def _is_count(request: StrategyRequest, one: FieldConflict) -> bool:
    return one.ref == request.site.workload and one.field == _REPLICAS


def _half_way(request: StrategyRequest, goal: Release, found: Sequence[FieldConflict]) -> Rejected:
    message = (
        f"Helm would stop half-way: {'; '.join(map(str, found))}, with another value than version {goal.version} has."
    )
    command = f"rollback {request.service} to {goal.version}"
    runs = [run for one in found if (run := run_markers.run_of(one.manager))]
    hints = [f"`undo {runs[0][: run_markers.SHOWN]}` undoes that, and gives the field back."] if runs else []
    if all(_is_count(request, one) for one in found) and not run_markers.is_autoscaled(request.workload):
        hints.append(f"`{command} replicas keep` keeps the count.")
    hints.append(f"`{command} conflicts force` overwrites the values of the others.")
    return Rejected(f"{message} Nothing was done. {' '.join(hints)}", code="conflict", status=HTTPStatus.CONFLICT)


def _refuse_dropped(
    request: StrategyRequest, choice: HelmChoice, objects: Sequence[ReleaseObject], program: Helm
) -> None:
    """Raises `Rejected` if that Helm cannot restore objects that the newest version dropped."""
    names = helm_history.dropped(choice.now, choice.goal)
    there = helm_objects.existing(
        request.site.cluster, [one for one in objects if helm_history.kind_and_name(one.thing) in names]
    )
    if not there:
        return
    version = program.version()
    if helm_history.goes_over_dropped(version):
        return
    now, namespace = choice.now, request.owner.namespace
    message = f"{now} no longer has {', '.join(map(str, there))}, which may still exist".replace(
        "version", "Version", 1
    )
    reason = f"Helm {version[0]}.{version[1]} stops half-way at that; 3.22 and 4.2 do not."
    hint = f"Set clusters.{request.site.cluster.name}.helm to one of those and ask again."
    if now.is_pending or now.status == "failed":
        secret = f"sh.helm.release.v1.{request.owner.name}.v{now.version}"
        hint += f" Or let somebody who may delete Secrets run `kubectl delete secret {secret} --namespace {namespace}`,"
        hint += " which makes Helm forget that version, and ask again."
    raise Rejected(f"{message}: {reason} Nothing was done. {hint}", code="old_helm", status=HTTPStatus.CONFLICT)


def _live_replicas(request: StrategyRequest, goal: Release) -> str:
    ref = request.site.workload
    message = helm_history.replicas(goal, ref)
    live = status.desired_replicas(request.workload)
    return "" if message is None or ref.kind not in _COUNTED or message == live else str(live)


def _kept_replicas(request: StrategyRequest, live: str) -> tuple[str, list[str]]:
    """The replicas to keep, or why none are: an undo must not fail because nothing is left to keep."""
    if not request.keep_replicas:
        return "", []
    if not live:
        return "", [
            f"There is no count to keep: the older version sets the present one of {request.site.workload}, or none."
        ]
    target.check_rights(request.site, rbac.keep_replicas_grants(request.site.workload))
    auto = autoscalers.autoscaler_of(request.site.cluster, request.site.workload)
    if auto is not None and not auto.frozen:
        return "", [f"{auto.ref} scales it, and decides the count after the rollback as well."]
    return live, []


def _lost(
    request: StrategyRequest, choice: HelmChoice, objects: Sequence[ReleaseObject], live: str, kept: str
) -> list[str]:
    """The live values that no version has: they are overwritten, or set again."""
    lines = []
    for one in objects:
        thing = _read(request, one.ref)
        if thing is None:
            continue
        message = (one.thing.get("spec") or {}).get("replicas")
        if one.ref == request.site.workload and live:
            lines.append(_of_count(request, choice.goal, live, str(message), kept=bool(kept)))
        elif one.ref.kind in _COUNTED and message not in (None, status.desired_replicas(thing)):
            who = run_markers.owner_name_of_field(thing, "spec", "replicas")
            lines.append(
                f"{one.ref} has {status.desired_replicas(thing)} replicas now, set by {who}, and gets {message}."
            )
        lines += _images(choice, one, thing)
    return lines


def _images(choice: HelmChoice, one: ReleaseObject, thing: KubernetesObject) -> Iterator[str]:
    """Containers with an image that the newest version does not set: it stopped half-way, or somebody set the image."""
    called = helm_history.kind_and_name(one.thing)
    before, after = helm_history.images_of(choice.now, called), helm_history.images(one.thing)
    for name, image in helm_history.images(thing).items():
        if name not in after or image == before.get(name):
            continue
        if image == after[name]:
            message = f"already runs {image} of version {choice.goal.version}"
            yield f"{one.ref}, container {name}: {message}; version {choice.now.version} was not applied to it."
            continue
        older = (held for held in choice.others if helm_history.images_of(held, called).get(name) == image)
        known = next((f"as in version {held.version}" for held in older), "which is in no version of the release")
        yield f"{one.ref}, container {name}: runs {image} now, {known}; that is overwritten."


def _of_count(request: StrategyRequest, goal: Release, live: str, message: str, *, kept: bool) -> str:
    who, ref = run_markers.owner_name_of_field(request.workload, "spec", "replicas"), request.site.workload
    if kept:
        keeps = (
            f"{ref} keeps its {live} replicas, set by {who}: Helm sets {message}, and the bot sets {live} again "
            "at once. Pods may be lost in between."
        )
        holds = f"The bot owns {_REPLICAS} from then on: until the values of the release set {live} as well, a `helm"
        holds += " upgrade` stops half-way at a conflict, unless forced."
        return f"{keeps} {holds}" if goal.method == "ssa" else keeps
    if request.keep_replicas:
        return f"{ref} has {live} replicas now, set by {who}, and Helm sets {message}."
    words = f"rollback {request.service} to {goal.version} replicas keep"
    return f"{ref} has {live} replicas now, set by {who}, and Helm sets {message}. `{words}` keeps them."


def _read(request: StrategyRequest, ref: ObjectRef) -> KubernetesObject | None:
    if ref == request.site.workload:
        return request.workload
    try:
        return request.site.cluster.get(ref) if ref.kind in kinds.WORKLOADS.values() else None
    except Rejected:
        return None
