"""cordon and uncordon: a node takes no new pods, or takes them again. Only a node created by the test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bot.actions import approval
from bot.core.errors import Conflict, Rejected
from bot.core.plan import Result
from bot.workloads.objects import kinds, run_markers
from commands import cordon, uncordon
from tests.cluster.wedges import Died, Wedged
from tests.cluster.world import World

_READY = {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "made by a test"}]}
_KEPT_FREE = [{"key": "vakhta.dev/test", "effect": "NoSchedule"}]


@pytest.fixture
def node(world: World) -> Iterator[str]:
    """Of a name of its own, and kept free of everybody's pods by a taint."""
    name = f"node-{world.namespace}"
    world.create(kinds.NODE, name, spec={"taints": _KEPT_FREE}, status=_READY)
    yield name
    world.remove(kinds.NODE, name)


def cordon_of(world: World, node: str) -> cordon.CordonArgs:
    return cordon.CordonArgs(node=f"{world.admin.name}/{node}")


def uncordon_of(world: World, node: str) -> cordon.CordonArgs:
    return cordon.CordonArgs(node=f"{world.admin.name}/{node}")


def closed(world: World, node: str) -> bool:
    return bool(world.get(kinds.NODE, node)["spec"].get("unschedulable"))


def close(world: World, node: str) -> None:
    """What somebody else does."""
    world.merge(kinds.NODE, node, {"spec": {"unschedulable": True}})


def refusal(world: World, action: Any, args: object) -> str:
    with pytest.raises(Rejected) as refused:
        world.plan(action, args)
    return refused.value.message


def test_a_node_takes_no_new_pods_and_takes_them_again(world: World, node: str) -> None:
    plan = world.plan(cordon.action, cordon_of(world, node))
    done = world.run(cordon.action, cordon_of(world, node), plan)
    shut = closed(world, node)
    back = world.plan(uncordon.action, uncordon_of(world, node))
    undone = world.run(uncordon.action, uncordon_of(world, node), back, run="aa" * 16)

    assert plan.effect[0] == f"Node {node} of cluster {world.admin.name} takes no new pods, except those of DaemonSets."
    assert (plan.undo_command, back.undo_command) == (
        f"uncordon {world.admin.name}/{node}",
        f"cordon {world.admin.name}/{node}",
    )
    assert (done.result, done.message) == (Result.DONE, f"Node {node} takes no new pods.")
    assert (undone.result, undone.message) == (Result.DONE, f"Node {node} takes new pods.")
    assert (shut, closed(world, node)) == (True, False)
    assert run_markers.written_by(world.get(kinds.NODE, node), "aa" * 16)


def test_its_undo_sees_what_the_run_left_and_whether_somebody_undid_it_first(world: World, node: str) -> None:
    left = dict(world.run(cordon.action, cordon_of(world, node)).expected_state)
    unmoved = approval.changed_since(left, world.plan(uncordon.action, uncordon_of(world, node)))
    world.merge(kinds.NODE, node, {"spec": {"unschedulable": None}})

    said = refusal(world, uncordon.action, uncordon_of(world, node))

    assert unmoved == ()
    assert said == f"Node {node} already takes new pods. Nothing was done."


def test_a_node_that_is_closed_already_is_refused(world: World, node: str) -> None:
    close(world, node)

    said = refusal(world, cordon.action, cordon_of(world, node))

    assert said == f"Node {node} already takes no new pods. Nothing was done."


def test_a_plan_over_which_somebody_was_faster_is_not_run(world: World, node: str) -> None:
    plan = world.plan(cordon.action, cordon_of(world, node))
    close(world, node)

    with pytest.raises(Conflict):
        world.run(cordon.action, cordon_of(world, node), plan)

    assert not run_markers.written_by(world.get(kinds.NODE, node), "5f" * 16)


def test_a_node_of_the_same_name_that_came_meanwhile_is_another_one(world: World, node: str) -> None:
    def replaced() -> None:
        world.remove(kinds.NODE, node)
        world.until(lambda: world.admin.get(world.ref(kinds.NODE, node)) is None, "the node is gone")
        world.create(kinds.NODE, node, spec={"taints": _KEPT_FREE}, status=_READY)

    plan = world.plan(cordon.action, cordon_of(world, node))
    world.hands = Wedged(world, before=replaced)

    with pytest.raises(Conflict):
        world.run(cordon.action, cordon_of(world, node), plan)

    assert not closed(world, node)


