"""The table of broken glass, private to `store/`; what `tables` says about times holds here too."""

from __future__ import annotations

from sqlalchemy import BigInteger, Text
from sqlmodel import Field, SQLModel

from bot.store.tables import partial


class BreakGlassRow(SQLModel, table=True):
    """One breaking of the glass; `id` counts them, in the order of commits."""

    __tablename__ = "glass"
    __table_args__ = (
        partial("glass_open", "person", where="closed_at IS NULL"),
        partial("glass_unreviewed", "id", where="reviewed_at IS NULL"),
    )

    id: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    person: str = Field(sa_type=Text)
    reason: str = Field(sa_type=Text)
    opened_at: int = Field(sa_type=BigInteger)
    until: int = Field(sa_type=BigInteger)
    incident_id: int | None = Field(sa_type=BigInteger, foreign_key="incident.id")
    closed_at: int | None = Field(sa_type=BigInteger)
    reviewed_by: str | None = Field(sa_type=Text)
    reviewed_at: int | None = Field(sa_type=BigInteger)
    review: str = Field(sa_type=Text)
    place: str = Field(sa_type=Text)
    account: str = Field(sa_type=Text)
