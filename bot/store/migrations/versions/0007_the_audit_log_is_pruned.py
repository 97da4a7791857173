"""The one way in which the oldest part of the audit log may be taken out.

Revision: 0007, after 0006
"""

from alembic import op


revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None

# A setting of the transaction, and no lock on the tables as switching a trigger off would take: alerts go on coming in.
# Whoever has DELETE on these tables owns them, and could drop the trigger as well.
_GUARD = """
CREATE OR REPLACE FUNCTION audit_guard() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
  IF TG_OP = 'DELETE' AND current_setting('vakhta.audit_prune', true) = 'on' THEN RETURN OLD; END IF;
  RAISE EXCEPTION '% is insert-only: no %', TG_TABLE_NAME, TG_OP;
END $$
"""

_GUARD_BEFORE = """
CREATE OR REPLACE FUNCTION audit_guard() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% is insert-only: no %', TG_TABLE_NAME, TG_OP; END $$
"""

# It removes what a sealed and signed entry says that it removes, nothing younger than 90 days, and nothing else.
_PRUNE = """
CREATE FUNCTION audit_prune(upto bigint, because text) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp AS
$$
DECLARE
  removed bigint;
BEGIN
  IF NOT EXISTS (
    SELECT 1 FROM audit_entry AS e JOIN audit_seal AS s ON s.entry_id = e.id
    WHERE e.uid = because AND e.code = 'VK007W' AND s.pos >= upto AND s.pos < (SELECT max(size) FROM audit_checkpoint)
      AND (convert_from(e.body, 'UTF8')::jsonb -> 'more' ->> 'size')::bigint >= upto
  ) THEN
    RAISE EXCEPTION 'no entry that is sealed and signed says that the first % entries are pruned', upto;
  END IF;
  IF NOT EXISTS (SELECT 1 FROM audit_checkpoint WHERE size = upto) THEN
    RAISE EXCEPTION 'no checkpoint is signed over the first % entries', upto;
  END IF;
  IF EXISTS (
    SELECT 1 FROM audit_entry AS e JOIN audit_seal AS s ON s.entry_id = e.id
    WHERE s.pos < upto AND e.at > extract(epoch FROM now() - interval '90 days') * 1000000
  ) THEN
    RAISE EXCEPTION 'of the first % entries some are younger than 90 days', upto;
  END IF;
  PERFORM set_config('vakhta.audit_prune', 'on', true);
  DELETE FROM audit_anchor WHERE size < upto;
  DELETE FROM audit_checkpoint WHERE size < upto AND strpos(note, E'\\nto ') = 0;
  WITH seals AS (DELETE FROM audit_seal WHERE pos < upto RETURNING entry_id)
  DELETE FROM audit_entry WHERE id IN (SELECT entry_id FROM seals);
  GET DIAGNOSTICS removed = ROW_COUNT;
  PERFORM set_config('vakhta.audit_prune', 'off', true);
  RETURN removed;
END $$
"""


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == 'sqlite':
        return  # there whoever opens the file owns it; bot/store/audit_pruning.py lifts the triggers and puts them back
    schema = connection.exec_driver_sql('SELECT quote_ident(current_schema())').scalar_one()
    for statement in (_GUARD, _PRUNE.format(schema=schema)):
        connection.exec_driver_sql(statement.replace('%', '%%'))
    connection.exec_driver_sql('REVOKE ALL ON FUNCTION audit_prune(bigint, text) FROM PUBLIC')


def downgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != 'sqlite':
        connection.exec_driver_sql('DROP FUNCTION audit_prune(bigint, text)')
        connection.exec_driver_sql(_GUARD_BEFORE.replace('%', '%%'))
