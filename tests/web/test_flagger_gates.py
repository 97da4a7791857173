"""Flagger's gate webhooks over HTTP, on both databases: a gate is open for one revision, and closed by default."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from pydantic import SecretStr
from starlette.responses import PlainTextResponse

from bot.core.action import Tools
from bot.core.audit import Code
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.flagger import Canary, GateCheck, GateHook
from bot.core.kubernetes import ClusterUser
from bot.core.plan import Plan, Result
from bot.lib.metrics import Metrics
from bot.store.engine import Store, Unavailable
from bot.store.flagger_gates import FlaggerGates
from bot.web.event_stream import FeedSignal
from bot.web.flagger_gates import GateClients
from bot.web.server import Server, build_web
from bot.workloads.objects import kinds
from bot.workloads.objects.owners import UNMANAGED
from bot.workloads.objects.strategy import StrategyRequest
from bot.workloads.progressive import flagger as ways
from commands import abort, promote
from tests.cluster import manifests
from tests.cluster.world import World, fake_world
from tests.fakes.flagger import Flagger, checksum
from tests.fakes.ticking import Ticking
from tests.house import ANA, House
from tests.runs import handle

_OLD, _NEW, _OTHER = "old-token", "new-token", "token-of-another-cluster"
_API = Canary(cluster="main", namespace="shop", name="api")
_RUN = "5f" * 16
_HOUR = timedelta(hours=1)


@dataclass
class Edge:
    """The web edge over one database; `again` is a process that starts after this one."""

    url: str
    clock: Ticking
    refused: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = Store(self.url, now=self.clock)
        self.keeper = FlaggerGates(self.store)
        self.down = False
        tokens = {"main": (SecretStr(_OLD), SecretStr(_NEW)), "far": (SecretStr(_OTHER),)}
        self._server = Server(
            build_web(
                alerts=PlainTextResponse(),
                store=self.store,
                channels={},
                checks={},
                channel_checks={},
                outbox_sizes=lambda: (),
                meters=Metrics(),
                on_refused=lambda place, code: self.refused.append((place, code)),
                feed_signal=FeedSignal(),
                flagger=GateClients(answer=self._answer, tokens=tokens),
                public_url="http://127.0.0.1:8080",
                api_token=None,
                version="0",
            )
        )
        self.at = self._server.bind("127.0.0.1:0")
        self._server.start()

    def _answer(self, question: GateCheck) -> bool:
        if self.down:
            raise Unavailable("the disk is full")
        return self.keeper.answer(question)

    def stop(self) -> None:
        self._server.stop(timedelta(seconds=1))
        self.store.close()

    def asks(self, hook: str = "confirm-promotion", *, token: str | None = _OLD, **payload: Any) -> httpx.Response:
        """Ask as Flagger does."""
        told = {"name": "api", "namespace": "shop", "phase": "Progressing", "checksum": "one", **payload}
        told |= {"metadata": {"token": token}} if token is not None else {}
        return httpx.post(f"{self.at}/flagger/gate/{hook}", json=told, trust_env=False)

    def status(self, hook: str = "confirm-promotion", **more: Any) -> int:
        return self.asks(hook, **more).status_code

    def opened(self, hook: GateHook = GateHook.PROMOTION, *, revision: str = "one", run: str = _RUN) -> bool:
        return self.keeper.open(GateCheck(canary=_API, hook=hook, revision=revision), run=run, lasts=_HOUR)


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine the answer may be late; that must not fail the test."""
    monkeypatch.setattr("bot.web.flagger_gates._WITHIN_S", 30.0)


@pytest.fixture
def clock() -> Ticking:
    return Ticking()


@pytest.fixture
def edge(store_url: str, clock: Ticking) -> Iterator[Edge]:
    made = Edge(store_url, clock)
    yield made
    made.stop()


@pytest.mark.parametrize("hook", list(GateHook))
def test_a_gate_is_shut_until_it_is_opened_and_again_when_its_time_is_over(edge: Edge, hook: GateHook) -> None:
    before = edge.asks(hook)
    edge.opened(hook)
    during = [edge.status(hook), edge.status(hook)]
    edge.clock.at += _HOUR

    assert (before.status_code, before.json()["error"]["code"]) == (403, "gate_shut")
    assert during == [200, 200]
    assert edge.status(hook) == 403


