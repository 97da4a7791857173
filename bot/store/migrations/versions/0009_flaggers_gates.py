"""What Flagger asked last at its gates, and which of them a run has opened.

Revision: 0009, after 0008
"""

import sqlalchemy as sa
from alembic import op


revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('gate_asked',
    sa.Column('cluster', sa.Text(), nullable=False),
    sa.Column('namespace', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('hook', sa.Text(), nullable=False),
    sa.Column('revision', sa.Text(), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('cluster', 'namespace', 'name', 'hook')
    )
    with op.batch_alter_table('gate_asked', schema=None) as batch_op:
        batch_op.create_index('gate_asked_at', ['at'], unique=False)

    op.create_table('gate',
    sa.Column('run', sa.Text(), nullable=False),
    sa.Column('cluster', sa.Text(), nullable=False),
    sa.Column('namespace', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('hook', sa.Text(), nullable=False),
    sa.Column('revision', sa.Text(), nullable=False),
    sa.Column('opened_at', sa.BigInteger(), nullable=False),
    sa.Column('until', sa.BigInteger(), nullable=False),
    sa.Column('passed_at', sa.BigInteger(), nullable=True),
    sa.Column('closed_at', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('run')
    )
    with op.batch_alter_table('gate', schema=None) as batch_op:
        batch_op.create_index('gate_open', ['cluster', 'namespace', 'name', 'hook'], unique=False, sqlite_where=sa.text('closed_at IS NULL'), postgresql_where=sa.text('closed_at IS NULL'))
        batch_op.create_index('gate_until', ['until'], unique=False)


def downgrade() -> None:
    op.drop_table('gate')
    op.drop_table('gate_asked')
