"""Plans and approvals, in one write transaction: a plan is approved once, and its run begins once."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from bot.core.access import Account, RecordedIdentity
from bot.core.plan import PLAN_LASTS, PlanState, Proposal, plan_from_bytes
from bot.store.sql import Row, Sql
from bot.store.times import micros, moment
from bot.store.transaction import Tx

_PLAN = (
    "handle", "verb", "words", '"by"', "place", "incident_id", "at", "needs", "state", "body", "digest", "undoes",
    "spot", "account", "had", "moving",
)  # fmt: skip
#: More plans of one request are not told of.
_MOST_OF_ONE_REQUEST = 5
_SELECT_PLAN = f"SELECT {', '.join(f'p.{name}' for name in _PLAN)} FROM plan AS p"


def put_plan(tx: Tx, proposal: Proposal, body: bytes) -> None:
    row = (
        proposal.handle, proposal.verb, proposal.command, proposal.requester, proposal.channel,
        proposal.incident_id, micros(proposal.at), proposal.approvals_needed,
        str(proposal.state), body, proposal.digest, proposal.undo_of, proposal.thread,
        proposal.account, _accounts_json(proposal.accounts), json.dumps(proposal.plan.moving),
        micros(tx.now) if proposal.state is PlanState.APPROVED else None,
    )  # fmt: skip
    tx.sql.insert("plan", (*_PLAN, "approved_at"), [row])


def find_plans(sql: Sql, handle: str) -> list[Proposal]:
    """The plans whose handle begins so, at most two: two are enough to know that the handle is ambiguous."""
    rows = sql.rows(
        f"{_SELECT_PLAN} WHERE p.handle >= ? AND p.handle < ? ORDER BY p.handle LIMIT 2", handle, handle + "g"
    )
    return [_proposal(sql, row) for row in rows]


def plan(sql: Sql, handle: str) -> Proposal:
    """The plan as it is now, with all its approvals."""
    (found,) = find_plans(sql, handle)
    return found


def waiting_plans(sql: Sql, now: datetime, limit: int) -> list[Proposal]:
    """Plans that can still be approved, newest first."""
    since = micros(now - PLAN_LASTS)
    rows = sql.rows(f"{_SELECT_PLAN} WHERE p.state = 'shown' AND p.at > ? ORDER BY p.at DESC LIMIT ?", since, limit)
    return [_proposal(sql, row) for row in rows]


def waiting_plans_of(tx: Tx, requester: str, verb: str, command: str) -> list[Proposal]:
    """That person's plans for the same command that can still be approved, newest first."""
    rows = tx.sql.rows(
        f"{_SELECT_PLAN} WHERE p.state = 'shown' AND p.at > ? AND p.\"by\" = ? AND p.verb = ? AND p.words = ?"
        " ORDER BY p.at DESC, p.handle LIMIT ?",
        micros(tx.now - PLAN_LASTS),
        requester,
        verb,
        command,
        _MOST_OF_ONE_REQUEST,
    )
    return [_proposal(tx.sql, row) for row in rows]


def expired_plans(tx: Tx, limit: int = 100) -> list[Proposal]:
    """Plans that were not approved in time and are still stored as shown."""
    before = micros(tx.now - PLAN_LASTS)
    rows = tx.sql.rows(f"{_SELECT_PLAN} WHERE p.state = 'shown' AND p.at <= ? ORDER BY p.at LIMIT ?", before, limit)
    return [_proposal(tx.sql, row) for row in rows]


def add_approval(tx: Tx, handle: str, approval: RecordedIdentity) -> None:
    columns = ("handle", "person", "place", "at", "account", "had")
    row = (
        handle,
        approval.person,
        approval.channel,
        micros(approval.at),
        approval.account,
        _accounts_json(approval.accounts),
    )
    tx.sql.insert("approval", columns, [row])


def withdraw_approval(tx: Tx, handle: str, person: str) -> None:
    """Remove that person's approval; they may approve again."""
    tx.sql.run("DELETE FROM approval WHERE handle = ? AND person = ?", handle, person)


def set_waiting_again(tx: Tx, handle: str) -> bool:
    """An approved plan without a run waits for approval again. False: it has a run, or was stopped."""
    waits = "UPDATE plan SET state = 'shown', approved_at = NULL WHERE handle = ? AND state = 'approved'"
    return tx.sql.run(waits, handle) == 1


def set_state(tx: Tx, handle: str, state: PlanState) -> bool:
    """Change the state of a shown plan. False: it was changed before."""
    approved_at = micros(tx.now) if state is PlanState.APPROVED else None
    return (
        tx.sql.run(
            "UPDATE plan SET state = ?, approved_at = ? WHERE handle = ? AND state = 'shown'",
            str(state),
            approved_at,
            handle,
        )
        == 1
    )


def set_begun(tx: Tx, handle: str) -> bool:
    """The run of an approved plan begins. False: it has one, or it was stopped."""
    return tx.sql.run("UPDATE plan SET state = 'begun' WHERE handle = ? AND state = 'approved'", handle) == 1


def set_stopped(tx: Tx, handle: str, state: PlanState) -> bool:
    """An approved plan gets no run; `state` says why. False: it has a run, or it was stopped before."""
    return tx.sql.run("UPDATE plan SET state = ? WHERE handle = ? AND state = 'approved'", str(state), handle) == 1


def approved_without_run(tx: Tx, after: timedelta, limit: int = 20) -> list[Proposal]:
    """Plans that were approved longer ago than `after` and have no run: the process that was to begin it has died."""
    before = micros(tx.now - after)
    rows = tx.sql.rows(
        f"{_SELECT_PLAN} WHERE p.state = 'approved' AND p.approved_at < ? ORDER BY p.approved_at LIMIT ?", before, limit
    )
    return [_proposal(tx.sql, row) for row in rows]


def _proposal(sql: Sql, row: Row) -> Proposal:
    (
        handle, verb, words, by, place, incident_id, at, needs, state, body, digest, undoes, spot, account, had, moving,
    ) = row  # fmt: skip
    approvals = sql.rows(
        "SELECT person, place, account, at, had FROM approval WHERE handle = ? ORDER BY at, person", handle
    )
    return Proposal(
        handle=handle,
        verb=verb,
        command=words,
        requester=by,
        channel=place,
        incident_id=incident_id,
        at=moment(at),
        approvals_needed=needs,
        state=PlanState(state),
        plan=replace(plan_from_bytes(bytes(body)), moving=tuple(json.loads(moving))),
        digest=digest,
        approvals=tuple(map(_approval, approvals)),
        undo_of=undoes,
        thread=spot,
        account=account,
        accounts=_accounts(had),
    )


def _approval(row: Row) -> RecordedIdentity:
    person, place, account, at, had = row
    return RecordedIdentity(person=person, channel=place, account=account, at=moment(at), accounts=_accounts(had))


def _accounts_json(accounts: Collection[Account]) -> str:
    return json.dumps(sorted(accounts))


def _accounts(stored: str) -> frozenset[Account]:
    return frozenset((place, account) for place, account in json.loads(stored))
