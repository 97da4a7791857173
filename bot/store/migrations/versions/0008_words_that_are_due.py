"""When whoever asked for a linking code is to be told what came of it.

Revision: 0008, after 0007
"""

import sqlalchemy as sa
from alembic import op


revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('link_code', sa.Column('word_due_at', sa.BigInteger(), nullable=True))
    with op.batch_alter_table('link_code', schema=None) as batch_op:
        batch_op.create_index('link_code_word_due', ['word_due_at'], unique=False, sqlite_where=sa.text('word_due_at IS NOT NULL'), postgresql_where=sa.text('word_due_at IS NOT NULL'))


def downgrade() -> None:
    with op.batch_alter_table('link_code', schema=None) as batch_op:
        batch_op.drop_index('link_code_word_due', sqlite_where=sa.text('word_due_at IS NOT NULL'), postgresql_where=sa.text('word_due_at IS NOT NULL'))
    op.drop_column('link_code', 'word_due_at')
