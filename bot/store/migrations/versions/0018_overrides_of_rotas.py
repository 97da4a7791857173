"""What people change in a chat about who is on call.

Revision: 0018, after 0017
"""

import sqlalchemy as sa
from alembic import op


revision = '0018'
down_revision = '0017'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'rota_override',
        sa.Column('id', sa.Text(), nullable=False),
        sa.Column('rota', sa.Text(), nullable=False),
        sa.Column('start_at', sa.BigInteger(), nullable=False),
        sa.Column('end_at', sa.BigInteger(), nullable=False),
        sa.Column('person', sa.Text(), nullable=False),
        sa.Column('instead_of', sa.Text(), nullable=False),
        sa.Column('by', sa.Text(), nullable=False),
        sa.Column('made_at', sa.BigInteger(), nullable=False),
        sa.Column('ended_at', sa.BigInteger()),
        sa.Column('ended_by', sa.Text()),
        sa.PrimaryKeyConstraint('id'),
    )
    op.create_index('rota_override_end', 'rota_override', ['end_at'])


def downgrade() -> None:
    op.drop_index('rota_override_end', 'rota_override')
    op.drop_table('rota_override')
