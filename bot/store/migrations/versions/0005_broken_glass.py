"""Broken glass, and what allowed each run.

Revision: 0005, after 0004
"""

import sqlalchemy as sa
from alembic import op


revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('glass',
    sa.Column('id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('person', sa.Text(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('opened_at', sa.BigInteger(), nullable=False),
    sa.Column('until', sa.BigInteger(), nullable=False),
    sa.Column('incident_id', sa.BigInteger(), nullable=True),
    sa.Column('closed_at', sa.BigInteger(), nullable=True),
    sa.Column('reviewed_by', sa.Text(), nullable=True),
    sa.Column('reviewed_at', sa.BigInteger(), nullable=True),
    sa.Column('review', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['incident_id'], ['incident.id'], ),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('glass', schema=None) as batch_op:
        batch_op.create_index('glass_open', ['person'], unique=False, sqlite_where=sa.text('closed_at IS NULL'), postgresql_where=sa.text('closed_at IS NULL'))
        batch_op.create_index('glass_unreviewed', ['id'], unique=False, sqlite_where=sa.text('reviewed_at IS NULL'), postgresql_where=sa.text('reviewed_at IS NULL'))

    op.add_column('run', sa.Column('rule', sa.Text(), server_default='', nullable=False))
    op.add_column('run', sa.Column('glass', sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column('run', 'glass')
    op.drop_column('run', 'rule')
    with op.batch_alter_table('glass', schema=None) as batch_op:
        batch_op.drop_index('glass_unreviewed', sqlite_where=sa.text('reviewed_at IS NULL'), postgresql_where=sa.text('reviewed_at IS NULL'))
        batch_op.drop_index('glass_open', sqlite_where=sa.text('closed_at IS NULL'), postgresql_where=sa.text('closed_at IS NULL'))

    op.drop_table('glass')
