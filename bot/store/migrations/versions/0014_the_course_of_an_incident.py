"""What an incident's later changes are decided by, when to look at it again, and whether an alert's texts changed.

Revision: 0014, after 0013
"""

import sqlalchemy as sa
from alembic import op


revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('incident', sa.Column('course', sa.Text(), nullable=False, server_default=''))
    op.add_column('incident', sa.Column('look_at', sa.BigInteger()))
    op.add_column('alert', sa.Column('text_digest', sa.BigInteger()))
    due = sa.text('look_at IS NOT NULL')
    op.create_index('incident_due', 'incident', ['look_at'], sqlite_where=due, postgresql_where=due)


def downgrade() -> None:
    op.drop_index('incident_due', 'incident')
    op.drop_column('alert', 'text_digest')
    for name in ('look_at', 'course'):
        op.drop_column('incident', name)