def test_a_gate_that_is_closed_by_its_run_says_no_and_tells_whether_it_said_yes(edge: Edge) -> None:
    edge.status()
    edge.opened(run="1a" * 16)
    unused = edge.keeper.close("1a" * 16)
    edge.opened()
    edge.status()

    assert (unused, edge.keeper.close(_RUN), edge.status()) == (False, True, 403)


@pytest.mark.parametrize(
    "other",
    [{"checksum": "two"}, {"name": "web"}, {"namespace": "stage"}, {"token": _OTHER}],
    ids=["another revision", "another canary", "another namespace", "another cluster"],
)
def test_a_yes_is_for_one_revision_of_one_canary_of_one_cluster(edge: Edge, other: dict[str, str]) -> None:
    edge.status()
    edge.opened()

    assert edge.status(**other) == 403
    assert edge.status("rollback") == 403
    assert edge.status() == 200


def test_nothing_is_opened_for_a_revision_about_which_flagger_does_not_ask_now(edge: Edge) -> None:
    never = edge.opened()
    edge.status()
    edge.status(checksum="two")

    assert (never, edge.opened(), edge.keeper.opened(_RUN)) == (False, False, None)
    assert edge.opened(revision="two")


def test_an_approval_survives_a_process_that_dies(edge: Edge, store_url: str, clock: Ticking) -> None:
    edge.status()
    edge.opened()

    later = Edge(store_url, clock)
    try:
        answer = later.status()
        kept = later.keeper.opened(_RUN)
    finally:
        later.stop()

    assert answer == 200
    assert kept is not None
    assert kept.passed


@pytest.mark.parametrize("token", [_OLD, _NEW])
def test_two_tokens_count_at_a_time(edge: Edge, token: str) -> None:
    assert edge.status(token=token) == 403


@pytest.mark.parametrize("token", ["", "wrong", _OLD[:-1], _OLD.upper(), None])
def test_without_a_token_that_counts_nothing_is_told_and_nothing_remembered(edge: Edge, token: str | None) -> None:
    edge.status()
    edge.opened()

    answer = edge.asks(token=token, checksum="two")

    asked = edge.keeper.last_check(_API, GateHook.PROMOTION)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "auth_invalid")
    assert edge.refused == [("flagger", "auth_invalid")]
    assert asked is not None
    assert asked.revision == "one"


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        ({"checksum": ""}, 400),
        ({"checksum": "a\x00b"}, 400),
        ({"checksum": 7}, 400),
        ({"checksum": "a" * 65}, 400),
        ({"name": "../api"}, 400),
        ({"name": "a" * 254}, 400),
        ({"namespace": None}, 400),
        ({"phase": "x" * 70_000}, 413),
    ],
)
def test_what_flagger_would_not_send_is_a_no(edge: Edge, payload: dict[str, Any], status: int) -> None:
    assert edge.status(**payload) == status


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"metadata": 3}', b"\xff\xfe", b'{"metadata": {"token": "\\ud800"}}']
)
def test_what_is_no_question_at_all_comes_from_nobody(edge: Edge, body: bytes) -> None:
    answer = httpx.post(f"{edge.at}/flagger/gate/rollback", content=body, trust_env=False)

    assert answer.status_code == 401


def test_while_the_database_does_not_answer_every_gate_is_shut(edge: Edge) -> None:
    edge.status()
    edge.opened()
    edge.down = True

    assert (edge.status(), edge.status("rollback")) == (503, 503)


def test_what_is_of_no_use_any_more_is_forgotten(edge: Edge) -> None:
    edge.status(name="gone")
    edge.status()
    edge.opened(run="1a" * 16)
    edge.clock.at += timedelta(days=31)
    edge.status()
    edge.opened()

    gone = edge.keeper.last_check(replace(_API, name="gone"), GateHook.PROMOTION)
    assert (gone, edge.keeper.opened("1a" * 16)) == (None, None)
    assert edge.keeper.opened(_RUN) is not None


