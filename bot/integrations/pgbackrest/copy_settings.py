"""The configuration of a restored cluster: its own, and nothing of its source's. Pure.

The traps: Debian keeps postgresql.conf outside of the data directory, so it is in no backup; what ALTER SYSTEM has set
is in it, and wins over every file. A copy that archived would write into its source's stanza; one with the source's
subscriptions, standby connection or background workers (pg_cron) would work on production. And a server whose
max_connections is lower than its source's pauses its recovery for ever.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from bot.integrations.pgbackrest.copy_folder import CopyFolder
from bot.integrations.pgbackrest.recovery_log import LINE_PREFIX

_LINE = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_.]*)\s*(?:=\s*|\s)(.*?)\s*")
#: Not archive_cleanup_command and recovery_end_command: pgBackRest leaves them as ALTER SYSTEM has set them at the
#: source, and the copy would run them there (pg_archivecleanup on the live archive).
_RECOVERY = re.compile(r"restore_command|recovery_target\w*")
#: As pg_controldata names them -> the parameter. A standby must have at least the primary's.
_LEAST = {
    "max_connections": "max_connections",
    "max_worker_processes": "max_worker_processes",
    "max_wal_senders": "max_wal_senders",
    "max_prepared_xacts": "max_prepared_transactions",
    "max_locks_per_xact": "max_locks_per_transaction",
}
_CONTROL = re.compile(r"(\w+) setting:\s+(\d+)")
_ANY_PASSWORD = "scram-sha-256"  # noqa: S105 (the name of a method)

#: What is true of every copy, whatever else is set.
APART = {
    "archive_mode": "off",
    "archive_command": "",
    "archive_cleanup_command": "",
    "recovery_end_command": "",
    "primary_conninfo": "",
    "primary_slot_name": "",
    "max_logical_replication_workers": "0",
    "hot_standby": "on",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_timezone": "UTC",
    "log_line_prefix": LINE_PREFIX,
}


def recovery_lines(auto_conf: str) -> tuple[str, ...]:
    """Of postgresql.auto.conf, as pgBackRest has written it, the lines that say how to recover."""
    found = {}
    for line in auto_conf.splitlines():
        parts = _LINE.fullmatch(line)
        if parts and _RECOVERY.fullmatch(parts[1]):
            found[parts[1]] = line.strip()
    return tuple(found.values())


def least_parameters(control: str) -> Mapping[str, str]:
    """From pg_controldata's output: what the copy must have at least, so that recovery does not pause."""
    said = dict(_CONTROL.findall(control))
    return {parameter: said[name] for name, parameter in _LEAST.items() if name in said}


def server_settings(
    folder: CopyFolder, *, port: int, listen: str, control: str, parameters: Mapping[str, str], name: str
) -> str:
    """The text of its postgresql.conf. `listen` "": its socket alone."""
    least = dict(least_parameters(control))
    for key, value in parameters.items():
        if key in least and value.isdecimal() and int(value) < int(least[key]):
            continue
        least[key] = value
    every = {
        "shared_preload_libraries": "",
        **least,
        **APART,
        "data_directory": str(folder.data),
        "hba_file": str(folder.settings / "pg_hba.conf"),
        "ident_file": str(folder.settings / "pg_ident.conf"),
        "listen_addresses": listen,
        "port": str(port),
        "unix_socket_directories": str(folder.socket),
        "unix_socket_permissions": "0700",
        "cluster_name": name,
    }
    return "".join(f"{key} = {quoted(value)}\n" for key, value in every.items())


def access_rules(*, listen: str) -> str:
    """The text of its pg_hba.conf. The socket's folder belongs to the bot's own user, and nobody else can enter it;
    over the network the passwords of the source count, because its roles are in the copy.
    """
    lines = ["local all all trust"]
    if listen:
        lines += [f"host all all {place} {_ANY_PASSWORD}" for place in ("0.0.0.0/0", "::/0")]
    return "\n".join([*lines, ""])


def auto_settings(recovery: Iterable[str]) -> str:
    """The text of postgresql.auto.conf: what ALTER SYSTEM has set at the source is left out."""
    return "\n".join(["# Written by Vakhta for a restored copy.", *recovery, ""])


def quoted(value: str | Path) -> str:
    """A value in PostgreSQL's configuration."""
    return "'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"
