"""What belongs to a database and is in no archive of it: owner, rights, limit of connections, settings.

The trap: settings whose value is a list of names (search_path) would be quoted as one name, so these are set in a
session and taken from there.
"""

from __future__ import annotations

from bot.integrations.postgres.connection import PostgresConnection, PostgresServer

#: From variable_is_guc_list_quote in src/fe_utils/string_utils.c of PostgreSQL 18.
_LISTS = {
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
}
_PUBLIC = 0


def carry_over(server: PostgresServer, source: str, target: str) -> None:
    """Give the database `target` what `source` has. Both are on the server. May be done again.

    Raises:
        Rejected: some of it may have been done to `target`; `source` is not changed.
    """
    with server.connect() as admin:
        row = admin.rows("SELECT pg_get_userbyid(datdba), datconnlimit FROM pg_database WHERE datname = %s", [source])[
            0
        ]
        admin.change("ALTER DATABASE {name} OWNER TO {owner}", names={"name": target, "owner": row[0]})
        _copy_rights(admin, source, target)
        limit = int(row[1])
        admin.change(f"ALTER DATABASE {{name}} CONNECTION LIMIT {limit}", names={"name": target})
        settings = admin.rows(
            "SELECT coalesce((SELECT rolname FROM pg_roles r WHERE r.oid = setrole), ''), unnest(setconfig)"
            " FROM pg_db_role_setting WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = %s)",
            [source],
        )
        admin.change("ALTER DATABASE {name} RESET ALL", names={"name": target})
    for role, setting in settings:
        name, _, value = str(setting).partition("=")
        _set(server, target, str(role), name, value)


def _copy_rights(admin: PostgresConnection, source: str, target: str) -> None:
    rights = admin.rows(
        "SELECT a.grantee::bigint, coalesce(pg_get_userbyid(nullif(a.grantee, 0)), ''), a.privilege_type,"
        " a.is_grantable FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a"
        " WHERE d.datname = %s ORDER BY 1, 3",
        [source],
    )
    admin.change("REVOKE ALL ON DATABASE {name} FROM PUBLIC", names={"name": target})
    for grantee, role, privilege, grantable in rights:
        assert privilege in ("CONNECT", "CREATE", "TEMPORARY")
        text = f"GRANT {privilege} ON DATABASE {{name}} TO " + ("PUBLIC" if grantee == _PUBLIC else "{role}")
        names = {"name": target} if grantee == _PUBLIC else {"name": target, "role": role}
        admin.change(text + (" WITH GRANT OPTION" if grantable else ""), names=names)


def _set(server: PostgresServer, database: str, role: str, name: str, value: str) -> None:
    """On a connection of its own, whose session may take the setting on."""
    begin, names = "ALTER DATABASE {database} SET ", {"database": database}
    if role:
        begin, names = "ALTER ROLE {role} IN DATABASE {database} SET ", {"database": database, "role": role}
    first, _, second = name.partition(".")  # A parameter of an extension has two names.
    parameter = "{first}.{second}" if second else "{first}"
    names |= {"first": first, "second": second} if second else {"first": first}
    with server.connect() as admin:
        if name in _LISTS:
            admin.rows("SELECT set_config(%s, %s, false)", [name, value])
            admin.change(f"{begin}{parameter} FROM CURRENT", names=names)
        else:
            admin.change(f"{begin}{parameter} TO {{value}}", names=names, texts={"value": value})