@dataclass
class Shop:
    """A service managed by Flagger, a rollout under way, and Flagger asking the bot."""

    world: World
    edge: Edge
    flagger: Flagger

    @property
    def tools(self) -> Tools:
        clock = self.edge.clock
        return replace(self.world.tools, gates=self.edge.keeper, now=clock, elapsed=lambda: clock().timestamp())

    def case(self, wish: str = "", **tools: Any) -> StrategyRequest:
        site = self.world.places["prod/api"]
        thing = self.world.get(kinds.DEPLOYMENT, "api")
        with_tools = replace(self.tools, **tools)
        return StrategyRequest(
            service="prod/api", site=site, workload=thing, owner=UNMANAGED, wanted=wish, tools=with_tools
        )

    def change(self, **canary: Any) -> None:
        self.world.merge(kinds.CANARY, "api", canary)

    def push(self, image: str) -> None:
        container = {"name": "api", "image": image}
        self.world.merge(kinds.DEPLOYMENT, "api", {"spec": {"template": {"spec": {"containers": [container]}}}})

    def waits(self, phase: str = "WaitingPromotion") -> None:
        self.world.until(lambda: self.phase == phase, phase)

    @property
    def phase(self) -> str:
        return str((self.world.get(kinds.CANARY, "api").get("status") or {}).get("phase"))

    def image(self, name: str) -> str:
        found = self.world.get(kinds.DEPLOYMENT, name)["spec"]["template"]["spec"]["containers"][0]["image"]
        return str(found)


@pytest.fixture
def shop(tmp_path: Path, edge: Edge) -> Iterator[Shop]:
    with fake_world(tmp_path) as world:
        flagger = Flagger()
        for name in ("api", "api-primary"):
            world.create(kinds.DEPLOYMENT, name, **manifests.deployment("api", image="shop/api:1"))
        made = Shop(world=world, edge=edge, flagger=flagger)
        hooks = [_hook(edge, hook) for hook in GateHook]
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"}
        analysis = {"interval": "10s", "maxWeight": 20, "stepWeight": 10, "webhooks": hooks}
        world.create(kinds.CANARY, "api", spec={"targetRef": target, "analysis": analysis})
        world.place(soak=timedelta(seconds=5))
        world.fake.controllers.append(flagger)
        world.until(lambda: made.phase == "Initialized", "Flagger has seen it")
        made.push("shop/api:2")
        yield made
        world.fake.controllers.remove(flagger)
        flagger.close()


def _hook(edge: Edge, hook: GateHook) -> dict[str, Any]:
    url = f"{edge.at}/flagger/gate/{hook}"
    return {"name": str(hook), "type": str(hook), "url": url, "metadata": {"token": _NEW}}


def planned(shop: Shop, way: ways.FlaggerGateStrategy, case: StrategyRequest | None = None) -> Plan:
    """Ask twice, as an approved run needs it."""
    plan = way.plan(case or shop.case())
    assert way.plan(case or shop.case()) == plan
    return plan


def test_a_promotion_opens_the_gate_watches_the_canary_to_its_end_and_shuts_it(shop: Shop) -> None:
    shop.waits()
    plan = planned(shop, ways.PROMOTION)

    outcome = ways.PROMOTION.run(shop.case(), plan, _RUN)

    opened = shop.edge.keeper.opened(_RUN)
    assert (outcome.result, outcome.degraded, shop.phase) == (Result.DONE, "", "Succeeded")
    assert shop.image("api-primary") == "shop/api:2"
    assert opened is not None
    assert (opened.passed, opened.closed) == (True, True)
    assert "From the primary to the canary, container api: shop/api:1 -> shop/api:2." in plan.effect


def test_promote_of_a_service_that_flagger_keeps_opens_its_gate(shop: Shop) -> None:
    shop.waits()
    args = promote.PromoteArgs(service="prod/api")
    plan = promote.action.plan(args, shop.tools)

    outcome = promote.action.run(args, plan, _RUN, ANA, shop.tools)
    found = promote.action.probe(args, plan, _RUN, shop.tools)

    assert (outcome.result, found.result, shop.phase) == (Result.DONE, Result.DONE, "Succeeded")


def test_abort_of_a_service_that_flagger_keeps_opens_the_other(shop: Shop) -> None:
    shop.waits()
    args = abort.AbortArgs(service="prod/api")
    plan = abort.action.plan(args, shop.tools)

    outcome = abort.action.run(args, plan, _RUN, ANA, shop.tools)
    found = abort.action.probe(args, plan, _RUN, shop.tools)

    assert (outcome.result, found.result, shop.phase) == (Result.DONE, Result.DONE, "Failed")


