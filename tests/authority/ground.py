"""A bot in the middle of a night: an incident, a plan that waits, runs of another person, a silence.

It is made once; each test gets a copy, so that whatever is allowed to somebody changes it for nobody else.
"""

from __future__ import annotations

import copy
import json
import re
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from bot.access.authorizer import Authorizer
from bot.access.break_glass import BreakGlass
from bot.access.conditions import Conditions
from bot.access.policy import Policy, Role, Rule
from bot.actions.runner import Runner, RunnerParts
from bot.alerts.classification import AlertRules
from bot.chatops.account_recheck import AccountVerification
from bot.chatops.dispatcher import Dispatcher
from bot.chatops.live_answers import LiveAnswers
from bot.chatops.registry import args_of
from bot.core.access import AccountLink, BreakGlassUse
from bot.core.action import Tools
from bot.core.audit import Code
from bot.core.catalog import Catalog, Service
from bot.core.plan import Risk
from bot.core.request import Principal, Reply, Request
from bot.store import account_links, audit_log
from tests.authority.table import KINDS, SAID
from tests.commands.silencing_world import equal, silences
from tests.dials import Dials, lost
from tests.fakes.alertmanager import FakeAlertmanager
from tests.house import SEVERITIES, House, alert
from tests.runs import handle

ASKER = KINDS["asker"]
#: What the accounts of people have in common with their ids.
ACCOUNTS = {("slack", f"U-{one.id}"): one for one in KINDS.values() if one.id}
_ROLES = (
    Role(name="turner", allow=(Rule(do="turn *"), Rule(do="undo"), Rule(do="keep"), Rule(do="runs"))),
    Role(
        name="duty",
        allow=(
            Rule(do="turn prod/*", when=Conditions(on_call=True, incident=True)),
            Rule(do="resolve", when=Conditions(on_call=True)),
        ),
    ),
    Role(name="rescue", allow=(Rule(do="*"),), break_glass=True),
)
_RULES = AlertRules(
    severities=SEVERITIES, catalog=Catalog(services=(Service(name="prod/api", match={"service": "api"}),))
)

Rows = Mapping[str, list[tuple[object, ...]]]


@dataclass(frozen=True)
class Night:
    """The state that a ground begins with."""

    database: Path
    at: datetime
    dials: Dials
    names: Mapping[str, str]  #: handles, run ids and the like, as `SAID` names them
    buttons: Mapping[str, str]  #: those of the plan that waits
    alertmanager: FakeAlertmanager

    def words(self, verb: str) -> str:
        return SAID[verb].format(**self.names)


