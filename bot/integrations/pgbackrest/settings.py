"""The key `where` of a store whose engine is pgBackRest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field

from bot.lib.settings_fields import FILE, PROGRAM, Mistake, Secret, Section

#: Options that the engine sets itself, or that would let a restore write over the live data.
_OWN_OPTIONS = re.compile(
    r"stanza|config|repo|set|type|delta|force|target.*|archive-mode|tablespace-map.*|link-.*|db-.*|recovery-option"
    r"|lock-path|log-level-.*|output|pg\d+-path|annotation"
)
_LOWEST_PORT, _HIGHEST_PORT = 1024, 65535
_OPTION = re.compile(r"[a-z][a-z0-9-]*")
#: Parameters that keep a copy apart from its source; the engine sets them.
_OWN_PARAMETERS = re.compile(
    r"archive_.*|restore_command|recovery_.*|primary_.*|listen_addresses|port|unix_socket_.*|data_directory|hba_file"
    r"|ident_file|config_file|max_logical_replication_workers|external_pid_file|logging_collector|log_destination"
)


class PgBackRestSettings(Section):
    """A stanza of pgBackRest."""

    stanza: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", description="The stanza's name.")
    repo: int = Field(1, ge=1, le=256, description="Number of the repository; another one is another store.")
    program: Annotated[str, PROGRAM] = Field("pgbackrest", min_length=1, description="pgBackRest's program.")
    config: Annotated[str, FILE] | None = Field(
        None, min_length=1, description="pgBackRest's configuration file; left out, its usual places count."
    )
    options: Mapping[str, str] = Field(
        {}, description="Options of pgBackRest beside those of its file: repo1-path: /backups. No secrets."
    )
    secrets: Mapping[str, Secret] = Field(
        {}, description="Options that are secrets, such as repo1-cipher-pass; given to it by its environment."
    )
    url: Secret | None = Field(
        None,
        description="PostgreSQL's address of the live primary, to ask whether WAL is archived:"
        " postgresql://USER:PASSWORD@HOST/NAME.",
    )
    folder: Annotated[str, FILE] | None = Field(
        None, min_length=1, description="Folder of this host for restored clusters; left out, nothing is restored."
    )
    postgres_programs: Annotated[str, PROGRAM] = Field(
        "/usr/lib/postgresql/{version}/bin", min_length=1, description="Folder of pg_ctl and postgres of that version."
    )
    role: str = Field("postgres", min_length=1, description="A superuser of the cluster, for the checks of a copy.")
    listen: str = Field(
        "127.0.0.1",
        description="Address on which a copy that a person asked for takes connections; empty: its Unix socket alone."
        " A drill's copy has no address.",
    )
    ports: tuple[int, int] = Field((54320, 54399), description="First and last port for copies.")
    parameters: Mapping[str, str] = Field(
        {}, description="Parameters of PostgreSQL for copies, such as shared_buffers; those of the source do not apply."
    )

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        for key in ("options", "secrets"):
            named = given.get(key)
            for name in named if isinstance(named, Mapping) else ():
                if not _OPTION.fullmatch(str(name)):
                    yield (key, str(name)), "must be the name of an option without --, such as repo1-path"
                elif _OWN_OPTIONS.fullmatch(str(name)):
                    yield (key, str(name)), "is set by the bot itself; leave it out"
        parameters = given.get("parameters")
        for name in parameters if isinstance(parameters, Mapping) else ():
            if _OWN_PARAMETERS.fullmatch(str(name).lower()):
                yield (
                    ("parameters", str(name)),
                    "keeps a copy apart from its source and is set by the bot; leave it out",
                )
            elif not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", str(name)):
                yield ("parameters", str(name)), "must be the name of a parameter of PostgreSQL"
        ports = given.get("ports")
        match ports:
            case [int(first), int(last)] if not _LOWEST_PORT <= first <= last <= _HIGHEST_PORT:
                yield ("ports",), "must be two ports of 1024 to 65535, the lower one first"
