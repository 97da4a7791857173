"""The marks that a run leaves on objects, and who wrote a field last."""

from __future__ import annotations

from typing import Any

import pytest

from bot.workloads.objects.run_markers import annotation, field_manager, owner_of_field, written_by

_RUN = "5f" * 16


def entry(by: str, fields: dict[str, Any], *, at: str = "2026-11-24T03:00:00Z", sub: str = "") -> dict[str, Any]:
    return {"manager": by, "time": at, "fieldsV1": fields} | ({"subresource": sub} if sub else {})


_REPLICAS: dict[str, Any] = {"f:spec": {"f:replicas": {}}}


def thing(*entries: dict[str, Any], **notes: str) -> dict[str, Any]:
    return {"metadata": {"managedFields": list(entries), "annotations": notes}}


def test_a_run_is_found_by_the_fields_that_it_wrote_or_by_its_annotation() -> None:
    assert written_by(thing(entry(field_manager(_RUN), _REPLICAS)), _RUN)
    assert written_by(thing(**annotation(_RUN)), _RUN)
    assert not written_by(thing(entry(field_manager("other"), _REPLICAS), **annotation("other")), _RUN)
    assert not written_by({"metadata": {}}, _RUN)


def test_a_manager_s_name_fits_into_what_the_api_takes() -> None:
    assert len(field_manager(_RUN)) <= 128


@pytest.mark.parametrize(
    ("entries", "owner"),
    [
        ((), ""),
        ((entry("kubectl", {"f:spec": {"f:paused": {}}}),), ""),
        ((entry("kubectl", _REPLICAS),), "kubectl"),
        ((entry("kube-controller-manager", _REPLICAS, sub="scale"),), "the HorizontalPodAutoscaler"),
        ((entry("argocd-controller", _REPLICAS),), "Argo CD"),
        (
            (
                entry("keda", _REPLICAS, at="2026-11-24T03:00:05Z"),
                entry("kubectl", _REPLICAS, at="2026-11-24T03:00:01Z"),
            ),
            "KEDA",
        ),
    ],
)
def test_the_newest_writer_of_a_field_is_named_as_people_know_it(
    entries: tuple[dict[str, Any], ...], owner: str
) -> None:
    assert owner_of_field(thing(*entries), "spec", "replicas") == owner
