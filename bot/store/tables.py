"""The tables, private to `store/`.

Times are whole microseconds since 1970 UTC: the same number in SQLite and PostgreSQL, exact, ordered, and cheap to
bind where thousands of rows share one commit. Closed sets are stored as their published words, never as names.
SQLModel does not validate table models, so what comes in is checked before it gets here.

The foreign keys of alert, event and delivery stand in SQLite only, where they cost next to nothing and every test would
run into them; PostgreSQL looks each row's incident up and locks it, a quarter of what a storm costs there
(docs/decisions/0030).
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

#: SQLite makes only an INTEGER PRIMARY KEY the row's own address.
_Key = BigInteger().with_variant(Integer(), "sqlite")

#: Whose foreign keys PostgreSQL does not hold.
LOOSE_ON_POSTGRES = frozenset({"alert", "event", "delivery"})


def partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


class IncidentRow(SQLModel, table=True):
    __tablename__ = "incident"
    __table_args__ = (
        Index("incident_by_page_key", "page_key", "id"),
        partial("incident_unresolved", "id", where="status <> 'resolved'"),
        partial("incident_troubles", "service", where="status <> 'resolved' AND service IS NOT NULL"),
    )

    id: int = Field(primary_key=True, sa_type=_Key, sa_column_kwargs={"autoincrement": False})
    page_key: str = Field(sa_type=Text)
    key: str = Field(sa_type=Text)
    source: str = Field(sa_type=Text)
    title: str = Field(sa_type=Text)
    severity: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    opened_at: int = Field(sa_type=BigInteger)
    changed_at: int = Field(sa_type=BigInteger)
    firing: int
    total: int
    service: str | None = Field(sa_type=Text)
    owner: str | None = Field(sa_type=Text)
    resolved_at: int | None = Field(sa_type=BigInteger)
    resolved_by: str | None = Field(sa_type=Text)
    truncated: int
    version: int
    lead: str = Field(sa_type=Text)


class AlertRow(SQLModel, table=True):
    __tablename__ = "alert"
    __table_args__ = (
        Index("alert_episode", "fingerprint", "source", "starts_at", unique=True),
        Index("alert_of_incident", "incident_id"),
        partial("alert_doubted", "doubted_at", where="doubted_at IS NOT NULL"),
    )

    id: int = Field(primary_key=True, sa_type=_Key, sa_column_kwargs={"autoincrement": False})
    source: str = Field(sa_type=Text)
    fingerprint: str = Field(sa_type=Text)
    starts_at: int = Field(sa_type=BigInteger)
    incident_id: int | None = Field(sa_type=BigInteger, foreign_key="incident.id")
    firing: int
    labels: str = Field(sa_type=Text)
    notes: str = Field(sa_type=Text)
    link: str = Field(sa_type=Text)
    heard_at: int = Field(sa_type=BigInteger)
    ended_at: int | None = Field(sa_type=BigInteger)
    until: int | None = Field(sa_type=BigInteger)
    doubted_at: int | None = Field(sa_type=BigInteger)


class EventRow(SQLModel, table=True):
    __tablename__ = "event"
    __table_args__ = (Index("event_of_incident", "incident_id", "id"),)

    id: int = Field(primary_key=True, sa_type=_Key, sa_column_kwargs={"autoincrement": False})
    incident_id: int = Field(sa_type=BigInteger, foreign_key="incident.id")
    at: int = Field(sa_type=BigInteger)
    what: str = Field(sa_type=Text)
    by: str = Field(sa_type=Text)
    said: str = Field(sa_type=Text)
    via: str = Field(sa_type=Text)


_UNSENT = "state IN ('owed', 'leased')"


class DeliveryRow(SQLModel, table=True):
    """`state` is waits (a line, until its card is posted), owed, leased, sent or dead.

    `lane` is what keeps its order: a group's pages, an incident's lines; empty for cards, which have none to keep.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        Index("delivery_of_incident", "incident_id", "id"),
        partial("delivery_card", "incident_id", "channel", where="kind = 'card'", unique=True),
        partial("delivery_owed", "channel", "rank", "id", where="state = 'owed'"),
        partial("delivery_in_order", "channel", "lane", "id", where=f"lane <> '' AND {_UNSENT}"),
        partial("delivery_late", "owed_at", where=f"kind = 'page' AND {_UNSENT}"),
        partial("delivery_leased", "lease_until", where="state = 'leased'"),
        partial("delivery_ref", "channel", "ref", where="ref IS NOT NULL"),
    )

    id: int = Field(primary_key=True, sa_type=_Key, sa_column_kwargs={"autoincrement": False})
    incident_id: int = Field(sa_type=BigInteger, foreign_key="incident.id")
    channel: str = Field(sa_type=Text)
    kind: str = Field(sa_type=Text)
    lane: str = Field(sa_type=Text)
    event_id: int | None = Field(sa_type=BigInteger, foreign_key="event.id")
    rank: int
    state: str = Field(sa_type=Text)
    owed_at: int = Field(sa_type=BigInteger)
    not_before: int = Field(sa_type=BigInteger)
    version: int
    sent_version: int
    attempts: int
    faults: int
    token: int
    lease_until: int = Field(sa_type=BigInteger)
    sent_at: int | None = Field(sa_type=BigInteger)
    said: str = Field(sa_type=Text)
    ref: str | None = Field(sa_type=Text)


