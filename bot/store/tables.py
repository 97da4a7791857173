"""The tables, private to `store/`: incidents, the outbox, requests, plans and runs, gates, accounts, the audit log.

Times are whole microseconds since 1970 UTC: the same number in SQLite and PostgreSQL, exact, ordered, and cheap to
bind where one commit has thousands of rows. Members of a closed set are stored by their published values, never by the
names of the code. SQLModel does not validate table models, so values are checked before they get here.

A change here needs a migration: a test compares these tables with a migrated database.

The foreign keys of alert, event and delivery exist in SQLite only, where they cost next to nothing and every test would
run into a violation; PostgreSQL looks up and locks the incident for each row, a quarter of the cost of a storm there
(docs/decisions/0030).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

#: Tables whose foreign keys PostgreSQL does not have.
LOOSE_ON_POSTGRES = frozenset({"alert", "event", "delivery"})

#: SQLite makes only an INTEGER PRIMARY KEY the row's own address.
_Key = BigInteger().with_variant(Integer(), "sqlite")
#: The id of a new row is given by us, and not by a sequence of the database.
_NOT_COUNTED = {"autoincrement": False}
_UNSENT = "state IN ('owed', 'leased')"


def _given_id() -> Any:
    """Any, here and below: as SQLModel's `Field`."""
    return Field(primary_key=True, sa_type=_Key, sa_column_kwargs=_NOT_COUNTED)


def _counted_id() -> Any:
    return Field(default=None, primary_key=True, sa_type=_Key)


def _text(**more: Any) -> Any:
    return Field(sa_type=Text, **more)


def _number(**more: Any) -> Any:
    """64 bits: times, ids and tokens."""
    return Field(sa_type=BigInteger, **more)


def _bytes() -> Any:
    return Field(sa_type=LargeBinary)


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


class IncidentRow(SQLModel, table=True):
    """`course`: a `Course` as JSON, empty while nothing is in it; `look_at`: when the scheduler looks at it again."""

    __tablename__ = "incident"
    __table_args__ = (
        Index("incident_by_page_key", "page_key", "id"),
        _partial("incident_unresolved", "id", where="status <> 'resolved'"),
        _partial("incident_troubles", "service", where="status <> 'resolved' AND service IS NOT NULL"),
        _partial("incident_due", "look_at", where="look_at IS NOT NULL"),
    )

    id: int = _given_id()
    page_key: str = _text()
    key: str = _text()
    source: str = _text()
    title: str = _text()
    severity: str = _text()
    status: str = _text()
    opened_at: int = _number()
    changed_at: int = _number()
    firing: int
    total: int
    service: str | None = _text()
    owner: str | None = _text()
    resolved_at: int | None = _number()
    resolved_by: str | None = _text()
    truncated: int
    version: int
    lead: str = _text()
    course: str = _text()
    look_at: int | None = _number()


class AlertRow(SQLModel, table=True):
    __tablename__ = "alert"
    __table_args__ = (
        Index("alert_episode", "fingerprint", "source", "starts_at", unique=True),
        Index("alert_of_incident", "incident_id"),
        _partial("alert_doubted", "doubted_at", where="doubted_at IS NOT NULL"),
    )

    id: int = _given_id()
    source: str = _text()
    fingerprint: str = _text()
    starts_at: int = _number()
    incident_id: int | None = _number(foreign_key="incident.id")
    firing: int
    labels: str = _text()
    notes: str = _text()
    link: str = _text()
    heard_at: int = _number()
    ended_at: int | None = _number()
    until: int | None = _number()
    doubted_at: int | None = _number()
    text_digest: int | None = _number()


class EventRow(SQLModel, table=True):
    __tablename__ = "event"
    __table_args__ = (Index("event_of_incident", "incident_id", "id"),)

    id: int = _given_id()
    incident_id: int = _number(foreign_key="incident.id")
    at: int = _number()
    what: str = _text()
    by: str = _text()
    said: str = _text()
    via: str = _text()


class QuarantineRow(SQLModel, table=True):
    """A body of a known sender that could not be read, whole, as it was received."""

    __tablename__ = "quarantine"
    __table_args__ = (Index("quarantine_sha256", "sha256"),)

    id: int | None = _counted_id()
    source: str = _text()
    at: int = _number()
    code: str = _text()
    why: str = _text()
    sha256: str = _text()
    body: bytes = _bytes()