def test_a_run_is_found_by_its_mark_and_one_that_never_wrote_is_not(world: World, node: str) -> None:
    args = cordon_of(world, node)
    plan = world.plan(cordon.action, args)
    before = world.probe(cordon.action, args, plan)
    world.hands = Wedged(world, after=Died())

    with pytest.raises(Died):
        world.run(cordon.action, args, plan)
    after, other = world.probe(cordon.action, args, plan), world.probe(cordon.action, args, plan, run="bb" * 16)

    assert [one.result for one in (before, after, other)] == [Result.FAILED, Result.DONE, Result.UNKNOWN]


def test_a_node_that_somebody_opened_again_after_a_crash_is_not_called_closed(world: World, node: str) -> None:
    args = cordon_of(world, node)
    plan = world.plan(cordon.action, args)
    world.run(cordon.action, args, plan)
    world.merge(kinds.NODE, node, {"spec": {"unschedulable": None}}, by="kubectl")

    outcome = world.probe(cordon.action, args, plan)

    assert (outcome.result, outcome.expected_state) == (Result.DONE, {"schedulable": "no"})
    assert outcome.degraded.startswith("It was reverted since by ")


def test_what_still_keeps_pods_away_is_said(world: World, node: str) -> None:
    close(world, node)

    effect = world.plan(uncordon.action, uncordon_of(world, node)).effect

    assert any(said.startswith("Only pods that tolerate its taints: ") and "vakhta.dev/test" in said for said in effect)


def test_a_pod_more_or_less_is_not_another_plan(world: World, node: str) -> None:
    for number in range(6):
        world.fake.put("Pod", f"api-{number}", spec={"nodeName": node})
    six = world.plan(cordon.action, cordon_of(world, node))
    world.fake.put("Pod", "api-7", spec={"nodeName": node})
    world.fake.put("Pod", "elsewhere", spec={"nodeName": "another"})

    seven = world.plan(cordon.action, cordon_of(world, node))

    assert seven == six
    assert "Its running pods stay: at most 10 pods now. Removing them takes a drain." in six.effect


def test_the_last_node_that_takes_pods_is_never_closed(world: World) -> None:
    world.fake.put("Node", "one", spec={}, status=_READY)
    world.fake.put("Node", "closed", spec={"unschedulable": True}, status=_READY)
    world.fake.put("Node", "tainted", spec={"taints": _KEPT_FREE}, status=_READY)
    world.fake.put("Node", "unready", spec={})
    alone = refusal(world, cordon.action, cordon_of(world, "one"))
    world.fake.put("Node", "two", spec={}, status=_READY)
    plan = world.plan(cordon.action, cordon_of(world, "one"))
    world.fake.change("Node", "two", {"spec": {"unschedulable": True}})

    with pytest.raises(Rejected, match="is the last node"):
        world.run(cordon.action, cordon_of(world, "one"), plan)

    assert alone == (
        f"Node one is the last node of cluster {world.admin.name} that takes new pods. Nothing was done."
        " Add or uncordon another first."
    )
    assert not closed(world, "one")


def test_where_the_bot_may_not_see_all_pods_they_are_not_counted(world: World, node: str) -> None:
    world.fake.rights.denied["vakhta"] = {("list", "pods")}

    effect = world.plan(cordon.action, cordon_of(world, node)).effect

    assert "Its running pods stay. Removing them takes a drain." in effect


def test_whoever_may_not_patch_nodes_is_told_so_before_any_yes(world: World, node: str) -> None:
    world.fake.rights.denied["vakhta"] = {("patch", "nodes")}

    assert "The bot may not patch nodes on cluster" in refusal(world, cordon.action, cordon_of(world, node))


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("node-1", "node-1 does not name the node's cluster. Nothing was done. Write <cluster>/<node>."),
        ("mars/node-1", "The settings have no cluster mars. Nothing was done."),
    ],
)
def test_a_node_is_said_with_its_cluster(world: World, said: str, answer: str) -> None:
    assert refusal(world, cordon.action, cordon.CordonArgs(node=said)) == answer


def test_a_node_that_is_not_there_is_refused(world: World) -> None:
    assert refusal(world, cordon.action, cordon_of(world, "gone")) == (
        f"There is no Node gone on cluster {world.admin.name}. Nothing was done."
    )