class TroubleRow(SQLModel, table=True):
    """People have been told that this channel fails for this incident."""

    __tablename__ = "trouble"

    incident_id: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    channel: str = Field(primary_key=True, sa_type=Text)


class PaceRow(SQLModel, table=True):
    """One request that went (or may have gone) to a channel: what the channel's limits are counted from."""

    __tablename__ = "pace"
    __table_args__ = (Index("pace_of_channel", "channel", "at"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=_Key)
    channel: str = Field(sa_type=Text)
    at: int = Field(sa_type=BigInteger)


class PauseRow(SQLModel, table=True):
    """A channel that was asked to wait (Retry-After), until when and why."""

    __tablename__ = "pause"

    channel: str = Field(primary_key=True, sa_type=Text)
    until: int = Field(sa_type=BigInteger)
    said: str = Field(sa_type=Text)


class SeenRow(SQLModel, table=True):
    """An act of a platform that has had its effect, and what was answered."""

    __tablename__ = "seen"
    __table_args__ = (Index("seen_at", "at"),)

    place: str = Field(primary_key=True, sa_type=Text)
    once: str = Field(primary_key=True, sa_type=Text)
    at: int = Field(sa_type=BigInteger)
    said: str = Field(sa_type=Text)
    ok: int
    person: str = Field(sa_type=Text)
    account: str = Field(sa_type=Text)


class QuarantineRow(SQLModel, table=True):
    """What a known sender sent and could not be read, whole, as it came."""

    __tablename__ = "quarantine"
    __table_args__ = (Index("quarantine_sha256", "sha256"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=_Key)
    source: str = Field(sa_type=Text)
    at: int = Field(sa_type=BigInteger)
    code: str = Field(sa_type=Text)
    why: str = Field(sa_type=Text)
    sha256: str = Field(sa_type=Text)
    body: bytes = Field(sa_type=LargeBinary)


class AuditEntryRow(SQLModel, table=True):
    """One entry of the audit log: inserted, and never touched again; triggers see to that, here and in the next three.

    `body` is what counts, the bytes that are hashed; the other columns repeat it, to search by.
    """

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index("audit_entry_uid", "uid", unique=True),
        Index("audit_entry_at", "at"),
        partial("audit_entry_of_incident", "incident_id", "id", where="incident_id IS NOT NULL"),
        partial("audit_entry_of_run", "run", "id", where="run <> ''"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=_Key)
    uid: str = Field(sa_type=Text)
    at: int = Field(sa_type=BigInteger)
    code: str = Field(sa_type=Text)
    run: str = Field(sa_type=Text)
    incident_id: int | None = Field(sa_type=BigInteger)
    by: str = Field(sa_type=Text)
    verb: str = Field(sa_type=Text)
    target: str = Field(sa_type=Text)
    place: str = Field(sa_type=Text)
    body: bytes = Field(sa_type=LargeBinary)


class AuditSealRow(SQLModel, table=True):
    """An entry's place in the tree, from 0 without a gap, and its leaf."""

    __tablename__ = "audit_seal"
    __table_args__ = (Index("audit_seal_entry", "entry_id", unique=True),)

    pos: int = Field(primary_key=True, sa_type=_Key, sa_column_kwargs={"autoincrement": False})
    entry_id: int = Field(sa_type=BigInteger, foreign_key="audit_entry.id")
    leaf: bytes = Field(sa_type=LargeBinary)


class AuditCheckpointRow(SQLModel, table=True):
    """The root over the first `size` leaves, signed; `frontier` is what the tree goes on growing from."""

    __tablename__ = "audit_checkpoint"

    size: int = Field(primary_key=True, sa_type=_Key, sa_column_kwargs={"autoincrement": False})
    root: bytes = Field(sa_type=LargeBinary)
    at: int = Field(sa_type=BigInteger)
    key_id: str = Field(sa_type=Text)
    note: str = Field(sa_type=Text)
    frontier: bytes = Field(sa_type=LargeBinary)


class AuditAnchorRow(SQLModel, table=True):
    """A checkpoint that was put outside of the database, and where it is there."""

    __tablename__ = "audit_anchor"
    __table_args__ = (Index("audit_anchor_of_sink", "sink", "size"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=_Key)
    size: int = Field(sa_type=BigInteger)
    sink: str = Field(sa_type=Text)
    at: int = Field(sa_type=BigInteger)
    receipt: str = Field(sa_type=Text)


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
