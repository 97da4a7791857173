"""When a plan was approved, so that one whose run was never begun is found; and where slow runs are told of.

Revision: 0006, after 0005
"""

import sqlalchemy as sa
from alembic import op


revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('plan', sa.Column('approved_at', sa.BigInteger(), nullable=True))
    op.add_column('plan', sa.Column('spot', sa.Text(), server_default='', nullable=False))
    op.create_table('telling',
    sa.Column('run', sa.Text(), nullable=False),
    sa.Column('place', sa.Text(), nullable=False),
    sa.Column('spot', sa.Text(), nullable=False),
    sa.Column('shown', sa.Text(), nullable=False),
    sa.Column('due_at', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['run'], ['run.id'], ),
    sa.PrimaryKeyConstraint('run')
    )
    with op.batch_alter_table('telling', schema=None) as batch_op:
        batch_op.create_index('telling_due', ['due_at'], unique=False, sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))

    op.execute("UPDATE plan SET state = 'begun' WHERE state = 'approved'")
    with op.batch_alter_table('plan', schema=None) as batch_op:
        batch_op.create_index('plan_approved', ['approved_at'], unique=False, sqlite_where=sa.text("state = 'approved'"), postgresql_where=sa.text("state = 'approved'"))


def downgrade() -> None:
    op.drop_table('telling')
    op.drop_column('plan', 'spot')
    with op.batch_alter_table('plan', schema=None) as batch_op:
        batch_op.drop_index('plan_approved')
    op.execute("UPDATE plan SET state = 'approved' WHERE state IN ('begun', 'stopped')")
    op.drop_column('plan', 'approved_at')
