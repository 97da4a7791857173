"""Cutover of Redis: the live server follows the copy as its replica, takes all its data, and stands alone again.

Measured with 7.0, and the only way that is safe for a server that runs: a file that is put in the place of its own is
overwritten when it ends (save points), and ignored where it has an append-only file. As a replica it refuses writers by
itself, writes its append-only file anew from the data that it took over, and its own replicas follow.

What was live is kept as a file beside the copy, taken after writers are refused; the undo follows that file in the same
way. How far it came is written in the copy's label before each step, and shown by the server's role.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from datetime import timedelta

from bot.core.backup import CopyState, CutoverPreview, CutoverState, CutoverStatus, Report, RestoreTask
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.programs import Program, Programs
from bot.integrations.redis.client import RedisClient, RedisLoading
from bot.integrations.redis.copies import RedisCopies, ScratchServer
from bot.integrations.redis.dumping import dump_program
from bot.integrations.redis.rdb_files import RdbFiles
from bot.integrations.redis.settings import RedisSettings

_POLL = timedelta(milliseconds=200)
_FOLLOWED_WITHIN = timedelta(hours=1)
#: More replicas than any server has: with this many required, it refuses every write.
_NO_WRITES = "1000000"
_OLD_FILE = "old.rdb"
#: What is changed for the time of a cutover, and set back afterwards.
_CHANGED = ("min-replicas-to-write", "min-replicas-max-lag", "masterauth", "masteruser")


class RedisCutover:
    """Implements the cutover of `core.backup.CutoverEngine` for one store."""

    def __init__(
        self,
        where: RedisSettings,
        copies: RedisCopies,
        files: RdbFiles,
        live: RedisClient,
        *,
        programs: Programs,
        pause: Callable[[timedelta], None],
    ) -> None:
        self._where = where
        self._copies = copies
        self._files = files
        self._live = live
        self._programs = programs
        self._pause = pause

    def preview(self, task: RestoreTask) -> CutoverPreview:
        server = self._copies.server_of(task.run)
        if server.label().get("cutover"):
            raise Rejected("That copy was put in the place of the live one already. Nothing was done.", code="is_live")
        status = self._copies.look(task)
        if status.state is not CopyState.RESTORED:
            message = f"The copy is {status.state}: {status.message or 'it is not complete'}."
            raise Rejected(f"{message} Nothing was done.", code="not_restored")
        self._refuse()
        told = self._live.info("replication")
        replicas = told.get("connected_slaves", "0")
        effect = [
            "Writers are refused (NOREPLICAS, then READONLY) until it is over; readers see old data, then LOADING.",
            "The live server follows the copy (REPLICAOF), takes over all its keys, and stands alone again.",
        ]
        if replicas != "0":
            effect.append(f"Its {replicas} replicas are emptied and synchronized anew.")
        if self._live.config("appendonly") == "yes":
            effect.append("Its append-only file is written anew from the new data by the server itself.")
        clients = self._live.info("clients").get("connected_clients", "?")
        return CutoverPreview(
            live=task.store,
            old_name=f"{_OLD_FILE} beside the copy {{run}}",
            effect=tuple(effect),
            preconditions={"server": self._live.info("server").get("run_id", "")},
            moving=(f"{clients} clients are connected now",),
            safety="a safety backup is made first, and the last state is kept as a file when writers are refused",
        )

    def cut_over(self, task: RestoreTask, cutover_run: str, report: Report) -> None:
        server = self._copies.server_of(task.run)
        label = server.label()
        if label.get("run") != task.run:
            raise Conflict("The copy is gone. Nothing was done.")
        if label.get("cutover", cutover_run) != cutover_run:
            raise Conflict("That copy is cut over by another run. Nothing was done.")
        if label.get("done") == cutover_run:
            return
        if not label.get("cutover"):
            if self._copies.look(task).state is not CopyState.RESTORED:
                raise Conflict("The copy is not complete any more. Nothing was done.")
            self._refuse()
            kept = {key: self._live.config(key) for key in _CHANGED}
            self._copies.write_label(server, {**label, "cutover": cutover_run, **kept})
        if self._live.info("replication").get("role") == "master" and not label.get("followed"):
            report("refusing writers")
            self._stop_writers()
            self._keep_old(server, cutover_run, report)
        self._follow(server, server.file.name, report)
        self._copies.write_label(server, {**server.label(), "done": cutover_run})

    def look(self, task: RestoreTask, cutover_run: str) -> CutoverStatus:
        label = self._copies.server_of(task.run).label()
        if label.get("cutover") != cutover_run:
            return CutoverStatus(state=CutoverState.OLD)
        if label.get("undoing"):
            message = "Bringing the old one back was cut off. Writers are refused; ask for it again."
            return CutoverStatus(state=CutoverState.PARTIAL, message=message)
        if label.get("done") == cutover_run:
            return CutoverStatus(state=CutoverState.NEW)
        if message := self._half_way(label):
            return CutoverStatus(state=CutoverState.PARTIAL, message=message)
        return CutoverStatus(state=CutoverState.OLD)

    def _half_way(self, label: Mapping[str, str]) -> str:
        if self._live.info("replication").get("role") != "master":
            return "The live server still follows the copy: writers are refused."
        if label.get("followed"):
            return "The data are swapped; writers may still be refused."
        if self._live.config("min-replicas-to-write") == _NO_WRITES:
            return "Writers are refused, and the live server has its old data."
        return ""

    def undo_refusal(self, task: RestoreTask, cutover_run: str) -> str:
        """What was live is a file, and so cannot have been written since."""
        server = self._copies.server_of(task.run)
        if server.label().get("cutover") != cutover_run:
            return "That cutover left nothing to bring back: its copy is gone."
        if not (server.folder / _OLD_FILE).exists():
            return f"The file {_OLD_FILE} of what was live is gone."
        return self._files.check(server.folder / _OLD_FILE).problem

    def undo(self, task: RestoreTask, cutover_run: str, report: Report) -> None:
        if why := self.undo_refusal(task, cutover_run):
            raise Rejected(f"{why} Nothing was done.", code="undo_refused")
        server = self._copies.server_of(task.run)
        label = server.label()
        if not label.get("undoing"):
            kept = {key: self._live.config(key) for key in _CHANGED}
            self._copies.write_label(server, {**label, "undoing": "yes", "followed": "", **kept})
        if self._live.info("replication").get("role") == "master" and server.label().get("followed") != _OLD_FILE:
            self._stop_writers()
        self._follow(server, _OLD_FILE, report)
        left_out = ("cutover", "done", "undoing", "followed", *_CHANGED)
        self._copies.write_label(server, {key: told for key, told in server.label().items() if key not in left_out})
        self._copies.start(server)

    def remove_old(self, task: RestoreTask, cutover_run: str) -> None:
        server = self._copies.server_of(task.run)
        if not server.folder.exists():
            return
        if server.label().get("cutover") != cutover_run or self.look(task, cutover_run).state is not CutoverState.NEW:
            message = f"{server.folder.name} does not hold what that cutover replaced."
            raise Rejected(f"{message} Nothing was removed.", code="not_ours")
        self._copies.discard(server)

    def _refuse(self) -> None:
        """What a cutover cannot be done with. Raises `Rejected`."""
        told = self._live.info("replication")
        clients = self._live.ask("CLIENT", "LIST").decode(errors="replace")
        why = ""
        if not self._where.reached_as:
            why = "`reached_as` is not set, so the live server cannot be told where the copy is."
        elif self._live.info("cluster").get("cluster_enabled") == "1":
            why = "The live server is part of a Redis Cluster, which cannot follow a server outside of it."
        elif told.get("role") != "master":
            why = "The live server is a replica. Name the master in `url`."
        elif "name=sentinel-" in clients:
            why = "Redis Sentinel watches the live server, and would undo it. Stop Sentinel first."
        elif self._live.config("replica-read-only") != "yes":
            why = "replica-read-only is off, or may not be read, so writers would not be refused."
        if why:
            raise Rejected(f"{why} Nothing was done.", code="no_cutover")

    def _stop_writers(self) -> None:
        self._live.change("CONFIG", "SET", "min-replicas-max-lag", "10")
        self._live.change("CONFIG", "SET", "min-replicas-to-write", _NO_WRITES)

    def _keep_old(self, server: ScratchServer, cutover_run: str, report: Report) -> None:
        """The last state of the live one, when nobody writes to it any more."""
        old, part = server.folder / _OLD_FILE, server.folder / f"{_OLD_FILE}.part"
        if old.exists():
            return
        report("keeping what is live")
        key = f"redis-old-{cutover_run}"
        program: Program = dump_program(self._where, part, key=key)
        ended = self._programs.run(program)
        problem = self._files.check(part).problem if ended.code == 0 and part.exists() else ended.stderr[-200:]
        if ended.code or problem:
            self._let_writers_in(server)
            raise Rejected(f"What is live could not be kept: {problem}. Nothing was swapped; writers are let in again.")
        part.replace(old)

    def _follow(self, server: ScratchServer, file: str, report: Report) -> None:
        """Let the live server take over what that file has; once, since writers are let in afterwards."""
        if server.label().get("followed") != file:
            self._take_over(server, file, report)
        if self._live.info("replication").get("role") != "master":
            self._live.change("REPLICAOF", "NO", "ONE")
        self._let_writers_in(server)
        self._copies.stop(server)

    def _take_over(self, server: ScratchServer, file: str, report: Report) -> None:
        port = _free_port()
        self._copies.stop(server)
        self._copies.start(server, port=port, file=file)
        copy = server.client(self._where.timeout)
        self._wait(lambda: _answers(copy), "the copy's server to load")
        label = server.label()
        self._live.change("CONFIG", "SET", "masteruser", "")
        self._live.change("CONFIG", "SET", "masterauth", label["password"])
        report("the live server follows the copy")
        self._live.change("REPLICAOF", self._where.reached_as or "", str(port))
        self._wait(lambda: self._in_step(report), "the live server to take over the data")
        if self._live.info("keyspace") != copy.info("keyspace") and not _same_counts(self._live, copy):
            raise OutcomeUnknown("The live server has followed the copy, and has other counts of keys than it.")
        self._copies.write_label(server, {**server.label(), "followed": file})

    def _in_step(self, report: Report) -> bool:
        try:
            told, kept = self._live.info("replication"), self._live.info("persistence")
        except RedisLoading:
            return False
        left = told.get("master_sync_left_bytes", "")
        if told.get("master_sync_in_progress") == "1" and left.lstrip("-").isdecimal() and int(left) > 0:
            report(f"{int(left):,} bytes are left")
        # Until its append-only file is written anew, the disk has the old data: a restart would bring them back.
        writing = kept.get("aof_rewrite_in_progress") == "1" or kept.get("aof_rewrite_scheduled") == "1"
        return told.get("master_link_status") == "up" and told.get("master_sync_in_progress") == "0" and not writing

    def _let_writers_in(self, server: ScratchServer) -> None:
        label = server.label()
        for key in ("masteruser", "masterauth", "min-replicas-max-lag", "min-replicas-to-write"):
            self._live.change("CONFIG", "SET", key, label.get(key, ""))

    def _wait(self, holds: Callable[[], bool], what: str) -> None:
        left = _FOLLOWED_WITHIN
        while not holds():
            if left <= timedelta(0):
                raise OutcomeUnknown(f"Waited {_FOLLOWED_WITHIN} for {what}. Writers are refused; look at the servers.")
            self._pause(_POLL)
            left -= _POLL


def _answers(copy: RedisClient) -> bool:
    try:
        return copy.info("persistence").get("loading") == "0"
    except (RedisLoading, Rejected):
        return False


def _same_counts(one: RedisClient, other: RedisClient) -> bool:
    """Without the averages, and less what has expired between the two looks."""
    first, second = ({db: told.split(",")[0] for db, told in each.info("keyspace").items()} for each in (one, other))
    return first == second


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
