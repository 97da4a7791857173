"""With which account a plan was asked for, approved, the glass broken, an act answered; and what accounts are to be told.

What is on record from before has no account: such a plan is asked for again, such a yes is said again.

Revision: 0011, after 0010
"""

import sqlalchemy as sa
from alembic import op


revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None

_ADDED = (
    ('plan', 'account', ''), ('plan', 'had', '[]'),
    ('approval', 'account', ''), ('approval', 'had', '[]'),
    ('glass', 'place', ''), ('glass', 'account', ''),
    ('seen', 'person', ''), ('seen', 'account', ''),
)


def upgrade() -> None:
    for table, column, default in _ADDED:
        op.add_column(table, sa.Column(column, sa.Text(), server_default=default, nullable=False))
    op.create_table('notice',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('place', sa.Text(), nullable=False),
    sa.Column('account', sa.Text(), nullable=False),
    sa.Column('said', sa.Text(), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('due_at', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('notice', schema=None) as batch_op:
        batch_op.create_index('notice_to', ['place', 'account'], unique=False)
        batch_op.create_index('notice_due', ['due_at'], unique=False, sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))


def downgrade() -> None:
    op.drop_table('notice')
    for table, column, _ in reversed(_ADDED):
        op.drop_column(table, column)
