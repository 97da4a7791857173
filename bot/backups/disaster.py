"""What to do when all is lost: every store against its promises, and the ordered asks that bring a service back. Pure.

The order: keys and names first, then the cluster, then the stores in the order in which they depend on each other, then
the workloads, looked at before they get traffic. What the bot cannot do is in its place, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.backups.describe import newest_of
from bot.backups.estimates import estimate, spell_estimate
from bot.backups.judging import StoreReport, Verdict
from bot.core.backup import Drill
from bot.lib.text import spell_briefly, spell_duration, spell_moment

#: Stores are brought back in this order: what others read from comes first, whole namespaces last.
_ORDER = (
    ("postgres", "pgbackrest", "walg", "barman", "cnpg", "rds"),
    ("redis",),
    ("clickhouse", "clickhouse-backup"),
    ("s3", "aws-backup"),
    ("velero",),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreInDisaster:
    """A store with what is known of it, for the plan."""

    report: StoreReport
    drills: Sequence[Drill] = ()  #: the newest first


@dataclass(frozen=True, kw_only=True, slots=True)
class DisasterStep:
    """One step. `ask`: a command to send; "" for what people do themselves, and `reason` says why."""

    title: str
    ask: tuple[str, ...] = ()
    reason: str = ""
    facts: tuple[str, ...] = ()


def at_a_glance(stores: Sequence[StoreInDisaster], now: datetime) -> list[str]:
    """Every store against RPO and RTO, two lines each."""
    lines = [f"Stores in the order in which they are brought back. {spell_moment(now)}."]
    for one in in_order(stores):
        report, age = one.report, one.report.data_age(now)
        old = "nothing can be restored" if age is None else f"data {spell_briefly(age)} old"
        takes = "not measured" if report.rto_median is None else spell_briefly(report.rto_median)
        service = f" (`dr {report.service}`)" if report.service else " (of no service)"
        lines.append(f"{report.store}: {_word(report.verdict)}{service}")
        lines.append(f"  {old}, RPO {spell_duration(report.rpo)}; restore {takes}, RTO {spell_duration(report.rto)}")
    return [*lines, "`dr <service>` shows the steps that bring a service back."]


def in_order(stores: Sequence[StoreInDisaster]) -> list[StoreInDisaster]:
    """The stores in the order in which they depend on each other."""
    ranks = {word: rank for rank, words in enumerate(_ORDER) for word in words}
    return sorted(stores, key=lambda one: (ranks.get(one.report.engine, len(_ORDER)), one.report.store))


def steps_for(service: str, stores: Sequence[StoreInDisaster], now: datetime, *, workload: bool) -> list[DisasterStep]:
    """The ordered steps that bring a service back. `workload`: the bot reaches its workload in a cluster."""
    return [
        DisasterStep(
            title="Keys and secrets are there: KMS keys enabled, Vault or Secrets Manager answers, issuers work",
            reason="the bot holds no right to them; without the key a backup opens nowhere",
        ),
        DisasterStep(title="Network and DNS work", reason="they are outside of what the bot reaches"),
        DisasterStep(
            title="The cluster is there: CRDs, operators, storage classes, admission policies",
            reason="its installation is that of your platform, such as Terraform",
        ),
        _workloads_stopped(service, workload=workload),
        *(step for one in in_order(stores) for step in _store_steps(one, now)),
        *_workloads_back(service, workload=workload),
    ]


def describe_steps(service: str, steps: Sequence[DisasterStep], now: datetime) -> list[str]:
    """The steps for a chat."""
    lines = [f"To bring {service} back, in this order ({spell_moment(now)}):"]
    for number, step in enumerate(steps, 1):
        lines.append(f"{number}. {step.title}.")
        lines += [f"   `{ask}`" for ask in step.ask]
        lines += [f"   {fact}" for fact in step.facts]
        if step.reason:
            lines.append(f"   By hand: {step.reason}.")
    return lines


def _workloads_stopped(service: str, *, workload: bool) -> DisasterStep:
    title = f"Nothing of {service} writes while its stores are brought back"
    if workload:
        return DisasterStep(title=title, ask=(f"scale {service} 0",), facts=("Or stop what writes by hand.",))
    return DisasterStep(title=title, reason="the settings do not say where its workload runs")


def _store_steps(one: StoreInDisaster, now: datetime) -> Iterator[DisasterStep]:
    report = one.report
    facts = [*_what_there_is(report, now), f"It takes {spell_estimate(estimate(one.drills, _size(report)))}."]
    facts += [f"Not as it should be: {found.text}" for found in report.findings]
    if not report.restorable:
        reason = "its engine is only read here; `vakhta dr export` writes the commands of its tool"
        yield DisasterStep(title=f"Restore {report.store}", reason=reason, facts=tuple(facts))
        return
    yield DisasterStep(
        title=f"Restore {report.store} beside what is there",
        ask=(f"restore {report.store} latest",),
        facts=tuple(facts),
    )
    yield DisasterStep(
        title=f"Put the checked copy of {report.store} in place",
        ask=("cutover <run>",),
        facts=("<run> is what the answer to `restore` names.",),
    )


def _what_there_is(report: StoreReport, now: datetime) -> Iterator[str]:
    age = report.data_age(now)
    if age is None or report.reaches is None:
        yield "Nothing is known that could be restored."
        return  # Why not is among the findings.
    promised = spell_duration(report.rpo)
    yield f"Newest data: {spell_moment(report.reaches)}, {spell_briefly(age)} old; RPO {promised}."
    yield from newest_of(report, now)


def _size(report: StoreReport) -> int | None:
    return None if report.usable is None else report.usable.size_bytes


def _workloads_back(service: str, *, workload: bool) -> Iterator[DisasterStep]:
    if not workload:
        reason = "the settings do not say where its workload runs"
        yield DisasterStep(title=f"Start {service}, look at it, then give it traffic", reason=reason)
        return
    yield DisasterStep(
        title=f"Start one replica of {service} and look at it", ask=(f"scale {service} 1", f"status {service}")
    )
    yield DisasterStep(
        title=f"Start the others of {service}", ask=(f"scale {service} <replicas>",), facts=("As many as before.",)
    )
    yield DisasterStep(title="Give it traffic again", reason="ingress and DNS are outside of what the bot changes")


def _word(verdict: Verdict) -> str:
    return verdict.value if verdict is Verdict.OK else verdict.value.upper()
