"""The settings of a store of CloudNativePG, and the rights that it takes."""

from __future__ import annotations

import pytest

from bot.core.backup import CopyState
from bot.integrations.cloudnativepg import rights
from bot.integrations.cloudnativepg.settings import CloudNativePgSettings
from bot.workloads.rbac import role_documents
from tests.cluster.world import BOT
from tests.integrations.cloudnativepg.conftest import RUN, CnpgGround

_GOOD = {"cluster": "main", "namespace": "shop", "name": "orders", "url": "postgresql://u:p@{name}-rw.shop/app"}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"url": "postgresql://u:p@orders-rw.shop/app"}, "must have {name} in its host"),
        ({"egress_ports": [53, 5432]}, "must not have 5432"),
        ({"namespace": "Shop"}, "must be the name of a namespace"),
    ],
)
def test_a_mistake_is_told_in_words(said: dict[str, object], told: str) -> None:
    assert any(told in message for _, message in CloudNativePgSettings.mistakes({**_GOOD, **said}))


def test_a_good_section_has_no_mistakes_and_says_where_it_is() -> None:
    assert list(CloudNativePgSettings.mistakes(_GOOD)) == []
    assert CloudNativePgSettings.model_validate(_GOOD).place == "shop/orders in cluster main"


def test_with_nothing_else_granted_a_drill_a_backup_and_a_removal_work(ground: CnpgGround) -> None:
    ground.backed_up()
    where = CloudNativePgSettings.model_validate(ground.said)
    ground.fake.rights.strip(BOT)
    wanted = [*rights.to_read(where), *rights.to_restore(where), *rights.to_back_up(where)]
    ground.fake.rights.apply(role_documents(wanted, BOT))
    task = ground.task()

    ground.engine.begin(task)
    status = ground.ended(task)
    [copy] = ground.engine.copies()
    ground.engine.remove(copy)
    ground.engine.begin_backup(RUN)

    assert status.state is CopyState.RESTORED
    assert ground.engine.look_backup(RUN).state is not CopyState.ABSENT
