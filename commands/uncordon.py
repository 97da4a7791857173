"""uncordon: a node takes new pods again. The same action as cordon, in the other direction."""

from __future__ import annotations

from types import MappingProxyType

from bot.core.manual import Facility, Manual, Topic
from commands.cordon import CordonAction

action = CordonAction(
    verb="uncordon",
    usage="uncordon <node>",
    summary="let a node take new pods again",
    manual=Manual(
        topic=Topic.WORKLOADS,
        examples=("uncordon main/ip-10-0-0-1",),
        details="A node is named with its cluster.",
        way_back="`cordon` the same node.",
        needs=(Facility.CLUSTER,),
    ),
    limits=MappingProxyType({"nodes": "one at a time"}),
    closed=False,
)