def test_nothing_is_written_to_the_cluster_by_it(shop: Shop) -> None:
    shop.waits()
    before = len(shop.world.fake.writes())

    ways.PROMOTION.run(shop.case(), planned(shop, ways.PROMOTION), _RUN)

    assert len(shop.world.fake.writes()) == before


def test_an_abort_opens_the_other_gate_and_flagger_takes_it_back(shop: Shop) -> None:
    shop.waits()
    plan = planned(shop, ways.ROLLBACK)

    outcome = ways.ROLLBACK.run(shop.case(), plan, _RUN)

    assert (outcome.result, outcome.degraded, shop.phase) == (Result.DONE, "", "Failed")
    assert shop.image("api-primary") == "shop/api:1"
    assert ("rollback", 200) in shop.flagger.answers
    assert ("confirm-promotion", 200) not in shop.flagger.answers


def test_a_version_that_is_pushed_after_the_plan_is_not_promoted_by_its_approval(shop: Shop) -> None:
    shop.waits()
    plan = planned(shop, ways.PROMOTION)
    shop.push("shop/api:3")
    shop.waits("Progressing")
    shop.waits()

    with pytest.raises(Conflict, match=r"spec: .*revision: "):
        ways.PROMOTION.run(shop.case(), plan, _RUN)

    assert ("confirm-promotion", 200) not in shop.flagger.answers
    assert shop.image("api-primary") == "shop/api:1"


def test_a_flagger_that_stops_asking_leaves_the_gate_shut_and_the_run_without_effect(shop: Shop) -> None:
    shop.waits()
    plan = planned(shop, ways.PROMOTION)
    shop.flagger.silent = True

    outcome = ways.PROMOTION.run(shop.case(), plan, _RUN)

    shop.flagger.silent = False
    assert outcome.result is Result.FAILED
    assert outcome.message.startswith("Flagger has not asked for 10 min. The gate is closed again.")
    shop.world.get(kinds.CANARY, "api")
    assert shop.flagger.answers[-1] == ("confirm-promotion", 403)


def test_whoever_looks_after_a_crash_watches_on_until_flagger_has_asked_and_promoted_it(shop: Shop) -> None:
    shop.waits()
    case = shop.case()
    plan = planned(shop, ways.PROMOTION)
    untouched = ways.PROMOTION.probe(case, plan, _RUN)
    canary = shop.world.get(kinds.CANARY, "api")
    question = GateCheck(
        canary=replace(_API, namespace=shop.world.namespace), hook=GateHook.PROMOTION, revision=checksum(canary)
    )
    shop.edge.keeper.open(question, run=_RUN, lasts=_HOUR)

    told = ways.PROMOTION.probe(case, plan, _RUN)

    assert (untouched.result, told.result, told.degraded, shop.phase) == (Result.FAILED, Result.DONE, "", "Succeeded")
    assert told.message.endswith("Flagger passed the gate, and the new version was promoted.")
    opened = shop.edge.keeper.opened(_RUN)
    assert opened is not None
    assert opened.closed


def test_a_gate_that_is_open_after_a_crash_is_shut_where_flagger_does_not_ask_in_time(shop: Shop) -> None:
    shop.waits()
    plan = planned(shop, ways.PROMOTION)
    canary = shop.world.get(kinds.CANARY, "api")
    where = replace(_API, namespace=shop.world.namespace)
    shop.flagger.silent = True
    question = GateCheck(canary=where, hook=GateHook.PROMOTION, revision=checksum(canary))
    shop.edge.keeper.open(question, run=_RUN, lasts=_HOUR / 4)

    told = ways.PROMOTION.probe(shop.case(), plan, _RUN)

    opened = shop.edge.keeper.opened(_RUN)
    assert (told.result, opened is not None and opened.closed) == (Result.FAILED, True)


