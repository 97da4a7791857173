"""What is checked of every restored PostgreSQL, whichever engine restored it, and then the checks of the settings.

The promise: a copy passes only after all of its rows were read, those outside of the tables' own files (TOAST) too.
The trap: a server that lets one in may still be in recovery, and a backup that was copied file by file may have indexes
that no longer fit their tables, which reading the tables does not show. An index that the restore itself has built from
the rows can lack none of them, unless this server is broken: so of such ones a sample is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import LiteralString, TypeVar

from bot.core.backup import Check, CheckResult, Report
from bot.core.backup_checks import run_check
from bot.core.errors import Rejected
from bot.integrations.postgres.connection import Connect, PostgresConnection, PostgresRefused

#: Indexes that amcheck reads, the smallest first up to this total; it takes as long as building them would.
_MOST_INDEXES = 200
_INDEX_BYTES = 2 * 1024**3
#: Of indexes that the restore has built itself, those up to this total are compared with all rows of their tables.
_SAMPLE_BYTES = 64 * 1024**2
#: "no binary output function available for type ...", such as aclitem.
_NO_BINARY = "42883"
_MOST_SEQUENCES = 1000
_MOST_NAMED = 5

_T = TypeVar("_T")
_R = TypeVar("_R")

_TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
AND n.nspname NOT LIKE 'pg\\_temp\\_%' AND n.nspname NOT LIKE 'pg\\_toast%'
AND (c.relkind = 'r' OR c.relispopulated) ORDER BY pg_table_size(c.oid) DESC, 1, 2
"""
_INDEXES = """
SELECT c.oid, n.nspname || '.' || c.relname, pg_relation_size(c.oid) + pg_relation_size(i.indrelid)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_am a ON a.oid = c.relam
WHERE a.amname = 'btree' AND c.relkind = 'i' AND c.relpersistence = 'p' AND i.indisvalid AND i.indisready
ORDER BY 3, 2
"""
_SEQUENCES = """
SELECT sn.nspname, s.relname, tn.nspname, t.relname, a.attname
FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
JOIN pg_namespace sn ON sn.oid = s.relnamespace
JOIN pg_class t ON t.oid = d.refobjid AND t.relkind IN ('r', 'p') JOIN pg_namespace tn ON tn.oid = t.relnamespace
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
JOIN pg_sequence q ON q.seqrelid = s.oid
WHERE d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND q.seqincrement > 0 AND NOT q.seqcycle
ORDER BY 1, 2
"""


def verify_postgres(
    connect: Connect,
    checks: Sequence[Check],
    report: Report,
    *,
    live: Connect | None = None,
    data_at: datetime | None = None,
    system_identifier: str = "",
    timeline_above: int = 0,
    jobs: int = 1,
    indexes_built: bool = False,
) -> list[CheckResult]:
    """Check the restored database that `connect` opens. Its statements may take as long as the connection allows.

    `live`: the database that it is a copy of, for roles, extensions and the checks that compare. `data_at`: the moment
    whose data it has. Of a physical copy: `system_identifier` of its source, and the timeline that it has to be above.
    `jobs`: on how many connections tables and indexes are read; `indexes_built`: the restore has built them itself.
    """
    reading = _Reading(connect=connect, report=report, jobs=jobs, indexes_built=indexes_built)
    try:
        with connect() as copy:
            found = list(_own_checks(copy, reading, live, system_identifier, timeline_above))
    except Rejected as refused:
        return [CheckResult(name="the copy can be read", expected="yes", got=refused.message, ok=False)]
    for check in checks:
        report(f"checking {check.name}")
        found.append(
            run_check(check, _asking(connect), ask_live=_asking(live) if live is not None else None, data_at=data_at)
        )
    return found


def _asking(connect: Connect) -> Callable[[str], str]:
    def ask(query: str) -> str:
        with connect() as connection:
            return connection.answer_to(query)

    return ask


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reading:
    """How a copy is read: on several connections at a time, as its restore was."""

    connect: Connect
    report: Report
    jobs: int
    indexes_built: bool
    _lock: Lock = field(default_factory=Lock)

    def each(self, items: Sequence[_T], work: Callable[[PostgresConnection, _T], _R]) -> list[_R]:
        """What `work` gives for each of them, in any order. Raises what it raises first; the others are not begun."""
        left = iter(items)

        def take() -> _T | None:
            with self._lock:
                return next(left, None)

        def act(_: int) -> list[_R]:
            done = []
            with self.connect() as connection:
                # Rows that a policy hides would not be missed; now reading them is refused.
                connection.change("SET row_security = off")
                while (item := take()) is not None:
                    try:
                        done.append(work(connection, item))
                    except Rejected:
                        while take() is not None:
                            pass
                        raise
            return done

        places = range(max(1, min(self.jobs, len(items))))
        with ThreadPoolExecutor(max_workers=len(places), thread_name_prefix="verify") as pool:
            return [one for found in pool.map(act, places) for one in found]

    def tell(self, said: str) -> None:
        with self._lock:
            self.report(said)


