"""What the statements of an archive need of the server that they are run on: roles, tablespaces, extensions.

Read from the script that pg_restore prints. A line inside of a function's body may look like one of these; the archive
is then restored without owners and rights, which its plan says, and never wrongly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_ROLE = r'(?:"(?:[^"]|"")+"|[^\s;,"]+)'
_OWNERS = re.compile(rf"^ALTER [^;]* OWNER TO ({_ROLE});$", re.MULTILINE)
_GRANTS = re.compile(
    rf"^(?:ALTER DEFAULT PRIVILEGES .*)?(?:GRANT|REVOKE) [^;]* (?:TO|FROM) ({_ROLE})[^;]*;$", re.MULTILINE
)
_FOR_ROLE = re.compile(rf"^ALTER DEFAULT PRIVILEGES FOR ROLE ({_ROLE}) ", re.MULTILINE)
_POLICIES = re.compile(rf"^CREATE POLICY [^;]*? TO ({_ROLE}(?:, {_ROLE})*)[\s;]", re.MULTILINE)
_TABLESPACES = re.compile(rf"^SET default_tablespace = ({_ROLE});$", re.MULTILINE)
_EXTENSIONS = re.compile(rf"^CREATE EXTENSION IF NOT EXISTS ({_ROLE}) ", re.MULTILINE)
_NOBODY = {"PUBLIC", "CURRENT_USER", "SESSION_USER", "CURRENT_ROLE"}


@dataclass(frozen=True, kw_only=True, slots=True)
class ArchiveNeeds:
    """Names that have to be there before it is restored as it is."""

    roles: frozenset[str]
    tablespaces: frozenset[str]
    extensions: frozenset[str]
    foreign_servers: bool  #: the copy could reach other servers
    subscriptions: bool


def needs_of(schema: str) -> ArchiveNeeds:
    """From the statements before and after the rows."""
    roles = {*_names(_OWNERS, schema), *_names(_GRANTS, schema), *_names(_FOR_ROLE, schema)}
    for several in _POLICIES.findall(schema):
        roles.update(map(_plain, re.findall(_ROLE, several)))
    return ArchiveNeeds(
        roles=frozenset(roles - _NOBODY),
        tablespaces=frozenset(name for name in _names(_TABLESPACES, schema) if name not in ("", "''")),
        extensions=frozenset(_names(_EXTENSIONS, schema)),
        foreign_servers="\nCREATE SERVER " in schema,
        subscriptions="\nCREATE SUBSCRIPTION " in schema,
    )


def _names(pattern: re.Pattern[str], schema: str) -> Iterator[str]:
    return map(_plain, pattern.findall(schema))


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
