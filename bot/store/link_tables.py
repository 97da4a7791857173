"""The tables of linked accounts; see `tables`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Text
from sqlmodel import Field, SQLModel

from bot.store.tables import partial


class LinkRow(SQLModel, table=True):
    """An account that a person has shown to be theirs. One of each place."""

    __tablename__ = "link"
    __table_args__ = (Index("link_of_person", "person", "place", unique=True),)

    place: str = Field(primary_key=True, sa_type=Text)
    account: str = Field(primary_key=True, sa_type=Text)
    person: str = Field(sa_type=Text)
    at: int = Field(sa_type=BigInteger)
    by: str = Field(sa_type=Text)


class LinkCodeRow(SQLModel, table=True):
    """A code by which an account can be linked: its hash, who asked for it from where, and what they are to be told."""

    __tablename__ = "link_code"
    __table_args__ = (
        Index("link_code_until", "until"),
        partial("link_code_unspent", "person", where="spent_at IS NULL"),
        partial("link_code_word", "place", "account", where="word IS NOT NULL"),
        partial("link_code_word_due", "word_due_at", where="word_due_at IS NOT NULL"),
    )

    hash: str = Field(primary_key=True, sa_type=Text)
    person: str = Field(sa_type=Text)
    place: str = Field(sa_type=Text)
    account: str = Field(sa_type=Text)
    at: int = Field(sa_type=BigInteger)
    until: int = Field(sa_type=BigInteger)
    spent_at: int | None = Field(sa_type=BigInteger)
    word: str | None = Field(sa_type=Text)
    word_due_at: int | None = Field(sa_type=BigInteger)


class NoticeRow(SQLModel, table=True):
    """What an account is to be told. `due_at`: null once it can only be told in the answer to what its owner says."""

    __tablename__ = "notice"
    __table_args__ = (
        Index("notice_to", "place", "account"),
        partial("notice_due", "due_at", where="due_at IS NOT NULL"),
    )

    id: str = Field(primary_key=True, sa_type=Text)
    place: str = Field(sa_type=Text)
    account: str = Field(sa_type=Text)
    said: str = Field(sa_type=Text)
    at: int = Field(sa_type=BigInteger)
    due_at: int | None = Field(sa_type=BigInteger)


class LinkTryRow(SQLModel, table=True):
    """How many wrong codes came from an account, each while the one before still counted; until when they count."""

    __tablename__ = "link_try"
    __table_args__ = (Index("link_try_until", "until"),)

    place: str = Field(primary_key=True, sa_type=Text)
    account: str = Field(primary_key=True, sa_type=Text)
    tries: int
    until: int = Field(sa_type=BigInteger)
