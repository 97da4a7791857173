"""On PostgreSQL what a storm writes is not looked up row by row (docs/decisions/0030).

Revision: 0010, after 0009
"""

from alembic import op


revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None

_HELD = (('alert', 'incident'), ('event', 'incident'), ('delivery', 'incident'), ('delivery', 'event'))


def upgrade() -> None:
    if op.get_bind().dialect.name == 'postgresql':
        for table, other in _HELD:
            op.drop_constraint(f'{table}_{other}_id_fkey', table, type_='foreignkey')


def downgrade() -> None:
    if op.get_bind().dialect.name == 'postgresql':
        for table, other in _HELD:
            op.create_foreign_key(f'{table}_{other}_id_fkey', table, other, [f'{other}_id'], ['id'])