class DeliveryRow(SQLModel, table=True):
    """One message of the outbox. `state` is waits (a line, until its card is posted), owed, leased, sent or dead.

    Messages of one `lane` keep their order: a group's pages, an incident's lines. It is empty for cards, which have no
    order to keep. `refused`: of a dead message that is sent again once the channel works, what was refused (key or
    place).
    """

    __tablename__ = "delivery"
    __table_args__ = (
        Index("delivery_of_incident", "incident_id", "id"),
        _partial("delivery_card", "incident_id", "channel", where="kind = 'card'", unique=True),
        _partial("delivery_owed", "channel", "rank", "id", where="state = 'owed'"),
        _partial("delivery_in_order", "channel", "lane", "id", where=f"lane <> '' AND {_UNSENT}"),
        _partial("delivery_late", "owed_at", where=f"kind = 'page' AND {_UNSENT}"),
        _partial("delivery_leased", "lease_until", where="state = 'leased'"),
        _partial("delivery_ref", "channel", "ref", where="ref IS NOT NULL"),
        _partial("delivery_refused", "channel", "incident_id", where="state = 'dead' AND refused <> ''"),
    )

    id: int = _given_id()
    incident_id: int = _number(foreign_key="incident.id")
    channel: str = _text()
    kind: str = _text()
    lane: str = _text()
    event_id: int | None = _number(foreign_key="event.id")
    rank: int
    state: str = _text()
    owed_at: int = _number()
    not_before: int = _number()
    version: int
    sent_version: int
    attempts: int
    faults: int
    token: int
    lease_until: int = _number()
    sent_at: int | None = _number()
    said: str = _text()
    ref: str | None = _text()
    refused: str = _text()


class TroubleRow(SQLModel, table=True):
    """People were notified that this channel fails for this incident."""

    __tablename__ = "trouble"

    incident_id: int = _number(primary_key=True, sa_column_kwargs=_NOT_COUNTED)
    channel: str = _text(primary_key=True)


class PaceRow(SQLModel, table=True):
    """One request that was sent (or may have been sent) to a channel: the channel's rate limits count these."""

    __tablename__ = "pace"
    __table_args__ = (Index("pace_of_channel", "channel", "at"),)

    id: int | None = _counted_id()
    channel: str = _text()
    at: int = _number()


class PauseRow(SQLModel, table=True):
    """A channel whose provider asked us to wait (Retry-After): until when, as people are shown it in `said`.

    `until`: nothing is sent before; of a pager it is earlier than what the provider asked for (`asked_until`). `told`:
    whether people were notified. The row is deleted by the first message that arrives afterwards.
    """

    __tablename__ = "pause"

    channel: str = _text(primary_key=True)
    until: int = _number()
    said: str = _text()
    asked_until: int = _number()
    told: int


class ChannelTroubleRow(SQLModel, table=True):
    """A channel that refuses every message: what it refuses (`core.errors.Refusal`), why, since when, and when a
    message is tried there again. The row is deleted once all messages are made good.
    """

    __tablename__ = "channel_trouble"

    channel: str = _text(primary_key=True)
    refused: str = _text()
    said: str = _text()
    at: int = _number()
    try_at: int = _number()


class ChannelFactRow(SQLModel, table=True):
    """Something that a channel has learned from its platform and needs after a restart."""

    __tablename__ = "channel_fact"

    channel: str = _text(primary_key=True)
    name: str = _text(primary_key=True)
    value: str = _text()


class SeenRow(SQLModel, table=True):
    """A request of a platform that was carried out, and its answer. `once` is the request's idempotency key."""

    __tablename__ = "seen"
    __table_args__ = (Index("seen_at", "at"),)

    place: str = _text(primary_key=True)
    once: str = _text(primary_key=True)
    at: int = _number()
    said: str = _text()
    ok: int
    person: str = _text()
    account: str = _text()


class PlanRow(SQLModel, table=True):
    """A plan that was shown; `body` has the bytes of its digest. `state` is a `PlanState`.

    `place` and `account` are the channel and the account that requested it; `had` are all accounts that the requester
    had then, as JSON. `moving`: what was true then and moves by itself, as JSON; no part of the digest.
    """

    __tablename__ = "plan"
    __table_args__ = (
        _partial("plan_shown", "at", where="state = 'shown'"),
        _partial("plan_approved", "approved_at", where="state = 'approved'"),
        _partial("plan_undoes", "undoes", where="undoes <> ''"),
        _partial("plan_incident", "incident_id", where="incident_id IS NOT NULL"),
    )

    handle: str = _text(primary_key=True)
    verb: str = _text()
    words: str = _text()
    by: str = _text()
    place: str = _text()
    incident_id: int | None = _number(foreign_key="incident.id")
    at: int = _number()
    needs: int
    state: str = _text()
    body: bytes = _bytes()
    digest: str = _text()
    undoes: str = _text()
    approved_at: int | None = _number()
    spot: str = _text()
    account: str = _text()
    had: str = _text()
    moving: str = _text()


class ApprovalRow(SQLModel, table=True):
    """One person's approval of one plan; `account` and `had` as in `PlanRow`."""

    __tablename__ = "approval"

    handle: str = _text(primary_key=True, foreign_key="plan.handle")
    person: str = _text(primary_key=True)
    place: str = _text()
    at: int = _number()
    account: str = _text()
    had: str = _text()


