"""Whether two pod templates run the same, what a change between them does, what they need."""

from __future__ import annotations

from typing import Any

import pytest

from bot.workloads.objects import kinds, pod_template


def template(image: str = "shop/api:1", **container: Any) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"app": "api"}},
        "spec": {"containers": [{"name": "api", "image": image} | container]},
    }


def env(**values: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


RESTARTED = template() | {
    "metadata": {"labels": {"app": "api"}, "annotations": {"kubectl.kubernetes.io/restartedAt": "x"}}
}


@pytest.mark.parametrize(
    ("other", "alike"),
    [
        (template(), True),
        (RESTARTED, True),
        (template(env=[]), True),
        (template("shop/api:2"), False),
        (template(command=["serve"]), False),
        (template(args=["-v"]), False),
        (template(env=env(LEVEL="debug")), False),
        (template(envFrom=[{"configMapRef": {"name": "api"}}]), False),
        (template() | {"spec": {**template()["spec"], "initContainers": [{"name": "wait", "image": "wait:1"}]}}, False),
        (template(resources={"limits": {"memory": "1Gi"}}), True),
    ],
)
def test_a_template_runs_the_same_where_images_commands_and_environments_do(other: dict[str, Any], alike: bool) -> None:  # noqa: FBT001
    assert pod_template.runs_alike(template(), other) is alike


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        (template(), RESTARTED, ()),
        (template("shop/api:2"), template("shop/api:1"), ("container api: shop/api:2 -> shop/api:1",)),
        (
            template(env=env(LEVEL="debug", SAME="1")),
            template(env=env(SAME="1", TOKEN="abc")),
            ("container api: environment changes: LEVEL, TOKEN",),
        ),
        (
            template(command=["a"], args=["b"]),
            template(),
            ("container api: command changes", "container api: arguments change"),
        ),
        (
            {"spec": {"containers": [{"name": "old", "image": "old:1"}]}},
            {"spec": {"initContainers": [{"name": "new", "image": "new:1"}]}},
            ("container old: removed (old:1)", "container new: added with new:1"),
        ),
    ],
)
def test_what_a_change_does_is_told_by_container(
    before: dict[str, Any], after: dict[str, Any], lines: tuple[str, ...]
) -> None:
    assert pod_template.differences(before, after) == lines


def test_what_an_environment_holds_is_never_told() -> None:
    told = pod_template.differences(template(env=env(TOKEN="hunter2")), template(env=env(TOKEN="hunter3")))

    assert told == ("container api: environment changes: TOKEN",)


def test_what_controllers_add_and_what_is_null_is_no_difference() -> None:
    kept = {
        "$patch": "replace",
        "metadata": {"creationTimestamp": None, "labels": {"app": "api", "pod-template-hash": "6d4cf56db6"}},
        "spec": {"containers": [{"name": "api", "image": "shop/api:1", "args": None}]},
    }

    assert pod_template.bare(kept, "pod-template-hash") == pod_template.bare(template())
    assert pod_template.bare(kept) != pod_template.bare(template())


def test_what_pods_cannot_start_without_is_found_wherever_it_is_named() -> None:
    needy = template(
        env=[
            {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "by-key", "key": "a"}}},
            {"name": "B", "valueFrom": {"secretKeyRef": {"name": "secret-by-key", "key": "b"}}},
            {"name": "C", "valueFrom": {"secretKeyRef": {"name": "maybe", "key": "c", "optional": True}}},
            {"name": "D", "value": "plain"},
        ],
        envFrom=[{"configMapRef": {"name": "whole"}}, {"secretRef": {"name": "maybe-not", "optional": True}}],
    )
    needy["spec"]["volumes"] = [
        {"name": "a", "configMap": {"name": "mounted"}},
        {"name": "b", "secret": {"secretName": "secret-mounted"}},
        {"name": "c", "projected": {"sources": [{"secret": {"name": "projected"}}, {"serviceAccountToken": {}}]}},
        {"name": "d", "emptyDir": {}},
    ]

    assert pod_template.needs(needy) == {
        (kinds.CONFIG, "by-key"),
        (kinds.CONFIG, "whole"),
        (kinds.CONFIG, "mounted"),
        (kinds.SECRET, "secret-by-key"),
        (kinds.SECRET, "secret-mounted"),
        (kinds.SECRET, "projected"),
    }
