"""The settings of a store of Velero: what cannot be meant is said."""

from __future__ import annotations

import pytest

from bot.integrations.velero.settings import VeleroSettings

_GOOD = {"cluster": "main", "included": ["shop"], "schedule": "nightly"}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"schedule": None}, "say either schedule or labels"),
        ({"labels": "team=shop"}, "say either schedule or labels"),
        ({"included": ["a" * 50]}, "of at most 46 characters"),
        ({"included": ["Shop"]}, "must be the name of a namespace"),
        ({"empty_volumes": ["data"]}, "must be NAMESPACE/CLAIM"),
        ({"probe_target": "db.shop:5432"}, "must be IP:PORT"),
        ({"namespace": "Velero"}, "must be the name of a namespace"),
    ],
)
def test_a_mistake_is_told_in_words(said: dict[str, object], told: str) -> None:
    assert any(told in message for _, message in VeleroSettings.mistakes({**_GOOD, **said}))


def test_a_good_section_has_no_mistakes_and_says_where_it_is() -> None:
    assert list(VeleroSettings.mistakes({**_GOOD, "probe_target": "10.0.0.1:5432"})) == []
    assert VeleroSettings.model_validate(_GOOD).place == "shop in cluster main"
