"""What was true when a plan was made and moves by itself, so that whoever approves it later sees it too.

Revision: 0017, after 0016
"""

import sqlalchemy as sa
from alembic import op


revision = '0017'
down_revision = '0016'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('plan', sa.Column('moving', sa.Text(), nullable=False, server_default='[]'))


def downgrade() -> None:
    op.drop_column('plan', 'moving')
