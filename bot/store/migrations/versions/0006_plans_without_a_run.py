"""When a plan was approved, so that one whose run was never begun is found.

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
    op.execute("UPDATE plan SET state = 'begun' WHERE state = 'approved'")
    with op.batch_alter_table('plan', schema=None) as batch_op:
        batch_op.create_index('plan_approved', ['approved_at'], unique=False, sqlite_where=sa.text("state = 'approved'"), postgresql_where=sa.text("state = 'approved'"))


def downgrade() -> None:
    with op.batch_alter_table('plan', schema=None) as batch_op:
        batch_op.drop_index('plan_approved')
    op.execute("UPDATE plan SET state = 'approved' WHERE state IN ('begun', 'stopped')")
    op.drop_column('plan', 'approved_at')
