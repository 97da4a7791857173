"""Alembic's entry: runs on the connection that `store.migrating` hands over, inside its one transaction."""

from alembic import context
from sqlmodel import SQLModel

from bot.store import tables  # noqa: F401 - the tables enter SQLModel's metadata by being imported

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True, compare_type=True)
context.run_migrations()
