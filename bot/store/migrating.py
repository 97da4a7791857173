"""Migrates a database to this version's tables with Alembic, and lists how a database differs from them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import ForeignKeyConstraint
from sqlalchemy.sql.schema import SchemaItem
from sqlmodel import SQLModel

# The import adds the tables to SQLModel's metadata.
from bot.store import tables
from bot.store.engine import Store


def config() -> Config:
    """Alembic's configuration, without an alembic.ini."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return made


def migrate(store: Store) -> None:
    """Apply the missing migrations, in one transaction; a second process waits for the first."""
    with store.connected() as connection:
        made = config()
        made.attributes["connection"] = connection
        command.upgrade(made, "head")


def differences(store: Store) -> list[object]:
    """How the database differs from the tables in the code; empty when it is up to date."""
    with store.connected() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": partial(_is_expected, store.sqlite)})
        return list(compare_metadata(context, SQLModel.metadata))


def _is_expected(sqlite: bool, one: SchemaItem, _: str | None, kind: str, *__: object) -> bool:  # noqa: FBT001 - bound
    """Whether a database of this kind should have that item of the schema."""
    return sqlite or kind != "foreign_key_constraint" or not _is_loose(one)


def _is_loose(one: SchemaItem) -> bool:
    return isinstance(one, ForeignKeyConstraint) and one.table.name in tables.LOOSE_ON_POSTGRES
