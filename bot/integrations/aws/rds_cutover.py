"""A copy in RDS takes the place of the live database by two renames, and the other way round.

The endpoint follows the identifier, so clients need no new settings, only new connections. Which database is which is
told by resource id and by the run in the tags, never by name: the names are what changes. While one is renamed,
describe by its old name answers that there is none. So every look lists all databases.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from bot.core.backup import (
    OWNER_LABEL,
    CopyState,
    CutoverPreview,
    CutoverState,
    CutoverStatus,
    EngineParts,
    Report,
    RestoreTask,
)
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.integrations.aws.rds_database import RdsDatabase, copy_name
from bot.integrations.aws.rds_inventory import RdsKind
from bot.integrations.aws.rds_status import is_over, status_of

_POLL = timedelta(seconds=10)
#: AWS takes identifiers of 63 characters, and refuses a longer one only when it is asked to rename.
_KEPT_OF_NAME = 63 - len("-old-01234567")
_RENAMED_WITHIN = timedelta(minutes=45)
_SAVED_WITHIN = timedelta(hours=6)
#: While a database is renamed, it is shown neither by its old name nor by its new one.
_HIDDEN_WITHIN = timedelta(minutes=15)
#: Right after the request, describe may answer that there is no such snapshot.
_SHOWN_WITHIN = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True, slots=True)
class RdsPair:
    """The database that was live when the copy was planned, and the copy; None for one that is gone."""

    old: RdsDatabase | None
    copy: RdsDatabase | None


class RdsCutover:
    """Of the database with that name. `sessions`: who is connected to a host, None where nobody can tell."""

    def __init__(
        self, kind: RdsKind, name: str, parts: EngineParts, sessions: Callable[[RdsDatabase], int | None]
    ) -> None:
        self._kind = kind
        self._name = name
        self._parts = parts
        self._sessions = sessions

    def preview(self, task: RestoreTask) -> CutoverPreview:
        pair = self._pair(task)
        copy = self._restored(pair)
        if copy.name == self._name:
            raise Rejected(f"The copy of run {task.short_run} is the live {self._name} already. Nothing was done.")
        if pair.old is None or pair.old.name != self._name:
            raise Conflict(f"{self._name} is not the database that the copy was restored from. Nothing was done.")
        connected, old_name = self._sessions(pair.old), self._old_name("{run}")
        return CutoverPreview(
            live=self._name,
            old_name=old_name,
            effect=(
                f"renames {self._name} to {old_name}, and then {copy.name} to {self._name}; both restart",
                "the endpoint stays the same and leads to the copy; pools of connections have to connect anew",
                "what is written after the safety snapshot stays in the old one; stop the writers, the bot does not",
                "Terraform, ACK and others that know the databases by resource id see another one under the old name",
            ),
            preconditions={"live": pair.old.resource_id, "copy": copy.resource_id},
            moving=() if connected is None else (f"{connected} sessions are connected to {self._name} now",),
            safety=f"a snapshot of {self._name} is made first, and waited for",
        )

    def cut_over(self, task: RestoreTask, cutover_run: str, report: Report) -> None:
        pair = self._shown_pair(task, cutover_run, report)
        copy = self._restored(pair)
        old_name = self.old_name(cutover_run)
        if copy.name != self._name:
            if pair.old is None:
                raise Conflict(f"The database that was {self._name} is gone. Nothing was renamed.")
            if pair.old.name == self._name:
                self._save(pair.old, cutover_run, report)
                self._refuse_writers(pair.old)
                self._rename(pair.old, old_name, report)
            elif pair.old.name != old_name:
                raise Conflict(f"The old database is called {pair.old.name}, not {old_name}. Nothing was renamed.")
            self._half(lambda: self._rename(copy, self._name, report), f"{self._name} is called {old_name} now")
        self._wait_named(copy.resource_id, self._name, report)
        protected = pair.old is not None and bool(pair.old.raw.get("DeletionProtection"))
        if protected:
            self._half(lambda: self._kind.protect(self._name, on=True), "the copy is live, without deletion protection")

    def look(self, task: RestoreTask, cutover_run: str) -> CutoverStatus:
        pair, old_name = self._pair(task), self.old_name(cutover_run)
        if pair.copy is not None and pair.copy.name == self._name:
            ready = status_of(pair.copy.status, self._name)
            state = CutoverState.NEW if ready.state is CopyState.RESTORED else CutoverState.PARTIAL
            return CutoverStatus(state=state, message=f"{ready.message}; the old one is {_named(pair.old)}")
        if pair.old is not None and pair.old.name == self._name and not _is_renaming(pair.old):
            return CutoverStatus(state=CutoverState.OLD)
        message = (
            f"{self._name} was renamed to {old_name}, and the copy ({_named(pair.copy)}) not to {self._name} yet: "
            f"clients find no database under {self._name}"
        )
        return CutoverStatus(state=CutoverState.PARTIAL, message=message)

    def undo_refusal(self, task: RestoreTask, cutover_run: str) -> str:
        pair, old_name = self._pair(task), self.old_name(cutover_run)
        if pair.old is None:
            return f"The old database {old_name} is gone, or is being renamed and not shown."
        if pair.copy is None:
            return "The copy that is live is not found by its run; rename by hand."
        if pair.old.name not in (old_name, self._name):
            return f"The old database is called {pair.old.name}, not {old_name}."
        if status_of(pair.old.status, old_name).state is not CopyState.RESTORED:
            return f"The old database {pair.old.name} is {pair.old.status}; wait until it is available, or start it."
        connected = self._sessions(pair.old) if pair.old.name == old_name else None
        if connected:
            return f"{connected} sessions are connected to {old_name}, so both may have been written since."
        return ""

    def undo(self, task: RestoreTask, cutover_run: str, report: Report) -> None:
        self._shown_pair(task, cutover_run, report)
        if refusal := self.undo_refusal(task, cutover_run):
            raise Rejected(f"{refusal} Nothing was done.")
        pair = self._pair(task)
        assert pair.old is not None, "an undo without the old one is refused"
        assert pair.copy is not None, "an undo without the copy is refused"
        if pair.copy.name == self._name:
            self._refuse_writers(pair.copy)
            self._rename(pair.copy, copy_name(self._name, task), report)
        old = pair.old
        if old.name != self._name:
            self._half(lambda: self._rename(old, self._name, report), f"nothing is called {self._name} now")
        self._wait_named(old.resource_id, self._name, report)

    def remove_old(self, task: RestoreTask, cutover_run: str) -> None:
        pair, old_name = self._pair(task), self.old_name(cutover_run)
        if pair.old is None or pair.old.status == "deleting":
            return
        if pair.copy is None or pair.copy.name != self._name or pair.old.name != old_name:
            raise Rejected(f"{pair.old.name} is not what run {cutover_run[:8]} has replaced. Nothing was removed.")
        if pair.old.raw.get("DeletionProtection"):
            self._kind.protect(old_name, on=False)
        self._kind.delete(old_name, final_snapshot=f"{self._name}-final-{cutover_run[:8]}")

    def old_name(self, cutover_run: str) -> str:
        return self._old_name(cutover_run[:8])

    def _old_name(self, short: str) -> str:
        return f"{self._name[:_KEPT_OF_NAME].rstrip('-')}-old-{short}"

    def _restored(self, pair: RdsPair) -> RdsDatabase:
        if pair.copy is None:
            raise Rejected("The copy is not there, or does not carry its run any more. Nothing was done.")
        found = status_of(pair.copy.status, pair.copy.name)
        begun = pair.copy.name == self._name or _is_renaming(pair.copy)  # The rename is waited for where it is done.
        if found.state is not CopyState.RESTORED and not begun:
            raise Rejected(f"The copy is not ready: {found.message}. Nothing was done.")
        return pair.copy

    def _pair(self, task: RestoreTask) -> RdsPair:
        everything = list(self._kind.list_all())
        source = task.facts.get("resource_id", "")
        old = next((one for one in everything if source and one.resource_id == source), None)
        copies = [one for one in everything if one.tags.get(OWNER_LABEL) == task.run and one.resource_id != source]
        return RdsPair(old=old, copy=copies[0] if copies else None)

    def _shown_pair(self, task: RestoreTask, cutover_run: str, report: Report) -> RdsPair:
        """Both, also where an earlier process died in a rename: then one of them is shown by no name for a while. That
        this cutover has begun, its safety snapshot tells.
        """
        begun = self._parts.now()
        while True:
            pair = self._pair(task)
            if (pair.old and pair.copy) or self._parts.now() - begun > _HIDDEN_WITHIN:
                return pair
            if not self._own_snapshot(cutover_run):
                return pair
            report("waiting until a rename that was begun is shown")
            self._parts.pause(_POLL)

    def _own_snapshot(self, cutover_run: str) -> bool:
        found = self._kind.find_snapshot(self._snapshot_name(cutover_run))
        return found is not None and found.tags.get(OWNER_LABEL) == cutover_run

    def _snapshot_name(self, cutover_run: str) -> str:
        return f"{self._name}-before-{cutover_run[:8]}"

    def _save(self, live: RdsDatabase, cutover_run: str, report: Report) -> None:
        name = self._snapshot_name(cutover_run)
        if self._kind.find_snapshot(name) is None:
            self._kind.take_snapshot(live.name, name, {OWNER_LABEL: cutover_run})
        begun = self._parts.now()
        while True:
            found = self._kind.find_snapshot(name)
            late = self._parts.now() - begun
            if found is not None and found.tags.get(OWNER_LABEL) != cutover_run:
                raise Conflict(f"There is a snapshot {name} already, and not of this run. Nothing was renamed.")
            if found is not None and found.status == "available":
                return
            if found is None and late > _SHOWN_WITHIN:
                raise Rejected(f"The safety snapshot {name} was asked for and is not there. Nothing was renamed.")
            if found is not None and found.status not in ("creating", "pending"):
                raise Rejected(f"The safety snapshot {name} is {found.status}. Nothing was renamed.")
            if late > _SAVED_WITHIN:
                raise Rejected(f"The safety snapshot {name} was not made in 6 hours. Nothing was renamed.")
            report(f"safety snapshot: {found.percent or 0 if found else 0} %")
            self._parts.pause(_POLL)

    def _refuse_writers(self, live: RdsDatabase) -> None:
        if connected := self._sessions(live):
            raise Conflict(
                f"{connected} sessions are connected to {live.name}, which could still write. Nothing was renamed. "
                "Stop what uses it (scale it to 0), then try again."
            )

    def _rename(self, one: RdsDatabase, new: str, report: Report) -> None:
        """An earlier request for it may be under way: then it is only waited for."""
        if not _is_renaming(one):
            self._kind.rename(one.name, new)
        self._wait_named(one.resource_id, new, report)

    def _wait_named(self, resource_id: str, new: str, report: Report) -> None:
        begun, trouble = self._parts.now(), ""
        while self._parts.now() - begun <= _RENAMED_WITHIN:
            try:
                found = next((one for one in self._kind.list_all() if one.resource_id == resource_id), None)
                trouble = ""
            except Rejected as refused:
                found, trouble = None, refused.message
            if found and found.name == new and status_of(found.status, new).state is CopyState.RESTORED:
                return
            if found and is_over(found.status):
                raise OutcomeUnknown(f"{found.name} is {found.status} after it was asked to become {new}.")
            report(f"waiting until {new} is available: {trouble or (found.status if found else 'not shown')}")
            self._parts.pause(_POLL)
        raise OutcomeUnknown(f"Not in 45 min: {new} is available after the rename. {trouble}".rstrip())

    def _half(self, step: Callable[[], None], done: str) -> None:
        """A step after the first: a refusal of it does not mean that nothing was done."""
        try:
            step()
        except (Rejected, Conflict) as refused:
            raise OutcomeUnknown(f"Stopped half-way: {done}. {refused.message}") from None


def _is_renaming(one: RdsDatabase) -> bool:
    pending = one.raw.get("PendingModifiedValues") or {}
    return one.status == "renaming" or bool(pending.get("DBInstanceIdentifier") or pending.get("DBClusterIdentifier"))


def _named(one: RdsDatabase | None) -> str:
    return f"{one.name}, {one.status}" if one else "gone"