class RunRow(SQLModel, table=True):
    """One run of an action; `state` is intended, done, failed or unknown. `token` is its target's (see
    `TargetLockRow`).

    `unwell`: why its effect is degraded. `noted`, `watch_until`, `watches`: what waiting for its effect needs, until
    when it waits, and how often the wait was begun. `lost_at`: when its process was first found to have missed its
    lease.
    """

    __tablename__ = "run"
    __table_args__ = (
        _partial("run_intended", "lease_until", where="state = 'intended'"),
        _partial("run_reverts", "revert_at", where="revert_at IS NOT NULL"),
        _partial("run_checked", "check_at", where="check_at IS NOT NULL"),
        Index("run_began", "began_at"),
    )

    id: str = _text(primary_key=True)
    handle: str = _text(foreign_key="plan.handle")
    by: str = _text()
    target: str = _text()
    state: str = _text()
    token: int = _number()
    lease_until: int = _number()
    began_at: int = _number()
    ended_at: int | None = _number()
    said: str = _text()
    undo: str = _text()
    left: str = _text()
    revert_at: int | None = _number()
    check_at: int | None = _number()
    check_until: int | None = _number()
    rule: str = _text()
    glass: int | None = _number()
    unwell: str = _text()
    noted: str = _text()
    watch_until: int | None = _number()
    watches: int = _number()
    lost_at: int | None = _number()


class TargetLockRow(SQLModel, table=True):
    """One action per target at a time: the run that holds the target, and the token, which increases with each run."""

    __tablename__ = "hold"

    target: str = _text(primary_key=True)
    run: str = _text()
    token: int = _number()
    until: int = _number()


class RunReportRow(SQLModel, table=True):
    """Where a slow run is reported. `shown`: the message with its progress; `due_at`: null until the run has ended."""

    __tablename__ = "telling"
    __table_args__ = (_partial("telling_due", "due_at", where="due_at IS NOT NULL"),)

    run: str = _text(primary_key=True, foreign_key="run.id")
    place: str = _text()
    spot: str = _text()
    shown: str = _text()
    due_at: int | None = _number()


class GateAskedRow(SQLModel, table=True):
    """The last question of Flagger at each gate."""

    __tablename__ = "gate_asked"
    __table_args__ = (Index("gate_asked_at", "at"),)

    cluster: str = _text(primary_key=True)
    namespace: str = _text(primary_key=True)
    name: str = _text(primary_key=True)
    hook: str = _text(primary_key=True)
    revision: str = _text()
    at: int = _number()


class GateRow(SQLModel, table=True):
    """A gate that a run has opened, for one revision, until a time."""

    __tablename__ = "gate"
    __table_args__ = (
        _partial("gate_open", "cluster", "namespace", "name", "hook", where="closed_at IS NULL"),
        Index("gate_until", "until"),
    )

    run: str = _text(primary_key=True)
    cluster: str = _text()
    namespace: str = _text()
    name: str = _text()
    hook: str = _text()
    revision: str = _text()
    opened_at: int = _number()
    until: int = _number()
    passed_at: int | None = _number()
    closed_at: int | None = _number()


class LinkRow(SQLModel, table=True):
    """An account that a person has shown to be theirs. A person has one in each channel (`place`)."""

    __tablename__ = "link"
    __table_args__ = (Index("link_of_person", "person", "place", unique=True),)

    place: str = _text(primary_key=True)
    account: str = _text(primary_key=True)
    person: str = _text()
    at: int = _number()
    by: str = _text()


class LinkCodeRow(SQLModel, table=True):
    """A code by which an account is linked: its hash, who asked for it from where, and the message to them (`word`).

    `word_due_at`: null once the message can only be given in the answer to the account's next request.
    """

    __tablename__ = "link_code"
    __table_args__ = (
        Index("link_code_until", "until"),
        _partial("link_code_unspent", "person", where="spent_at IS NULL"),
        _partial("link_code_word", "place", "account", where="word IS NOT NULL"),
        _partial("link_code_word_due", "word_due_at", where="word_due_at IS NOT NULL"),
    )

    hash: str = _text(primary_key=True)
    person: str = _text()
    place: str = _text()
    account: str = _text()
    at: int = _number()
    until: int = _number()
    spent_at: int | None = _number()
    word: str | None = _text()
    word_due_at: int | None = _number()


class LinkTryRow(SQLModel, table=True):
    """How many wrong codes came from an account, each while the one before still counted, and until when they count."""

    __tablename__ = "link_try"
    __table_args__ = (Index("link_try_until", "until"),)

    place: str = _text(primary_key=True)
    account: str = _text(primary_key=True)
    tries: int
    until: int = _number()


