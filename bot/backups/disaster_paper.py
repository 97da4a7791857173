"""The plan for a disaster as Markdown, for people whose bot is down. Pure.

The bot's own database comes first: with it back, every other step is an ask with its plan and its approvals. All the
same each store has the commands of its own tools, in case it does not come back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.backups.disaster import DisasterStep, StoreInDisaster, describe_steps, in_order, steps_for
from bot.backups.plain_commands import plain_commands
from bot.lib.text import spell_duration, spell_moment

_MARKUP = re.compile(r"[<>\[\]`*\\]")
_NO_SERVICE = "Stores without a service"


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnStore:
    """The bot's own database. `file`: of SQLite, "" for a server."""

    file: str
    address: str  #: without a password
    settings_file: str  #: or a word in capitals


@dataclass(frozen=True, kw_only=True, slots=True)
class DisasterPaper:
    """What the plan is made of. `named`: of each store, its settings that are not secret."""

    version: str
    written_at: datetime
    own: OwnStore
    stores: Sequence[StoreInDisaster]
    named: Mapping[str, Mapping[str, str]]
    with_workload: frozenset[str] = frozenset()  #: services whose workload the bot reaches
    unknown: str = ""  #: why nothing is known of the stores, where the bot's database could not be read


def write_paper(paper: DisasterPaper) -> str:
    """The whole plan. It ends with a line end."""
    lines = [
        "# Disaster recovery",
        "",
        f"Written {spell_moment(paper.written_at)} by Vakhta {paper.version}. What has changed since is not in it.",
        "",
        "It holds names and no secrets. Words in capitals are for you to fill in.",
        "",
        *_own_store(paper),
        "",
        "## 2. Everything else, in order",
        "",
        *([] if paper.stores else ["The settings have no stores of backups: add them under `backups.stores`.", ""]),
        *([f"Nothing is known of the stores: {paper.unknown}", ""] if paper.unknown else []),
    ]
    for service in _services(paper.stores):
        lines += _of_service(service, paper)
    return "\n".join([*lines, *_commands(paper)]).rstrip("\n") + "\n"


def _own_store(paper: DisasterPaper) -> Iterator[str]:
    own = paper.own
    yield "## 1. The bot's own database"
    yield ""
    yield f"It is {own.file or own.address}; the settings are {own.settings_file}."
    yield ""
    yield "```sh"
    yield "# stop every bot first"
    if own.file:
        yield f"rm -f {own.file}-wal {own.file}-shm"
        yield f"cp BACKUP {own.file}"
    else:
        yield "# into an empty database; then set store.url, if it has another address"
        yield "pg_restore --exit-on-error --no-owner -d DATABASE BACKUP"
    yield f"vakhta audit restored --because 'TEXT' --config {own.settings_file}"
    yield f"vakhta audit verify --config {own.settings_file}"
    yield f"vakhta run --config {own.settings_file}"
    yield "```"
    yield ""
    yield "`vakhta audit verify` names the entries that the backup did not have. Once the bot runs, send the commands"
    yield "of part 2. If it does not come back, use those of part 3."


def _services(stores: Sequence[StoreInDisaster]) -> list[str]:
    """Those with stores, in the order of their first store; stores without one last."""
    found = dict.fromkeys(one.report.service for one in in_order(stores))
    return sorted(found, key=lambda one: one == "")


def _of_service(service: str, paper: DisasterPaper) -> Iterator[str]:
    mine = [one for one in paper.stores if one.report.service == service]
    yield f"### {service or _NO_SERVICE}"
    yield ""
    steps = steps_for(service or "it", mine, paper.written_at, workload=service in paper.with_workload)
    yield from _listed(service or "them", steps, paper.written_at)
    yield ""


def _listed(service: str, steps: Sequence[DisasterStep], now: datetime) -> Iterator[str]:
    """As in a chat; the lines below a step are a list, or Markdown would join them. What is no ask tells of names that
    others have given: it must not become a link, a tag or code.
    """
    asks = {f"   `{ask}`" for step in steps for ask in step.ask}
    for line in describe_steps(service, steps, now)[1:]:
        told = line.strip() if line in asks else _MARKUP.sub(r"\\\g<0>", line.strip())
        yield f"   - {told}" if line.startswith(" ") else line


def _commands(paper: DisasterPaper) -> Iterator[str]:
    yield "## 3. The same without the bot"
    yield ""
    for one in in_order(paper.stores):
        report = one.report
        promised = f"RPO {spell_duration(report.rpo)}, RTO {spell_duration(report.rto)}"
        yield f"### {report.store} ({report.engine}, {promised})"
        yield ""
        yield "```sh"
        yield from plain_commands(report.engine, paper.named.get(report.store, {}))
        yield "```"
        yield ""
