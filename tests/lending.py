"""Databases of PostgreSQL that are lent to one test after another: to copy one takes far longer than to empty it.

Only what is whole is lent again. Nobody may still be connected to it, for whoever is could write into the next test's;
and when it has been emptied its shape has to be the template's to the letter. One that a test has tampered with is
left alone for good, and a new copy is made.
"""

from __future__ import annotations

from collections import deque

import psycopg

from tests.postgres import Postgres

_OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""

# As a replica, foreign keys ask nothing; what guards the audit log asks all the same, and lets a pruning through. The
# guards of a table on which a test has switched them off are put back, for the shape to show whether that was all.
_EMPTY = """
DO $$
DECLARE of text; guard text;
BEGIN
  SET LOCAL session_replication_role = replica;
  SET LOCAL vakhta.audit_prune = 'on';
  FOR of IN SELECT oid::regclass FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
  LOOP EXECUTE 'DELETE FROM ' || of; END LOOP;
  PERFORM setval(format('%I.%I', schemaname, sequencename), start_value, false)
    FROM pg_sequences WHERE last_value IS NOT NULL;
  FOR of IN SELECT DISTINCT tgrelid::regclass FROM pg_trigger WHERE tgenabled = 'D'
  LOOP EXECUTE format('ALTER TABLE %s ENABLE TRIGGER ALL', of); END LOOP;
  FOR of, guard IN SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgenabled = 'O' AND NOT tgisinternal
  LOOP EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', of, guard); END LOOP;
END $$
"""

_SHAPE = """
WITH ours AS (
  SELECT oid FROM pg_namespace WHERE nspname NOT IN ('pg_catalog', 'information_schema') AND nspname !~ '^pg_'
), relation AS (
  SELECT * FROM pg_class WHERE relnamespace IN (TABLE ours)
), line (said) AS (
  SELECT concat_ws(' ', oid::regclass, relkind, relacl, reloptions, relrowsecurity) FROM relation
  UNION ALL SELECT concat_ws(' ', attrelid::regclass, attnum, attname, format_type(atttypid, atttypmod), attnotnull,
      attacl, pg_get_expr(adbin, adrelid))
    FROM pg_attribute LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)
    WHERE attrelid IN (SELECT oid FROM relation) AND attnum > 0
  UNION ALL SELECT concat_ws(' ', pg_get_indexdef(indexrelid), indisvalid)
    FROM pg_index WHERE indrelid IN (SELECT oid FROM relation)
  UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace IN (TABLE ours)
  UNION ALL SELECT concat_ws(' ', tgrelid::regclass, tgenabled, tgfoid::regproc, tgtype,
      CASE WHEN NOT tgisinternal THEN pg_get_triggerdef(oid) END)
    FROM pg_trigger
  UNION ALL SELECT concat_ws(' ', pg_get_functiondef(oid), proacl)
    FROM pg_proc WHERE pronamespace IN (TABLE ours) AND prokind IN ('f', 'p')
  UNION ALL SELECT concat_ws(' ', seqrelid::regclass, seqtypid::regtype, seqstart, seqincrement, seqmin, seqmax)
    FROM pg_sequence
  UNION ALL SELECT concat_ws(' ', nspname, nspacl) FROM pg_namespace WHERE oid IN (TABLE ours)
  UNION ALL SELECT concat_ws(' ', setrole::regrole, setconfig)
    FROM pg_db_role_setting WHERE setdatabase IN (SELECT oid FROM pg_database WHERE datname = current_database())
  UNION ALL SELECT concat_ws(' ', 'version', version_num) FROM alembic_version
)
SELECT md5(string_agg(said, E'\\n' ORDER BY said COLLATE "C")) FROM line
"""


class Lending:
    """Copies of `template`, a database of the bot in that server."""

    def __init__(self, server: Postgres, template: str) -> None:
        self._server = server
        self._template = template
        self._free: deque[str] = deque()
        self._shape: object = None

    def lend(self) -> str:
        """SQLAlchemy's URL of a database with nothing in it, nobody else's until it is given back."""
        for _ in range(len(self._free)):
            url = self._free.popleft()
            with _connected(url) as line:
                if _asked(line, _OTHERS):
                    self._free.append(url)
                elif self._emptied(line):
                    return url
        return self._copied()

    def take_back(self, url: str) -> None:
        self._free.append(url)

    def _emptied(self, line: psycopg.Connection[tuple[object, ...]]) -> bool:
        """Whether it is like the template now; if not, nothing was changed."""
        try:
            line.execute(_EMPTY)
            if _asked(line, _SHAPE) == self._shape:
                return True
        except psycopg.Error:
            pass
        line.rollback()
        return False

    def _copied(self) -> str:
        url = self._server.url("lent", like=self._template)
        if self._shape is None:
            with _connected(url) as line:
                self._shape = _asked(line, _SHAPE)
        return url


def _connected(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(url.replace("+psycopg", ""))


def _asked(line: psycopg.Connection[tuple[object, ...]], what: str) -> object:
    row = line.execute(what.encode()).fetchone()
    assert row is not None
    return row[0]
