"""Where a drill's copy is put: apart from production."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class DrillPlace:
    security_groups: tuple[str, ...]
    subnet_group: str | None
    instance_class: str | None
