"""Channels that pause or refuse: what is told of them, which messages are made good, and what a channel has learned.

Revision: 0015, after 0014
"""

import sqlalchemy as sa
from alembic import op


revision = '0015'
down_revision = '0014'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('delivery', sa.Column('refused', sa.Text(), nullable=False, server_default=''))
    refused = sa.text("state = 'dead' AND refused <> ''")
    op.create_index(
        'delivery_refused', 'delivery', ['channel', 'incident_id'], sqlite_where=refused, postgresql_where=refused
    )
    op.add_column('pause', sa.Column('asked_until', sa.BigInteger(), nullable=False, server_default='0'))
    op.add_column('pause', sa.Column('told', sa.Integer(), nullable=False, server_default='0'))
    op.execute('UPDATE pause SET asked_until = until')
    op.create_table(
        'channel_trouble',
        sa.Column('channel', sa.Text(), nullable=False),
        sa.Column('refused', sa.Text(), nullable=False),
        sa.Column('said', sa.Text(), nullable=False),
        sa.Column('at', sa.BigInteger(), nullable=False),
        sa.Column('try_at', sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint('channel'),
    )
    op.create_table(
        'channel_fact',
        sa.Column('channel', sa.Text(), nullable=False),
        sa.Column('name', sa.Text(), nullable=False),
        sa.Column('value', sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint('channel', 'name'),
    )


def downgrade() -> None:
    op.drop_table('channel_fact')
    op.drop_table('channel_trouble')
    op.drop_column('pause', 'told')
    op.drop_column('pause', 'asked_until')
    op.drop_index('delivery_refused', 'delivery')
    op.drop_column('delivery', 'refused')
