"""`world`: the strict fake, or the cluster that KUBECONFIG names where VAKHTA_REAL_CLUSTER is set."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.able import Able
from tests.cluster.world import World, fake_world, real_world

_REAL = bool(os.environ.get("VAKHTA_REAL_CLUSTER"))


@pytest.fixture(scope="session")
def able() -> Able:
    if _REAL:
        # As Ctrl-C ends it: whatever was made on the cluster goes first.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    return Able()


@pytest.fixture
def world(tmp_path: Path, able: Able) -> Iterator[World]:
    if _REAL:
        with real_world(os.environ["KUBECONFIG"], os.environ.get("KUBECONTEXT") or None, able) as made:
            yield made
        return
    with fake_world(tmp_path) as made:
        yield made