def _own_checks(
    copy: PostgresConnection, reading: _Reading, live: Connect | None, identifier: str, timeline: int
) -> Iterator[CheckResult]:
    report = reading.report
    yield from _server_checks(copy, identifier, timeline)
    report("reading every row")
    yield _safely("every row can be read", lambda: _read_all(copy, reading))
    report("checking indexes")
    yield _safely("indexes fit their tables", lambda: _indexes(copy, reading))
    yield _safely("indexes are valid", lambda: _invalid_indexes(copy))
    yield _safely("collations are of this system's version", lambda: _collations(copy))
    yield _safely("sequences are above their columns", lambda: _sequences(copy))
    if live is not None:
        report("comparing with the live one")
        yield _safely("roles and extensions of the live one are there", lambda: _present(copy, live))


def _server_checks(copy: PostgresConnection, identifier: str, timeline: int) -> Iterator[CheckResult]:
    recovering = str(copy.value("SELECT pg_is_in_recovery()")).lower()
    yield CheckResult(name="not in recovery", expected="false", got=recovering, ok=recovering == "false")
    if identifier:
        got = str(copy.value("SELECT system_identifier FROM pg_control_system()"))
        yield CheckResult(name="system identifier", expected=identifier, got=got, ok=got == identifier)
    if timeline and recovering != "false":
        yield CheckResult(name="timeline", expected=f"above {timeline}", got="still in recovery", ok=False)
    elif timeline:
        # Of the WAL that is being written: the checkpoint's in the control file follows only later.
        got = str(copy.value("SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int"))
        yield CheckResult(name="timeline", expected=f"above {timeline}", got=got, ok=int(got) > timeline)


def _safely(name: str, check: Callable[[], tuple[str, str, bool]]) -> CheckResult:
    """A check that cannot be made is not passed, and says why."""
    try:
        expected, got, ok = check()
    except Rejected as refused:
        return CheckResult(name=name, expected="a check that can be made", got=refused.message, ok=False)
    return CheckResult(name=name, expected=expected, got=got, ok=ok)


def _read_all(copy: PostgresConnection, reading: _Reading) -> tuple[str, str, bool]:
    """In binary form, on the server: every value is decompressed and fetched from TOAST, and nothing is sent here."""
    tables = [(number, schema, table) for number, (schema, table) in enumerate(copy.rows(_TABLES), 1)]

    def read(connection: PostgresConnection, one: tuple[int, str, str]) -> tuple[int, int]:
        number, schema, table = one
        reading.tell(f"reading table {number} of {len(tables)}: {schema}.{table}")
        return _read(connection, {"schema": schema, "table": table})

    found = reading.each(tables, read)
    rows, size = sum(count for count, _ in found), sum(length for _, length in found)
    return "at least one table", f"{rows} rows in {len(tables)} tables, {size} bytes", bool(tables)


def _read(connection: PostgresConnection, names: Mapping[str, str]) -> tuple[int, int]:
    """How many rows a table has, and how many bytes they are. As text where a type of it has no binary form."""
    try:
        [(count, length)] = connection.rows(
            "SELECT count(*), coalesce(sum(octet_length(record_send(t))), 0) FROM ONLY {schema}.{table} t", names=names
        )
    except PostgresRefused as refused:
        if refused.sqlstate != _NO_BINARY:
            raise
        [(count, length)] = connection.rows(
            "SELECT count(*), coalesce(sum(octet_length(t::text)), 0) FROM ONLY {schema}.{table} t", names=names
        )
    return int(count), int(length)


@dataclass(frozen=True, slots=True)
class _Index:
    """An index that amcheck reads. `with_rows`: it is compared with all rows of its table, and not read alone."""

    oid: int
    name: str
    with_rows: bool