class NoticeRow(SQLModel, table=True):
    """A message for an account. `due_at`: null once it can only be given in the answer to its next request."""

    __tablename__ = "notice"
    __table_args__ = (
        Index("notice_to", "place", "account"),
        _partial("notice_due", "due_at", where="due_at IS NOT NULL"),
    )

    id: str = _text(primary_key=True)
    place: str = _text()
    account: str = _text()
    said: str = _text()
    at: int = _number()
    due_at: int | None = _number()


class BreakGlassRow(SQLModel, table=True):
    """One use of break glass; `id` counts them, in the order of commits."""

    __tablename__ = "glass"
    __table_args__ = (
        _partial("glass_open", "person", where="closed_at IS NULL"),
        _partial("glass_unreviewed", "id", where="reviewed_at IS NULL"),
    )

    id: int = _number(primary_key=True, sa_column_kwargs=_NOT_COUNTED)
    person: str = _text()
    reason: str = _text()
    opened_at: int = _number()
    until: int = _number()
    incident_id: int | None = _number(foreign_key="incident.id")
    closed_at: int | None = _number()
    reviewed_by: str | None = _text()
    reviewed_at: int | None = _number()
    review: str = _text()
    place: str = _text()
    account: str = _text()


class RotaOverrideRow(SQLModel, table=True):
    """An override of a rota that a person made; `ended_at`: when it was ended before its time."""

    __tablename__ = "rota_override"
    __table_args__ = (Index("rota_override_end", "end_at"),)

    id: str = _text(primary_key=True)
    rota: str = _text()
    start_at: int = _number()
    end_at: int = _number()
    person: str = _text()
    instead_of: str = _text()
    by: str = _text()
    made_at: int = _number()
    ended_at: int | None = _number()
    ended_by: str | None = _text()


class RestoreRow(SQLModel, table=True):
    """One restore into a copy, drills included; `body`: a `RestoreRecord` as JSON, `open`: 1 while the copy may be."""

    __tablename__ = "restore"
    __table_args__ = (_partial("restore_open", "store", where="open = 1"),)

    run: str = _text(primary_key=True)
    store: str = _text()
    state: str = _text()
    began_at: int = _number()
    open: int
    body: str = _text()


class DrillRow(SQLModel, table=True):
    """One drill; `body`: a `Drill` as JSON, `abort`: why it was asked to stop."""

    __tablename__ = "drill"
    __table_args__ = (Index("drill_of_store", "store", "began_at"),)

    run: str = _text(primary_key=True)
    store: str = _text()
    result: str = _text()
    began_at: int = _number()
    abort: str = _text(default="")
    body: str = _text()


class StoreLookRow(SQLModel, table=True):
    """The last look at a store of backups; `body`: a `StoreLook` as JSON."""

    __tablename__ = "store_look"

    store: str = _text(primary_key=True)
    looked_at: int = _number()
    body: str = _text()


class AuditEntryRow(SQLModel, table=True):
    """One entry of the audit log: inserted, never changed; triggers enforce this, here and in the next three tables.

    `body` has the bytes that are hashed, and is authoritative; the other columns repeat parts of it for searches.
    """

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index("audit_entry_uid", "uid", unique=True),
        Index("audit_entry_at", "at"),
        _partial("audit_entry_of_incident", "incident_id", "id", where="incident_id IS NOT NULL"),
        _partial("audit_entry_of_run", "run", "id", where="run <> ''"),
    )

    id: int | None = _counted_id()
    uid: str = _text()
    at: int = _number()
    code: str = _text()
    run: str = _text()
    incident_id: int | None = _number()
    by: str = _text()
    verb: str = _text()
    target: str = _text()
    place: str = _text()
    body: bytes = _bytes()


class AuditSealRow(SQLModel, table=True):
    """An entry's position in the tree, from 0 without a gap, and its leaf."""

    __tablename__ = "audit_seal"
    __table_args__ = (Index("audit_seal_entry", "entry_id", unique=True),)

    pos: int = _given_id()
    entry_id: int = _number(foreign_key="audit_entry.id")
    leaf: bytes = _bytes()


class AuditCheckpointRow(SQLModel, table=True):
    """The signed root over the first `size` leaves; `frontier` has the hashes from which the tree continues to grow."""

    __tablename__ = "audit_checkpoint"

    size: int = _given_id()
    root: bytes = _bytes()
    at: int = _number()
    key_id: str = _text()
    note: str = _text()
    frontier: bytes = _bytes()


class AuditAnchorRow(SQLModel, table=True):
    """A checkpoint that was stored outside of the database, and where it is there."""

    __tablename__ = "audit_anchor"
    __table_args__ = (Index("audit_anchor_of_sink", "sink", "size"),)

    id: int | None = _counted_id()
    size: int = _number()
    sink: str = _text()
    at: int = _number()
    receipt: str = _text()
