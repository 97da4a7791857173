"""`world`: the strict fake, or the cluster that KUBECONFIG names where VAKHTA_REAL_CLUSTER is set."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.able import Able
from tests.cluster.world import World, fake_world, real_world


@pytest.fixture(scope="session")
def able() -> Able:
    return Able()


@pytest.fixture
def world(tmp_path: Path, able: Able) -> Iterator[World]:
    if os.environ.get("VAKHTA_REAL_CLUSTER"):
        with real_world(os.environ["KUBECONFIG"], os.environ.get("KUBECONTEXT") or None, able) as made:
            yield made
        return
    with fake_world(tmp_path) as made:
        yield made
