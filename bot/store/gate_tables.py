"""The tables of Flagger's gates, private to `store/`; what `tables` says about times holds here too."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Text
from sqlmodel import Field, SQLModel

from bot.store.tables import partial


class GateAskedRow(SQLModel, table=True):
    """What Flagger asked last at each gate."""

    __tablename__ = "gate_asked"
    __table_args__ = (Index("gate_asked_at", "at"),)

    cluster: str = Field(primary_key=True, sa_type=Text)
    namespace: str = Field(primary_key=True, sa_type=Text)
    name: str = Field(primary_key=True, sa_type=Text)
    hook: str = Field(primary_key=True, sa_type=Text)
    revision: str = Field(sa_type=Text)
    at: int = Field(sa_type=BigInteger)


class GateRow(SQLModel, table=True):
    """A gate that a run has opened, for one revision, until a time."""

    __tablename__ = "gate"
    __table_args__ = (
        partial("gate_open", "cluster", "namespace", "name", "hook", where="closed_at IS NULL"),
        Index("gate_until", "until"),
    )

    run: str = Field(primary_key=True, sa_type=Text)
    cluster: str = Field(sa_type=Text)
    namespace: str = Field(sa_type=Text)
    name: str = Field(sa_type=Text)
    hook: str = Field(sa_type=Text)
    revision: str = Field(sa_type=Text)
    opened_at: int = Field(sa_type=BigInteger)
    until: int = Field(sa_type=BigInteger)
    passed_at: int | None = Field(sa_type=BigInteger)
    closed_at: int | None = Field(sa_type=BigInteger)