class Ground:
    """`night` None: nothing has happened yet."""

    def __init__(
        self,
        database: Path,
        alertmanager: FakeAlertmanager,
        *,
        people: Mapping[tuple[str, str], Principal] | None = None,
    ) -> None:
        self.database = database
        self.house = House(f"sqlite:///{database}", rules=_RULES)
        self.house.dials.values["prod/db"] = 1
        self._people = {**ACCOUNTS, **(people or {})}
        self.house.settle(self._people)
        self.dispatcher = self.house.dispatcher = self._dispatcher(alertmanager.url)

    def says(
        self, words: str, by: Principal, *, place: str = "slack", here: int | None = None, account: str = ""
    ) -> Reply:
        account = account or f"U-{by.id or 'nobody'}"
        return self.dispatcher.handle(
            Request(by=by, text=words, channel=place, account=account, private=True, incident_id=here)
        )

    def close(self) -> None:
        self.house.close()

    def rows(self) -> Rows:
        """All that is stored, but for the audit log and the ids of acts."""
        with closing(sqlite3.connect(self.database)) as base:
            names = [name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            kept = [one for one in names if not one.startswith(("audit_", "sqlite_")) and one != "seen"]
            return {name: sorted(base.execute(f'SELECT * FROM "{name}"'), key=repr) for name in kept}

    def record(self, after: int = 0) -> list[Code]:
        """The codes on record, from the given number of them on."""
        with self.house.store.read() as reading:
            found = audit_log.entries(reading.sql, audit_log.EntryFilter(), limit=5000)
        return [Code(json.loads(one.body)["code"]) for one in found][after:]

    def link_telegram(self, who: Principal) -> None:
        with self.house.store.begin() as tx:
            one = AccountLink(channel="telegram", account=f"t-{who.id}", person=who.id, at=tx.now, by="slack U1")
            account_links.put(tx, one)

    def _dispatcher(self, alertmanager: str) -> Dispatcher:
        house = self.house
        tools = Tools(now=house.clock, metrics=house, silences=silences(alertmanager))
        rights = Authorizer(
            policy=Policy(_ROLES, people=house.people.values(), on_call={"prod/api": ["dia"]}),
            linking=house.linking,
            environments={"prod/api": "prod", "prod/web": "prod", "prod/db": "prod"},
            pagers=frozenset({house.pagerduty.name}),
            name_lookup=lambda _: {"service": ("prod/api", "prod/db", "prod/web", "staging/api")},
            find_break_glass=lambda _, person, now: _broken_by(person, now) if person == "gil" else None,
        )
        house.runs = Runner(
            RunnerParts(
                reports=house.reports,
                store=house.store,
                registry=house.verbs,
                args_of=partial(args_of, house.verbs),
                tools=tools,
                subscriptions=house.mouths,
                on_commit=house.written.append,
                seal=house._seal,
                raise_alert=house._alarm,
                authorizer=rights,
            )
        )
        return Dispatcher(
            house.store,
            registry=house.verbs,
            break_glass=BreakGlass(authorizer=rights, subscriptions=house.mouths, rules=house.rules, contact="carla"),
            account_verification=AccountVerification(store=house.store, verifiers=house.vouches),
            tools=tools,
            runner=house.runs,
            live_answers=LiveAnswers({}),
            on_commit=house.written.append,
        )


def night(database: Path, alertmanager: FakeAlertmanager) -> Night:
    """Let it happen, in an empty database of this version."""
    ground = Ground(database, alertmanager)
    house = ground.house
    house.hears(alert(labels={"service": "api"}))
    unknown = _run_that_nobody_saw_the_end_of(ground)
    run = _run_for_a_while(ground)
    house.action(risk=Risk.IRREVERSIBLE)
    shown = ground.says("turn prod/api 9", ASKER)
    assert shown.card is not None
    tool = silences(alertmanager.url)
    silence = tool.create(
        [equal("service", "web")], until=datetime.now(UTC) + timedelta(hours=2), by="somebody", comment="by hand"
    )
    names = {"plan": handle(shown.text), "run": run, "unknown": unknown, "silence": silence}
    dials = copy.deepcopy(house.dials)
    ground.close()
    return Night(
        database=database,
        at=house.clock.at,
        dials=dials,
        names=names,
        buttons=shown.card.buttons,
        alertmanager=alertmanager,
    )


def copy_of(night: Night, to: Path, people: Mapping[tuple[str, str], Principal] | None = None) -> Ground:
    """A ground on which the night has happened."""
    shutil.copy(night.database, to)
    ground = Ground(to, night.alertmanager, people=people)
    ground.house.clock.at = night.at
    ground.house.dials.__dict__.update(copy.deepcopy(night.dials.__dict__))
    return ground


@contextmanager
def no_proxy() -> Iterator[None]:
    """The SDKs would send even loopback through a proxy of the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            patch.delenv(name, raising=False)
        yield


def _broken_by(person: str, now: datetime) -> BreakGlassUse:
    return BreakGlassUse(id=0, person=person, reason="a fire", opened_at=now, until=now + timedelta(minutes=30))


def _run_for_a_while(ground: Ground) -> str:
    shown = ground.says("turn prod/web 5 for 30m", ASKER)
    return ground.says(f"yes {handle(shown.text)}", ASKER).text.partition("`undo ")[2].partition("`")[0]


def _run_that_nobody_saw_the_end_of(ground: Ground) -> str:
    house = ground.house

    def cut() -> None:
        house.dials.silent = True
        lost()

    house.dials.after.append(cut)
    shown = ground.says("turn prod/db 5", ASKER)
    ground.says(f"yes {handle(shown.text)}", ASKER)
    for _ in range(8):
        house.clock.pass_by(minutes=3)
        house.tends()
    house.dials.silent = False
    found = re.search(r"^([0-9a-f]{8}) unknown: ", ground.says("runs", ASKER).text, re.MULTILINE)
    assert found is not None, "there is no unknown run"
    return found[1]
