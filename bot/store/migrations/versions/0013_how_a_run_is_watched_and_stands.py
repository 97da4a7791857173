"""Why what a run did does not hold, and what the watch over it needs to be gone on with after a crash.

Revision: 0013, after 0011
"""

import sqlalchemy as sa
from alembic import op


revision = '0013'
down_revision = '0011'
branch_labels = None
depends_on = None

#: How the outcome of a run that was done and not well was told before it had a column of its own.
_MARK = ' NOT WELL: '


def upgrade() -> None:
    op.add_column('run', sa.Column('unwell', sa.Text(), nullable=False, server_default=''))
    op.add_column('run', sa.Column('noted', sa.Text(), nullable=False, server_default='{}'))
    op.add_column('run', sa.Column('watch_until', sa.BigInteger()))
    op.add_column('run', sa.Column('watches', sa.BigInteger(), nullable=False, server_default='0'))
    op.add_column('run', sa.Column('lost_at', sa.BigInteger()))
    held = sa.text('incident_id IS NOT NULL')
    op.create_index('plan_incident', 'plan', ['incident_id'], sqlite_where=held, postgresql_where=held)
    run = sa.table('run', sa.column('id', sa.Text()), sa.column('state', sa.Text()), sa.column('said', sa.Text()),
                   sa.column('unwell', sa.Text()))
    bind = op.get_bind()
    told = sa.select(run.c.id, run.c.said).where(run.c.state == 'done', run.c.said.contains(_MARK, autoescape=True))
    for key, message in bind.execute(told).all():
        bind.execute(sa.update(run).where(run.c.id == key).values(unwell=message.partition(_MARK)[2]))


def downgrade() -> None:
    op.drop_index('plan_incident', 'plan')
    for name in ('lost_at', 'watches', 'watch_until', 'noted', 'unwell'):
        op.drop_column('run', name)
