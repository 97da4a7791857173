"""Runs on what Argo CD manages, through the whole bot: auto-sync paused, a rollback, auto-sync resumed on time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.access.policy import Role, Rule
from bot.core.audit import Code
from bot.integrations.argocd.client import ArgoCdClient
from bot.integrations.argocd.settings import ArgoCdSettings
from bot.workloads.objects import kinds
from tests.cluster import manifests
from tests.cluster.world import World, fake_world
from tests.fakes.argocd import FakeArgoCd
from tests.house import ANA, House
from tests.runs import done, wait_until_told

_POLICY = {"automated": {"selfHeal": True, "prune": True}, "syncOptions": ["CreateNamespace=true"]}
_MAY = Role(name="turner", allow=tuple(Rule(do=do) for do in ("autosync *", "rollback *", "undo")))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with fake_world(tmp_path) as made:
        mark = {"argocd.argoproj.io/tracking-id": f"shop:apps/Deployment:{made.namespace}/api"}
        body = manifests.deployment(replicas=2, image="vakhta.test/api:2")
        made.create(kinds.DEPLOYMENT, "api", **body, metadata={"annotations": mark})
        yield made


@pytest.fixture
def argocd(world: World) -> Iterator[FakeArgoCd]:
    """It ran image 1 by revision a, runs image 2 by b, and syncs by itself."""
    with FakeArgoCd(world.fake) as made:
        made.put(destination={"namespace": world.namespace}, syncPolicy=_POLICY)
        made.manifests = {
            letter * 40: {("Deployment", "api"): {"spec": {"template": manifests.template("api", image)}}}
            for letter, image in (("a", "vakhta.test/api:1"), ("b", "vakhta.test/api:2"))
        }
        section = ArgoCdSettings(url=made.url, token=SecretStr("argo-token"))
        world.place(argocd=ArgoCdClient(section), soak=timedelta(seconds=5))
        world.until(lambda: world.get(kinds.DEPLOYMENT, "api").get("status", {}).get("availableReplicas") == 2, "2")
        yield made


@pytest.fixture
def on_call(house: House, world: World, argocd: FakeArgoCd) -> Iterator[House]:
    """The whole bot, in which Ana may do both. Waits there end by a clock of their own."""
    assert argocd.url, "it is open before anybody asks"
    house.tools = replace(
        house.tools, targets=world, now=world.clock, elapsed=world.tools.elapsed, poll_interval=timedelta(0)
    )
    house.runs._parts = replace(house.runs._parts, tools=house.tools)
    house.roles = (_MAY, *(one for one in house.roles if one.name != _MAY.name))
    house.settle({("slack", "U1"): ANA})
    yield house
    house.runs.stop(timedelta(seconds=10))


def image(world: World) -> str:
    return str(world.get(kinds.DEPLOYMENT, "api")["spec"]["template"]["spec"]["containers"][0]["image"])


def test_paused_for_a_while_it_is_rolled_back_and_git_is_let_in_again_by_itself(
    on_call: House, world: World, argocd: FakeArgoCd
) -> None:
    refused = on_call.says("rollback prod/api")
    done(on_call, "autosync prod/api off for 2h")
    done(on_call, "rollback prod/api")
    there, paused = image(world), argocd.app()["spec"]["syncPolicy"]

    on_call.clock.pass_by(hours=2, minutes=1)
    on_call.tends()
    wait_until_told(on_call)

    assert "Say `autosync prod/api off for 2h` first" in refused.text
    assert (there, paused) == ("vakhta.test/api:1", {"syncOptions": ["CreateNamespace=true"]})
    assert argocd.app()["spec"]["syncPolicy"] == _POLICY
    assert on_call.audited()[-1] is Code.DONE


def test_a_policy_that_somebody_set_meanwhile_is_not_overwritten_when_the_time_is_over(
    on_call: House, argocd: FakeArgoCd
) -> None:
    done(on_call, "autosync prod/api off for 2h")
    argocd.change(spec={"syncPolicy": {"automated": {"prune": False}}})

    on_call.clock.pass_by(hours=2, minutes=1)
    on_call.tends()
    on_call.tends()

    assert argocd.app()["spec"]["syncPolicy"]["automated"] == {"prune": False}
    assert [one.title.partition(":")[0] for one in on_call.incidents()] == ["RunNotUndone"]
