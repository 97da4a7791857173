"""Whether a drill's copy in RDS is apart from production.

It is read from the security groups, and tried by a connection where that must fail. Where the bot itself is let in, to
check the data, a connection from here proves nothing, and that is said.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from bot.core.errors import Rejected
from bot.integrations.aws.client import AwsService
from bot.integrations.aws.rds_database import RdsDatabase

_CONNECT_S = 5.0
#: Addresses in a range that may be the bot's own, by the version of IP: a subnet's. A wider one has production in it.
_FEW = {4: 2**8, 6: 2**64}


def leak_of(copy: RdsDatabase, live: RdsDatabase | None, wanted: tuple[str, ...], ec2: AwsService) -> str:
    """How the copy is reached by others, or reaches them, by its security groups; "" if it is not.

    Raises:
        Rejected: they cannot be read, so nobody knows.
    """
    groups = {one["VpcSecurityGroupId"] for one in copy.raw.get("VpcSecurityGroups") or ()}
    if copy.raw.get("PubliclyAccessible"):
        return f"{copy.name} has a public address"
    if groups != set(wanted):
        return f"{copy.name} is in the security groups {', '.join(sorted(groups)) or 'none'}, not in those of drills"
    used = {one["VpcSecurityGroupId"] for one in (live.raw.get("VpcSecurityGroups") or ())} if live else set()
    if shared := groups & used:
        return f"{copy.name} shares the security group {', '.join(sorted(shared))} with the live database"
    for page in ec2.pages("DescribeSecurityGroups", GroupIds=sorted(groups)):
        for group in page["SecurityGroups"]:
            if group.get("IpPermissionsEgress"):
                return (
                    f"the security group {group['GroupId']} lets {copy.name} connect outwards; remove its egress rules"
                )
            for rule in group.get("IpPermissions") or ():
                if who := _who_is_let_in(rule, used):
                    port = rule.get("FromPort", "any")
                    return f"the security group {group['GroupId']} lets {who} in at port {port}"
    return ""


def connects(host: str, port: int) -> str:
    """Why a connection to it failed; "" if it did not fail."""
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_S):
            return ""
    except OSError as error:
        return error.strerror or type(error).__name__


def refuse_without_groups(groups: tuple[str, ...], live: RdsDatabase | None) -> None:
    """Raises `Rejected`: a drill would be in production's network."""
    if not groups:
        raise Rejected(
            "A drill needs security groups of its own (security_groups of the store), so that its copy talks to nobody "
            "in production. Nothing was done."
        )
    used = {one["VpcSecurityGroupId"] for one in (live.raw.get("VpcSecurityGroups") or ())} if live else set()
    if shared := set(groups) & used:
        raise Rejected(
            f"The security group {', '.join(sorted(shared))} is the live database's own, so a drill would not be apart "
            "from production. Nothing was done. Name others in security_groups."
        )


def _who_is_let_in(rule: Mapping[str, Any], used: set[str]) -> str:
    """Whom, beside some few addresses or a group of the bot's; "" for nobody."""
    for one in (*rule.get("IpRanges", ()), *rule.get("Ipv6Ranges", ())):
        network = ip_network(one.get("CidrIp") or one.get("CidrIpv6"), strict=False)
        if network.num_addresses > _FEW[network.version]:
            return "everybody" if network.prefixlen == 0 else f"all of {network}"
    for prefixes in rule.get("PrefixListIds", ()):
        return f"the prefix list {prefixes.get('PrefixListId')}, whatever is in it,"
    for pair in rule.get("UserIdGroupPairs", ()):
        if pair.get("GroupId") in used:
            return "the live database's own group, and so production,"
    return ""
