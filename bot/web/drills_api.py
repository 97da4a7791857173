"""Drills of backups as the API shows them: each row as auditors want it, in JSON or as a page of Markdown."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from bot.backups.drill_report import export_json, export_markdown
from bot.core.backup import DrillResult
from bot.store import backup_rows
from bot.store.views import Reader

#: Drills in one answer.
MOST_DRILLS = 200
FORMATS = "`markdown`: the same as a page, for people and auditors."


class DrillPhaseOut(BaseModel):
    """A part of a drill."""

    name: str
    start: datetime
    end: datetime | None
    size_bytes: int | None


class DrillCheckOut(BaseModel):
    """What was asked of the copy, and what came back."""

    name: str
    expected: str
    got: str
    ok: bool


class DrillOut(BaseModel):
    """One drill. `data_at`: the moment whose data the copy had to have; `message`: why it ended so."""

    run: str
    store: str
    engine: str
    version: str
    result: DrillResult
    message: str
    backup_id: str
    data_at: datetime | None
    size_bytes: int | None
    began_at: datetime
    restored_at: datetime | None
    finished_at: datetime | None
    rto_seconds: float | None = Field(description="From its start until all data was read; without the teardown.")
    rpo_seconds: float | None = Field(description="The age of the newest data in the copy, when the drill began.")
    sentinel: str = Field(description="The token that the copy had to have; empty for none.")
    phases: list[DrillPhaseOut]
    checks: list[DrillCheckOut]
    scope: str
    method: str
    cost: str
    leftovers: list[str]


class DrillsOut(BaseModel):
    """The last drills, newest first."""

    drills: list[DrillOut]


def last_drills(seen: Reader, store: str, limit: int) -> bytes:
    found = backup_rows.drills(seen.sql, store, limit)
    return DrillsOut(drills=[DrillOut.model_validate(export_json(one)) for one in found]).model_dump_json().encode()


def drills_as_markdown(seen: Reader, store: str, limit: int) -> bytes:
    return "\n".join(map(export_markdown, backup_rows.drills(seen.sql, store, limit))).encode()
