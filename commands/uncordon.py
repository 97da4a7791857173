"""uncordon: a node takes new pods again. The same action as cordon, in the other direction."""

from __future__ import annotations

from types import MappingProxyType

from commands.cordon import CordonAction

action = CordonAction(
    verb="uncordon",
    usage="uncordon <node>",
    summary="let a node take new pods again",
    limits=MappingProxyType({"nodes": "one at a time"}),
    closed=False,
)