def test_a_gate_whose_time_is_over_before_flagger_asked_had_no_effect(shop: Shop) -> None:
    shop.waits()
    plan = planned(shop, ways.PROMOTION)
    canary = shop.world.get(kinds.CANARY, "api")
    shop.flagger.silent = True
    where = replace(_API, namespace=shop.world.namespace)
    question = GateCheck(canary=where, hook=GateHook.PROMOTION, revision=checksum(canary))
    shop.edge.keeper.open(question, run=_RUN, lasts=_HOUR)
    shop.edge.clock.at += _HOUR

    outcome = ways.PROMOTION.probe(shop.case(), plan, _RUN)

    assert (outcome.result, outcome.message) == (
        Result.FAILED,
        "The gate was closed before Flagger asked. Nothing was changed.",
    )


_REFUSALS = {
    "it is suspended": ({"suspend": True}, "is suspended"),
    "it skips its analysis": ({"skipAnalysis": True}, "promotes it at once, without asking"),
    "it asks nobody": ({"analysis": {"webhooks": []}}, "has no webhook confirm-promotion that asks this bot"),
}


@pytest.mark.parametrize(("spec", "said"), _REFUSALS.values(), ids=list(_REFUSALS))
def test_a_canary_that_will_not_ask_is_refused_with_the_reason(shop: Shop, spec: dict[str, Any], said: str) -> None:
    shop.waits()
    shop.change(spec=spec)

    with pytest.raises(Rejected, match=said):
        ways.PROMOTION.plan(shop.case())


def test_a_canary_that_is_promoted_is_not_promoted_again(shop: Shop) -> None:
    shop.waits()
    ways.PROMOTION.run(shop.case(), planned(shop, ways.PROMOTION), _RUN)

    with pytest.raises(Rejected, match="is Succeeded: no new version is in progress"):
        ways.PROMOTION.plan(shop.case())


def test_a_canary_that_is_still_analysed_is_not_promoted(shop: Shop) -> None:
    shop.change(spec={"analysis": {"maxWeight": 1000}})
    shop.waits("Progressing")

    with pytest.raises(Rejected, match=r"is Progressing, \d+% of the traffic.* when its analysis is over"):
        ways.PROMOTION.plan(shop.case())


def test_a_weight_cannot_be_chosen_and_without_gates_it_is_said_what_to_set(shop: Shop) -> None:
    shop.waits()

    with pytest.raises(Rejected, match="so 25% cannot be chosen"):
        ways.PROMOTION.plan(shop.case("25%"))
    with pytest.raises(Rejected, match=r"Set clusters\.main\.flagger\.tokens"):
        ways.PROMOTION.plan(shop.case(gates=None))


def test_a_person_who_may_not_change_the_canary_does_not_promote_it(shop: Shop) -> None:
    shop.waits()
    shop.world.fake.rights.denied["ana@example.com"] = {("patch", "canaries")}
    shop.world.place(person=ClusterUser(user="ana@example.com"))

    with pytest.raises(Rejected, match=r"^ana@example\.com may not patch canaries\.flagger\.app"):
        ways.PROMOTION.plan(shop.case())


def test_the_shipped_canary_asks_at_both_gates() -> None:
    shipped = yaml.safe_load((Path(__file__).parents[2] / "deploy/config/flagger-canary.yaml").read_text())

    asks = {one["type"]: one["url"].partition("8080")[2] for one in shipped["spec"]["analysis"]["webhooks"]}
    assert asks == {str(hook): f"/flagger/gate/{hook}" for hook in GateHook}
    assert json.dumps(shipped).count('"token"') == 2


def test_a_run_that_ends_leaves_no_gate_open_behind_it(house: House) -> None:
    keeper, question = FlaggerGates(house.store), GateCheck(canary=_API, hook=GateHook.ROLLBACK, revision="aa")
    keeper.answer(question)
    opened: list[bool] = []

    def die() -> None:
        run = house.dials.last_run["prod/api"]
        opened.append(keeper.open(question, run=run, lasts=_HOUR) and keeper.answer(question))
        house.dials.silent = True
        raise OutcomeUnknown("its process died")

    house.dials.after = [die]
    shown = house.says("turn prod/api 6")
    house.says(f"yes {handle(shown.text)}")
    for _ in range(8):
        house.clock.pass_by(minutes=3)
        house.tends()

    assert house.audited()[-1] == Code.UNKNOWN
    assert (opened, keeper.answer(question)) == ([True], False)
