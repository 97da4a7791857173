"""The bench of a channel as a fixture."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.integrations.benches import BENCHES
from tests.integrations.contract import Bench


@pytest.fixture
def bench(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """The bench of the channel named by the parameter, started."""
    assert request.param in BENCHES, f"the channel {request.param!r} has no bench in tests/integrations/benches.py"
    before = frozenset(threading.enumerate())
    with BENCHES[request.param](monkeypatch) as bench, bench.door:
        bench.threads_before = before
        bench.channel.start(bench.door)
        try:
            bench.wait_until_it_listens()
            yield bench
        finally:
            bench.channel.stop()
