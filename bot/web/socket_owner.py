"""Finds the Unix account that owns the other end of a loopback connection, in the kernel's table of TCP sockets.

The trap: a socket that no process holds any more is listed with uid 0. Its inode is 0 too, which tells it from root's.
"""

from __future__ import annotations

import pwd
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path

#: An IPv4 client may be listed in either table, depending on the server's socket.
_TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))
_UID, _INODE = 7, 9  #: columns of the table
#: The uids that Debian and systemd give to services: system accounts; dynamic users and `nobody`.
_SERVICE_UIDS = (range(1, 1000), range(60_514, 65_536))

#: Shells of accounts without login.
_NO_SHELLS = ("nologin", "false", "sync")

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class UnixAccount:
    uid: int
    shell: str | None  #: None: this machine, or container, has no account with that uid


def account_behind(client: Address, server: Address) -> UnixAccount | None:
    """The account whose process holds the client's socket; None if no process holds it.

    Raises:
        FileNotFoundError: this system has no such table.
        OSError: the table cannot be read now.
    """
    rows = _rows(client, server)
    for table in _TABLES:
        try:
            with table.open(encoding="ascii", errors="replace") as lines:
                found = uid_in(lines, rows)
        except FileNotFoundError:
            if table is _TABLES[0]:
                raise
            continue  # no IPv6 here
        if found is not None:
            return UnixAccount(found, _shell_of(found))
    return None


def uid_in(lines: Iterable[str], rows: Iterable[str]) -> int | None:
    """The uid of the first line with one of `rows` (both addresses as the table writes them) that a process holds."""
    for line in lines:
        if any(row in line for row in rows):
            fields = line.split()
            if fields[_INODE] != "0":
                return int(fields[_UID])
    return None


def is_service(account: UnixAccount, *, own: int) -> bool:
    """Whether a service has the account (a proxy, another container). Root and the bot's own count as people."""
    if account.uid in (0, own):
        return False
    if account.shell is None or account.shell.rpartition("/")[2] in _NO_SHELLS:
        return True
    return any(account.uid in services for services in _SERVICE_UIDS)


def _shell_of(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_shell
    except KeyError:
        return None


def _rows(client: Address, server: Address) -> list[str]:
    """How the table may write the client's socket: as IPv4 if it is IPv4, and as IPv6."""
    ends = [(ip_address(host.partition("%")[0]), port) for host, port in (client, server)]
    plain = [(getattr(address, "ipv4_mapped", None) or address, port) for address, port in ends]
    if any(isinstance(address, IPv6Address) for address, _ in plain):
        return [_row([(address.packed, port) for address, port in plain])]
    mapped = [(bytes(10) + b"\xff\xff" + address.packed, port) for address, port in plain]
    return [_row([(address.packed, port) for address, port in plain]), _row(mapped)]


def _row(ends: Iterable[tuple[bytes, int]]) -> str:
    return " " + " ".join(f"{_written(address)}:{port:04X}" for address, port in ends) + " "


def _written(address: bytes) -> str:
    """The address as 32-bit words, each a number in this machine's byte order."""
    words = [address[place : place + 4] for place in range(0, len(address), 4)]
    return "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)