def _indexes(copy: PostgresConnection, reading: _Reading) -> tuple[str, str, bool]:
    """amcheck, in transactions that are rolled back, so that the copy does not keep the extension."""
    expected = "no difference, where amcheck is installed"
    if not copy.value("SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'"):
        return expected, "not checked: the extension amcheck is not installed on the server", True
    found = copy.rows(_INDEXES)
    chosen = list(_chosen(found, sample=reading.indexes_built))
    with copy.rolled_back():
        try:
            copy.change("CREATE EXTENSION IF NOT EXISTS amcheck")
        except Rejected as refused:
            return expected, f"not checked: amcheck cannot be created ({refused.message.rstrip('.')})", True
        schema = str(
            copy.value(
                "SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'amcheck'"
            )
        )
        for one in chosen:
            statement: LiteralString = "SELECT {schema}.bt_index_check(%s::oid::regclass, %s)"
            try:
                copy.rows(statement, [one.oid, one.with_rows], names={"schema": schema})
            except Rejected as refused:
                return expected, f"{one.name}: {refused.message}", False
    compared = sum(one.with_rows for one in chosen)
    with_rows = "" if compared == len(chosen) else f", {compared} of them compared with every row"
    return expected, f"none in {len(chosen)} of {len(found)} indexes{with_rows}", True


def _chosen(found: Sequence[tuple[int, str, int]], *, sample: bool) -> Iterator[_Index]:
    """The smallest ones, which are most of them."""
    left, rows = _INDEX_BYTES, _SAMPLE_BYTES if sample else _INDEX_BYTES
    for number, (oid, name, size) in enumerate(found[:_MOST_INDEXES]):
        left, rows = left - size, rows - size
        if left < 0 and number:
            return
        yield _Index(oid, name, rows >= 0 or number == 0)


def _invalid_indexes(copy: PostgresConnection) -> tuple[str, str, bool]:
    rows = copy.rows("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1")
    return "all", f"invalid: {_named([name for (name,) in rows])}" if rows else "all", not rows


def _collations(copy: PostgresConnection) -> tuple[str, str, bool]:
    """A database that was copied to a system with other rules of sorting has indexes that miss rows, silently."""
    differing = [
        f"{name}: made with {made}, here {here}"
        for name, made, here in copy.rows(
            "SELECT collname, collversion, pg_collation_actual_version(oid) FROM pg_collation"
            " WHERE collversion IS NOT NULL AND collversion <> pg_collation_actual_version(oid)"
        )
    ]
    if copy.version >= 15:  # noqa: PLR2004 (the first that records it)
        differing += [
            f"the database: made with {made}, here {here}"
            for made, here in copy.rows(
                "SELECT datcollversion, pg_database_collation_actual_version(oid) FROM pg_database"
                " WHERE datname = current_database() AND datcollversion IS NOT NULL"
                " AND datcollversion <> pg_database_collation_actual_version(oid)"
            )
        ]
    return "the same versions", _named(differing) if differing else "the same versions", not differing


def _sequences(copy: PostgresConnection) -> tuple[str, str, bool]:
    behind = []
    found = copy.rows(_SEQUENCES)
    for sequence_schema, sequence, schema, table, column in found[:_MOST_SEQUENCES]:
        rows = copy.rows(
            "SELECT (SELECT max({column}) FROM {schema}.{table}), last_value, is_called FROM {sequences}.{sequence}",
            names={
                "column": column,
                "schema": schema,
                "table": table,
                "sequences": sequence_schema,
                "sequence": sequence,
            },
        )
        newest, last, called = rows[0]
        if newest is not None and (last < newest or (last == newest and not called)):
            behind.append(f"{sequence_schema}.{sequence} is at {last}, {table}.{column} at {newest}")
    return "all", _named(behind) if behind else f"all of {len(found)}", not behind


def _present(copy: PostgresConnection, live: Connect) -> tuple[str, str, bool]:
    """Roles that own or may use something in the live database, and its extensions."""
    roles = (
        "SELECT rolname FROM pg_roles WHERE rolname NOT LIKE 'pg\\_%' AND oid IN (SELECT refobjid FROM pg_shdepend"
        " WHERE refclassid = 'pg_authid'::regclass"
        " AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()))"
    )
    with live() as there:
        wanted_roles = {name for (name,) in there.rows(roles)}
        wanted = {name for (name,) in there.rows("SELECT extname FROM pg_extension")}
    missing = [f"extension {name}" for name in sorted(wanted - _first(copy, "SELECT extname FROM pg_extension"))]
    missing += [f"role {name}" for name in sorted(wanted_roles - _first(copy, "SELECT rolname FROM pg_roles"))]
    return "all", f"missing: {_named(missing)}" if missing else "all", not missing


def _first(copy: PostgresConnection, query: LiteralString) -> set[str]:
    return {str(name) for (name,) in copy.rows(query)}


def _named(found: Sequence[str]) -> str:
    more = f", and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return ", ".join(found[:_MOST_NAMED]) + more
