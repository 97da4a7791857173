"""The one place where what a flow wants to find unchanged is joined with what its engine wants. Pure.

The trap: both choose their own words, and both say "backup", "copy" and "live". Merged as they are, one would silently
replace the other: a drill that never begins, or a backup made anew under the same name that nobody notices.
"""

from __future__ import annotations

from collections.abc import Mapping


def joined(engine: Mapping[str, str], flow: Mapping[str, str]) -> dict[str, str]:
    """Both, none lost: an engine's word that the flow uses too is called "engine's <word>"."""
    both = dict(flow)
    for key, value in engine.items():
        name = key
        while name in both or (name != key and name in engine):
            name = f"engine's {name}"
        both[name] = value
    return both
