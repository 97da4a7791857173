"""What a plan has seen, from its flow and from its engine, under keys that cannot meet.

The trap: both call something `backup`. The one that is written last takes the other's place, so a change of it is never
seen, or is seen in every plan.
"""

from __future__ import annotations

from collections.abc import Mapping


def of_engine(seen: Mapping[str, str]) -> Mapping[str, str]:
    """The preconditions of an engine's preview, as they stand in a plan beside those of the flow."""
    return {f"engine: {key}": value for key, value in seen.items()}
