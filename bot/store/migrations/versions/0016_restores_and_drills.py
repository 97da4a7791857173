"""Restores and the copies they made, drills, and the last look at each store of backups.

Revision: 0016, after 0015
"""

import sqlalchemy as sa
from alembic import op


revision = '0016'
down_revision = '0015'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'restore',
        sa.Column('run', sa.Text(), nullable=False),
        sa.Column('store', sa.Text(), nullable=False),
        sa.Column('state', sa.Text(), nullable=False),
        sa.Column('began_at', sa.BigInteger(), nullable=False),
        sa.Column('open', sa.Integer(), nullable=False),
        sa.Column('body', sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint('run'),
    )
    is_open = sa.text('open = 1')
    op.create_index('restore_open', 'restore', ['store'], sqlite_where=is_open, postgresql_where=is_open)
    op.create_table(
        'drill',
        sa.Column('run', sa.Text(), nullable=False),
        sa.Column('store', sa.Text(), nullable=False),
        sa.Column('result', sa.Text(), nullable=False),
        sa.Column('began_at', sa.BigInteger(), nullable=False),
        sa.Column('abort', sa.Text(), nullable=False),
        sa.Column('body', sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint('run'),
    )
    op.create_index('drill_of_store', 'drill', ['store', 'began_at'])
    op.create_table(
        'store_look',
        sa.Column('store', sa.Text(), nullable=False),
        sa.Column('looked_at', sa.BigInteger(), nullable=False),
        sa.Column('body', sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint('store'),
    )


def downgrade() -> None:
    op.drop_table('store_look')
    op.drop_index('drill_of_store', 'drill')
    op.drop_table('drill')
    op.drop_index('restore_open', 'restore')
    op.drop_table('restore')
