"""The tables of plans, approvals and runs, private to `store/`; what `tables` says about times holds here too."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, LargeBinary, Text
from sqlmodel import Field, SQLModel

from bot.store.tables import partial


class PlanRow(SQLModel, table=True):
    """A plan that was shown; `body` is what its digest was made of. `state` is as in `plans.State`.

    `account` is the one at `place` with which it was asked for, `had` all that the asker had then, as JSON.
    """

    __tablename__ = "plan"
    __table_args__ = (
        partial("plan_shown", "at", where="state = 'shown'"),
        partial("plan_approved", "approved_at", where="state = 'approved'"),
        partial("plan_undoes", "undoes", where="undoes <> ''"),
        partial("plan_incident", "incident_id", where="incident_id IS NOT NULL"),
    )

    handle: str = Field(primary_key=True, sa_type=Text)
    verb: str = Field(sa_type=Text)
    words: str = Field(sa_type=Text)
    by: str = Field(sa_type=Text)
    place: str = Field(sa_type=Text)
    incident_id: int | None = Field(sa_type=BigInteger, foreign_key="incident.id")
    at: int = Field(sa_type=BigInteger)
    needs: int
    state: str = Field(sa_type=Text)
    body: bytes = Field(sa_type=LargeBinary)
    digest: str = Field(sa_type=Text)
    undoes: str = Field(sa_type=Text)
    approved_at: int | None = Field(sa_type=BigInteger)
    spot: str = Field(sa_type=Text)
    account: str = Field(sa_type=Text)
    had: str = Field(sa_type=Text)


class ApprovalRow(SQLModel, table=True):
    """One person's yes to one plan; `account` and `had` as in `PlanRow`."""

    __tablename__ = "approval"

    handle: str = Field(primary_key=True, sa_type=Text, foreign_key="plan.handle")
    person: str = Field(primary_key=True, sa_type=Text)
    place: str = Field(sa_type=Text)
    at: int = Field(sa_type=BigInteger)
    account: str = Field(sa_type=Text)
    had: str = Field(sa_type=Text)


class RunRow(SQLModel, table=True):
    """One run of an action; `state` is intended, done, failed or unknown. `token` is its target's (see `hold`).

    `unwell`: why what was done does not hold. `noted`, `watch_until`, `watches`: what the watch over it needs, until
    when it waits, and how often it was begun. `lost_at`: when its process was first found to have said nothing in time.
    """

    __tablename__ = "run"
    __table_args__ = (
        partial("run_intended", "lease_until", where="state = 'intended'"),
        partial("run_reverts", "revert_at", where="revert_at IS NOT NULL"),
        partial("run_checked", "check_at", where="check_at IS NOT NULL"),
        Index("run_began", "began_at"),
    )

    id: str = Field(primary_key=True, sa_type=Text)
    handle: str = Field(sa_type=Text, foreign_key="plan.handle")
    by: str = Field(sa_type=Text)
    target: str = Field(sa_type=Text)
    state: str = Field(sa_type=Text)
    token: int = Field(sa_type=BigInteger)
    lease_until: int = Field(sa_type=BigInteger)
    began_at: int = Field(sa_type=BigInteger)
    ended_at: int | None = Field(sa_type=BigInteger)
    said: str = Field(sa_type=Text)
    undo: str = Field(sa_type=Text)
    left: str = Field(sa_type=Text)
    revert_at: int | None = Field(sa_type=BigInteger)
    check_at: int | None = Field(sa_type=BigInteger)
    check_until: int | None = Field(sa_type=BigInteger)
    rule: str = Field(sa_type=Text)
    glass: int | None = Field(sa_type=BigInteger)
    unwell: str = Field(sa_type=Text)
    noted: str = Field(sa_type=Text)
    watch_until: int | None = Field(sa_type=BigInteger)
    watches: int = Field(sa_type=BigInteger)
    lost_at: int | None = Field(sa_type=BigInteger)


class RunReportRow(SQLModel, table=True):
    """Where a slow run is told of. `shown`: the message that says how it goes; `due_at`: null until it has ended."""

    __tablename__ = "telling"
    __table_args__ = (partial("telling_due", "due_at", where="due_at IS NOT NULL"),)

    run: str = Field(primary_key=True, sa_type=Text, foreign_key="run.id")
    place: str = Field(sa_type=Text)
    spot: str = Field(sa_type=Text)
    shown: str = Field(sa_type=Text)
    due_at: int | None = Field(sa_type=BigInteger)


class TargetLockRow(SQLModel, table=True):
    """One action per target at a time: who holds it, and the token that went up with each that did."""

    __tablename__ = "hold"

    target: str = Field(primary_key=True, sa_type=Text)
    run: str = Field(sa_type=Text)
    token: int = Field(sa_type=BigInteger)
    until: int = Field(sa_type=BigInteger)
