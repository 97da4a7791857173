"""A database that an earlier version left behind is taken over as it is: read, gone on with, and verified.

The words it holds (events, codes, states, verbs, kinds of deliveries) were written by that version, so a word that is
renamed in the code fails here. The trap: a yes counts for a plan's bytes, and most plans here were made by the `turn`
of tests/dials.py; if that action plans something else, they no longer run.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.audit.notary import Notary
from bot.core.alert import Severity
from bot.core.audit import Code
from bot.core.flagger import Canary, GateCheck, GateHook
from bot.core.incident import EventType, Status
from bot.core.message import MessageKind
from bot.core.plan import PlanState, Result, Risk
from bot.store import migrating, runs
from bot.store.engine import Store
from bot.store.flagger_gates import FlaggerGates
from bot.workloads.objects import kinds
from tests import before
from tests.audit_place import Place, placed, signer_of
from tests.before import DI, LEFT_AT
from tests.cluster import manifests
from tests.cluster.scale_world import SCALE, settled, to
from tests.cluster.wedges import Died, Wedged
from tests.cluster.world import World, fake_world
from tests.house import BO, CY, House, alert
from tests.postgres import Postgres
from tests.runs import wait_until_ended

# Plans and runs of that database, by the handles that its people know.
WAITS, HALF_APPROVED, CONFIRMED_BY_ANA, FORGOTTEN = "f2c1054d", "72b3bb8f", "44a01f72", "turn prod/api 3"
LOST, SCALED, UNKNOWN, ENDS, HELD = "b6173644", "87ab987d", "72190023", "bc65ebca", "374eae6e"
#: What Cy was shown to link a further account with.
CODE = "6R1N6-7A62H-RZHYK-GWMDG-JXHCF1"
#: The Deployment that was scaled.
OBJECT = "8ca59966-66ce-4b36-8512-bd1311072231"
#: The world in which it left off.
DIALS = {"prod/api": 9, "prod/web": 10, "prod/db": 5, "prod/lost": 6, "prod/queue": 12}

WORDS = {
    "SELECT what FROM event": {
        "action.asked", "action.done", "action.not_done", "action.not_well", "action.unknown", "alerts.ended",
        "alerts.fired", "incident.acked", "incident.assigned", "incident.eased", "incident.noted", "incident.opened",
        "incident.paged", "incident.passed", "incident.reopened", "incident.resolved", "incident.worsened",
        "message.undelivered",
    },
    "SELECT status FROM incident": {"open", "acknowledged", "resolved"},
    "SELECT severity FROM incident": {"critical", "error", "info"},
    "SELECT kind FROM delivery": {"card", "line", "page"},
    "SELECT state FROM plan": {"shown", "approved", "begun", "dropped", "moved", "stopped", "expired"},
    "SELECT state FROM run": {"intended", "done", "failed", "unknown"},
    "SELECT hook FROM gate_asked": {"confirm-promotion", "rollback"},
}  # fmt: skip
NOW = {
    "SELECT what FROM event": EventType,
    "SELECT status FROM incident": Status,
    "SELECT severity FROM incident": Severity,
    "SELECT kind FROM delivery": MessageKind,
    "SELECT state FROM plan": PlanState,
    "SELECT state FROM run": (runs.INTENDED, *Result),
    "SELECT hook FROM gate_asked": GateHook,
}
CODES = {
    "VK001I": "started", "VK002I": "stopped", "VK003I": "heartbeat", "VK004W": "key_changed",
    "VK005W": "clock_went_back", "VK006W": "restored", "VK007W": "pruned", "VK100I": "answered", "VK101W": "denied",
    "VK102W": "rejected", "VK103W": "replayed", "VK104W": "not_genuine", "VK110I": "planned", "VK111I": "approved",
    "VK112W": "not_approved", "VK113W": "moved", "VK114W": "expired", "VK120I": "intent", "VK121I": "done",
    "VK122E": "failed", "VK123E": "unknown", "VK124W": "unwell", "VK130I": "linked", "VK131I": "unlinked",
    "VK132W": "not_linked", "VK140W": "glass_broken", "VK141I": "glass_mended", "VK142I": "glass_reviewed",
}  # fmt: skip


@dataclass(frozen=True)
class Restored:
    """Such a database, for copies to be made of it."""

    sqlite: Path | None = None
    postgres: Postgres | None = None
    like: str = ""

    def copy(self, to: Path) -> str:
        if self.postgres is not None:
            return self.postgres.url("before", like=self.like)
        assert self.sqlite is not None
        return f"sqlite:///{shutil.copy(self.sqlite, to / 'vakhta.db')}"


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def restored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Restored:
    """As that version left it; no later one has touched it."""
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("before") / "vakhta.db"
        before.restore(f"sqlite:///{path}")
        return Restored(sqlite=path)
    server: Postgres = request.getfixturevalue("postgres")
    url = server.url("restored")
    before.restore(url)
    return Restored(postgres=server, like=url.rpartition("/")[2])


@pytest.fixture
def url(restored: Restored, tmp_path: Path) -> str:
    """A database of before, brought to this version."""
    copy = restored.copy(tmp_path)
    store = Store(copy)
    migrating.migrate(store)
    store.close()
    return copy


@pytest.fixture
def left(url: str) -> Iterator[House]:
    """The bot of this version on it, a minute after that one ended, in the world that it left."""
    house = before.opened(url, at=LEFT_AT + timedelta(minutes=1))
    house.dials.values = dict(DIALS)
    yield house
    house.close()


@pytest.fixture
def place(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """`vakhta audit` beside it, with the key that signed it and what was put outside."""
    monkeypatch.setattr("bot.lib.logs.start", lambda **_: None)  # A command sets up the log of its whole process.
    made = placed(url, tmp_path)
    shutil.copy(before.FOLDER / "anchors", made.outside)
    return made


def column(url: str, statement: str, *values: object) -> list[Any]:
    store = Store(url)
    with store.read() as seen:
        found = [row[0] for row in seen.sql.rows(statement, *values)]
    store.close()
    return found


def run_of(house: House, short: str) -> runs.Run:
    with house.store.read() as seen:
        (found,) = runs.find_runs(seen.sql, short)
    return found


def test_migrating_brings_it_to_the_tables_of_this_version(url: str) -> None:
    store = Store(url)
    found = migrating.differences(store)
    store.close()

    assert found == []


@pytest.mark.parametrize("statement", WORDS)
def test_each_word_that_it_holds_is_a_word_of_this_version(url: str, statement: str) -> None:
    held = set(column(url, statement))

    assert held == WORDS[statement]
    assert held <= {str(word) for word in NOW[statement]}


def test_each_code_of_its_audit_log_means_now_what_it_meant_then(url: str) -> None:
    bodies = [json.loads(bytes(body)) for body in column(url, "SELECT body FROM audit_entry ORDER BY id")]
    held = {body["code"]: body["event"] for body in bodies}

    assert held == CODES
    assert {code: Code(code).name.lower() for code in held} == CODES


def test_the_api_shows_its_incidents_and_runs_as_that_version_did(url: str) -> None:
    then, now = before.shown_then(), before.shown(url)

    for one in (*then["each"], *now["each"]):
        one["alerts"].sort(key=lambda alert: str(alert["fingerprint"]))  # the one that names it comes first now

    assert [one["id"] for one in then["each"]] == list(range(13, 0, -1))
    assert before.stored(before.only(now, then)) == before.stored(then)


def test_the_api_shows_its_audit_log_as_it_was_sealed(url: str) -> None:
    bodies = [json.loads(bytes(body)) for body in column(url, "SELECT body FROM audit_entry ORDER BY id DESC")]

    entries = before.shown(url)["audit"]["entries"]

    assert [one["pos"] for one in entries] == list(range(160, 7, -1))
    assert [{name: one[name] for name in body} for one, body in zip(entries, bodies, strict=True)] == bodies


def test_the_timeline_of_each_incident_is_read(left: House) -> None:
    told = {one["id"]: [event["what"] for event in one["events"]] for one in before.shown_then()["each"]}

    assert {one.id: [str(event.type) for event in left.story(one.id)] for one in left.incidents()} == told


def test_what_it_owed_is_sent_once_each_and_in_order(left: House) -> None:
    left.watch.release_leases()
    left.drain()

    assert left.pagerduty.said() == ["page incident.opened: Late", "page incident.opened: Leased"]
    assert left.slack.said() == [
        "post open Late",
        "edit acknowledged HighErrorRate",
        "edit open DiskFuller",
        "line action.asked: Ana asks: turn prod/web 8. prod/web goes from 9 to 8. `yes 44a01f72`",
        "line action.asked: Ana asks: turn prod/lost 6. prod/lost goes from 1 to 6. `yes e667a8fc`",
        "line message.undelivered: THE PAGE for pagerduty is late and is still tried: PagerDuty answered 500.",
        "post open Leased",
        "line incident.noted: Ana: hello",
    ]
    assert [one.ref for one in left.slack.given[1:3]] == ["slack:1", "slack:2"]
    assert [one.state for one in left.deliveries(7) if (one.channel, one.kind) == ("slack", MessageKind.CARD)] == [
        "dead"
    ]


def test_a_channel_that_was_asked_to_wait_waits_on(left: House) -> None:
    left.drain(left.telegram)
    while_asked = left.telegram.said()
    left.clock.pass_by(minutes=5)
    left.drain(left.telegram)

    assert while_asked == []
    assert left.telegram.said()[:2] == ["post open Late", "edit acknowledged HighErrorRate"]
    assert left.telegram.given[1].ref == "telegram:1"


def test_a_card_that_stands_in_a_chat_is_found_by_where_it_stands(left: House) -> None:
    assert left.dispatcher.incident_at("slack", "slack:2") == 2
    assert left.dispatcher.incident_paged_as(left.incident(3).page_key) == 3


def test_what_was_answered_is_not_done_again(left: House) -> None:
    again = left.says("ack 1", once="Ev-ack-1")

    assert (again.repeated, again.text) == (True, "Incident 1 is yours: HighErrorRate")


@pytest.mark.parametrize(
    ("plan", "risk", "by", "turned"),
    [
        (WAITS, Risk.IRREVERSIBLE, CY, ("prod/web", 7)),
        (HALF_APPROVED, Risk.IRREVERSIBLE, DI, ("prod/web", 5)),
        (CONFIRMED_BY_ANA, Risk.REVERSIBLE, None, ("prod/web", 8)),
    ],
    ids=["approved by another", "approved by the second of two", "confirmed by the asker"],
)
def test_a_plan_that_waits_is_run_by_the_last_yes(left: House, plan: str, risk: Risk, by: Any, turned: Any) -> None:
    left.dials.values["prod/web"] = 9  # as its plans have seen it
    left.action(risk=risk)

    reply = left.says(f"yes {plan}", by=by or left.people["ana"])

    assert reply.ok, reply.text
    assert [(name, value) for name, value, _ in left.dials.turned] == [turned]
    assert left.audited()[-1] is Code.DONE


def test_a_plan_that_waits_can_be_dropped_and_one_that_is_over_cannot_be_approved(left: House, url: str) -> None:
    (expired,) = column(url, "SELECT handle FROM plan WHERE state = 'expired'")

    dropped, late = left.says(f"no {CONFIRMED_BY_ANA}", by=left.people["ana"]), left.says(f"yes {expired}", by=CY)

    assert (dropped.ok, late.ok) == (True, False)
    assert column(url, "SELECT state FROM plan WHERE handle LIKE ?", f"{CONFIRMED_BY_ANA}%") == ["dropped"]
    assert left.dials.turned == []


def test_a_plan_whose_process_died_before_its_intent_is_told_and_stopped(left: House, url: str) -> None:
    assert column(url, "SELECT words FROM plan WHERE state = 'approved'") == [FORGOTTEN]

    left.clock.pass_by(minutes=5)
    left.tends()

    assert any(one.title.startswith("PlanNotRun") for one in left.incidents())
    assert column(url, "SELECT state FROM plan WHERE state = 'approved'") == []


def test_a_run_whose_process_died_in_its_call_is_looked_at_and_not_called_again(left: House) -> None:
    run = run_of(left, LOST)
    left.dials.last_run["prod/lost"] = run.id

    left.tends()

    assert (run.state, run_of(left, LOST).state) == ("intended", "done")
    assert left.dials.turned == []
    assert left.story(2)[-1].type == "action.done"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """The cluster in which `prod/api` was scaled, before that."""
    with fake_world(tmp_path) as made:
        made.clock.at = LEFT_AT - timedelta(hours=1)
        made.create(kinds.DEPLOYMENT, "api", **manifests.deployment(replicas=3), metadata={"uid": OBJECT})
        made.place()
        settled(made, 3)
        yield made


def test_a_run_under_watch_is_watched_on_until_its_first_deadline(left: House, world: World) -> None:
    run = run_of(left, SCALED)
    plan = world.plan(SCALE, to(5))
    world.place(cluster=Wedged(world, after=Died()))
    noted: dict[str, str] = {}
    with pytest.raises(Died):  # The write is that version's: made in the name of its run.
        SCALE.run(to(5), plan, run.id, left.people["ana"], replace(world.tools, remember=noted.update))
    hands = Wedged(world)
    world.place(cluster=hands)
    world.clock.at = left.clock.at
    left.tools = replace(
        left.tools, targets=world, now=world.clock, elapsed=world.tools.elapsed, poll_interval=timedelta(0)
    )
    left.runs._parts = replace(left.runs._parts, tools=left.tools)

    left.tends()
    wait_until_ended(left)

    after = run_of(left, SCALED)
    assert run.notes == noted == {"phase": ""}
    assert (run.state, after.state, after.degraded) == ("intended", "done", "")
    assert after.watch_until == run.watch_until
    assert hands.patched == 0


def test_an_unknown_run_holds_its_target_until_it_is_settled(left: House) -> None:
    ana = left.people["ana"]
    left.action(risk=Risk.NONE)
    held = left.says("turn prod/db 7", by=ana)
    settled = left.says(f"settle {UNKNOWN} done because I have looked at it", by=CY)
    free = left.says("turn prod/db 7", by=ana)

    assert (held.ok, settled.ok, free.ok) == (False, True, True)
    assert run_of(left, UNKNOWN).state == "done"
    assert left.dials.values["prod/db"] == 7


def test_what_ends_by_itself_is_undone_when_its_time_is_over(left: House) -> None:
    left.clock.pass_by(minutes=12)
    left.tends()

    assert run_of(left, ENDS).undo == "turn prod/web 9"
    assert left.dials.values["prod/web"] == 9


def test_a_check_that_was_held_is_asked_on_and_its_change_undone_where_it_fails(left: House) -> None:
    left.well = False
    left.tends()

    assert run_of(left, HELD).undo == "turn prod/queue 1"
    assert left.dials.values["prod/queue"] == 1


def test_a_run_that_was_done_can_be_undone(left: House) -> None:
    left.action(risk=Risk.NONE)

    reply = left.says(f"undo {HELD}", by=left.people["ana"])

    assert reply.ok, reply.text
    assert left.dials.values["prod/queue"] == 1


def test_the_end_of_a_slow_run_is_told_where_it_was_asked(left: House) -> None:
    left.tends()

    assert [where for where, said in left.chat.said if "prod/web is at 10" in said] == ["C1:1.5"]


def test_glass_that_is_broken_allows_until_it_mends_and_is_reviewed_by_another(left: House) -> None:
    left.action(risk=Risk.NONE)
    behind = left.says("turn prod/web 11", by=BO)
    left.clock.pass_by(minutes=25)
    left.tends()
    mended = left.says("turn prod/web 12", by=BO)
    own, reviewed = (left.says("review-glass bo because it was a real fire", by=who) for who in (BO, CY))
    again = left.says("break-glass because there is another fire", by=BO)

    assert [one.ok for one in (behind, mended, own, reviewed, again)] == [True, False, False, True, True]
    assert left.incident(11).status is Status.RESOLVED


def test_a_linked_account_is_its_persons_and_a_code_links_one_more(left: House) -> None:
    locked = left.hears_from("telegram", "99", f"link {CODE}")
    linked = left.hears_from("telegram", "12", f"link {CODE}")

    assert (locked.ok, linked.ok) == (False, True)
    assert [left.dispatcher.person("telegram", account) for account in ("8", "12", "7")] == [BO, CY, None]


def test_what_single_people_were_to_be_told_is_told(left: House) -> None:
    answer = left.hears_from("slack", "U3", "incidents")
    left.tends()

    assert answer.text.startswith("Your yes to turn prod/api 4 no longer counts: ")
    told = dict(left.chat.said)
    assert told["U2"].startswith("Since 2025-06-02 14:22 UTC the telegram account 8 is yours.")
    assert told["U5"].startswith("turn prod/api 4: The yes of cy no longer counts: ")


def test_a_gate_that_was_open_says_yes_for_its_revision_alone(left: House) -> None:
    keeper = FlaggerGates(left.store)

    def says(name: str, revision: str = "1a2b3c") -> bool:
        canary = Canary(cluster="main", namespace="shop", name=name)
        return keeper.answer(GateCheck(canary=canary, hook=GateHook.PROMOTION, revision=revision))

    assert [says("open"), says("open", "another"), says("passed"), says("closed")] == [True, False, True, False]
    passed = keeper.opened(f"{2:032x}")
    assert passed is not None
    assert passed.passed


def test_alerts_that_fired_end_and_one_that_was_doubted_is_believed(left: House) -> None:
    ended = alert("Late", fingerprint="late", group="late", firing=False, starts_at=left.incident(12).opened_at)
    left.hears(ended)
    left.watch.accept_doubted_alerts()

    assert left.incident(12).status is Status.RESOLVED
    assert (left.incident().title, left.incident().status) == ("HighErrorRate", Status.ACKED)
    assert (left.incidents()[0].title, left.incidents()[0].status) == ("Flap", Status.OPEN)


def test_its_audit_log_is_as_it_was_written_but_for_the_runs_that_go_on(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    code = place.run("verify", "--json", "--anchors", place.outside)

    report = json.loads(capsys.readouterr().out)
    assert code == 7
    lost, scaled = (one for one in report["findings"] if one["fault"] != "flagged")
    assert (lost["fault"], scaled["fault"]) == ("no outcome", "no outcome")
    assert LOST in lost["said"]
    assert SCALED in scaled["said"]
    assert report["sealed"] == 161


def test_its_audit_log_is_whole_once_this_version_has_ended_those_and_gone_on(
    left: House, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    left.tends()
    left.clock.pass_by(minutes=11)
    left.tends()
    wait_until_ended(left)
    notary = Notary(left.store, signer=signer_of())
    notary.start()
    notary.stop(timedelta(seconds=10))

    code = place.run("verify", "--json", "--anchors", place.outside)

    report = json.loads(capsys.readouterr().out)
    assert code == 0, report
    assert {one["fault"] for one in report["findings"]} == {"flagged"}
    assert report["sealed"] > 161
