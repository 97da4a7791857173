"""What the controllers of the fake Kubernetes work on: its objects, its clock, and what a test has told it."""

from __future__ import annotations

from typing import Any

from tests.fakes.kubernetes_store import Objects
from tests.fakes.ticking import Ticking


class Insides:
    """Not locked: whoever owns it holds a lock around each use."""

    def __init__(self, clock: Ticking) -> None:
        self.clock = clock
        self.objects = Objects(clock)
        self.broken_images: set[str] = set()  #: cannot be pulled
        self.crashing_images: set[str] = set()  #: start, and end at once
        self.hpa_wants: dict[str, int] = {}  #: so many replicas the metrics ask for, by the name of the HPA
        self.no_metrics: set[str] = set()  #: HPAs and ScaledObjects, by name, whose metrics cannot be had
        self.verdicts: dict[str, dict[str, Any] | None] = {}
        """What an admission webhook says, by its name: a Status, or None for yes. One that is not here is down."""
        self.git: dict[tuple[str, str], dict[str, Any]] = {}  #: by kind and name: the fields that Argo CD keeps
        self.logs: dict[tuple[str, str], str] = {}  #: what a pod printed, by namespace and name
