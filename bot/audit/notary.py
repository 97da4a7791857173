"""PATH OF THE AUDIT LOG: recorded entries are sealed, the root is signed, and the signed checkpoint is stored outside.

Nothing waits for this, except that an action waits for the seal of its own intent. The publishers store checkpoints
outside (`publishers.py`).
"""

from __future__ import annotations

import logging
import os
import platform
import threading
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from time import monotonic

from bot.audit.anchors import PutAnchor
from bot.audit.publishers import AnchorPublisher, LinePublisher, Publisher
from bot.audit.signer import Signer, check_trusted, must_follow, sign_checkpoint
from bot.core.audit import AuditEntry, Code
from bot.lib.merkle import MerkleRange
from bot.lib.metrics import Metrics
from bot.store import audit_checkpoints, audit_log, audit_pruning, audit_seals
from bot.store.audit_checkpoints import Checkpoint
from bot.store.audit_seals import Sealed, Sealer
from bot.store.engine import Store, Unavailable

logger = logging.getLogger(__name__)

_SEAL_EVERY_S, _SIGN_EVERY_S, _BEAT_EVERY_S = 1, 60, 300


class Notary:
    """Seals, signs and anchors one log.

    `seldom`: anchors that do not get every checkpoint, and the least time between two. `write`: gets every entry as a
    line as well, such as stdout.
    """

    def __init__(
        self,
        store: Store,
        *,
        signer: Signer | None,
        anchors: Mapping[str, PutAnchor] | None = None,
        seldom: Mapping[str, timedelta] | None = None,
        write: Callable[[bytes], object] | None = None,
        meters: Metrics | None = None,
    ) -> None:
        self._store = store
        self._signer = signer
        self._seals = Sealer(store, on_sealed=self._sealed)
        self._meters = meters or Metrics()
        self._tree: MerkleRange | None = None
        self._newest: Checkpoint | None = None
        self._beginning = False  #: until the entry of the start is sealed; then the first root is signed at once
        self._caught_up = monotonic()
        pace = dict.fromkeys(anchors or {}, timedelta(0)) | dict(seldom or {})
        self._outside = [AnchorPublisher(name, put, self, pace[name]) for name, put in (anchors or {}).items()]
        self._lines = LinePublisher(store, write, self.anchor_failed) if write else None
        self._signing = threading.Lock()
        self._meters.audit_seal_lag_seconds.set_function(lambda: monotonic() - self._caught_up)
        self._meters.audit_checkpoint_age_seconds.set_function(self._age)

    def ticks(self) -> tuple[tuple[Callable[[], None], int], ...]:
        """The periodic functions, and their periods in seconds."""
        return ((self.seal, _SEAL_EVERY_S), (self.checkpoint, _SIGN_EVERY_S), (self.tick, _BEAT_EVERY_S))

    def start(self) -> None:
        """Record the start of the bot. If the log cannot be written, the bot starts all the same: pages come first."""
        for thread in self._threads():
            thread.start()
        try:
            with self._store.read() as seen:
                last = audit_checkpoints.newest(seen.sql)
            self._record(Code.STARTED, "The bot begins to write.")
            self._beginning = True
            self._introduce(last)
        except (Unavailable, ValueError) as trouble:
            logger.warning("the start is not in the audit log", extra={"why": str(trouble)})

    def stop(self, within: timedelta) -> None:
        """Record the stop, seal and sign it, and wait at most `within` for it to be stored outside."""
        until = monotonic() + within.total_seconds()
        try:
            self._record(Code.STOPPED, "The bot ends.")
            self.seal()
            self.checkpoint()
        except Unavailable as trouble:
            logger.warning("the stop is not in the audit log", extra={"why": str(trouble)})
        for thread in self._threads():
            thread.end()
        for thread in self._threads():
            thread.join(max(0.0, until - monotonic()))

    def seal(self) -> None:
        """Seal all unsealed entries, unless another replica is sealing them."""
        begun = monotonic()
        left = self._seals.seal()
        self._meters.audit_unsealed.set(left)
        if not left:
            self._caught_up = begun
            if self._beginning:
                self._beginning = False
                self.checkpoint()

    def seal_now(self, uids: Collection[str]) -> None:
        """Returns when those entries are sealed. Raises `Unavailable`: the action that depends on them must not run."""
        self._seals.seal_now(uids)

    def tick(self) -> None:
        """Write a heartbeat: so a gap in the log is evidence that the bot did not run."""
        self._record(Code.HEARTBEAT, "Still here.")

    def checkpoint(self) -> None:
        """Sign the root if the log has grown, and store it outside; what failed there is tried again."""
        if self._signer is None:
            return
        with self._signing:
            try:
                self._sign(self._signer)
            except ValueError as reason:
                logger.critical(
                    "the audit log is not signed: it does not continue what was signed before",
                    extra={"why": str(reason)},
                )
        for one in self._outside:
            one.wake()

    def anchor_failed(self, sink: str, reason: str) -> None:
        """Count and log that a checkpoint or a line could not be stored outside."""
        self._meters.audit_anchor_failures_total.labels(sink).inc()
        logger.warning("the audit log is not anchored", extra={"sink": sink, "why": reason})

    def anchor_stored(self, size: int, sink: str, receipt: str) -> None:
        with self._store.begin(audit_seals.LANE) as tx:
            audit_checkpoints.put_anchor(tx, size, sink, receipt)

    def newest(self) -> Checkpoint | None:
        """The newest checkpoint that this process knows."""
        return self._newest

    def _record(self, code: Code, message: str, **more: str) -> None:
        about = {"host": platform.node(), "pid": str(os.getpid()), **more}
        with self._store.begin(audit_seals.LANE) as tx:
            audit_log.append(tx, [AuditEntry(code=code, by="bot", message=message, details=about)])

    def _introduce(self, last: Checkpoint | None) -> None:
        if self._signer is None:
            logger.warning("no key signs the audit log; set audit.key")
            return
        mine = self._signer.verifier_key
        logger.info("the audit log is signed", extra={"verifier_key": mine})
        if last is not None and last.key_id != self._signer.key_id and last.key_id in self._signer.believed:
            message = f"From here on checkpoints are signed by {mine}, and no longer by {last.key_id}."
            self._record(Code.KEY_CHANGED, message, key=mine)

    def _sign(self, signer: Signer) -> None:
        with self._store.read() as seen:
            last, size = audit_checkpoints.newest(seen.sql), audit_seals.size(seen.sql)
            handed_over = last is not None and audit_checkpoints.has_handed_over(seen.sql, signer.verifier_key)
            base = audit_pruning.pruned_checkpoint(seen.sql) if self._tree is None else None
        self._newest = last
        tree = self._tree or check_trusted(signer, last, base)
        known = max(tree.size, last.tree.size if last else 0)
        if size < known:
            raise ValueError(
                f"{size} entries are sealed, and {known} were before: the log was cut, or is an older copy"
            )
        if last is not None and last.key_id != signer.key_id:
            must_follow(signer, last, handed_over=handed_over)
        tree = self._tree = audit_checkpoints.extended_tree(self._store, tree)
        if last is not None and last.tree.size == tree.size:
            if last.root != tree.root():
                raise ValueError(f"the root over {tree.size} entries is not the root that was signed")
            return
        with self._store.begin(audit_seals.LANE) as tx:
            made = sign_checkpoint(signer, tree, tx.now)
            if audit_checkpoints.put(tx, made):
                self._newest = made

    def _sealed(self, sealed: Sealed) -> None:
        for code in sealed.codes:
            self._meters.audit_entries_total.labels(Code(code).name.lower()).inc()
        if self._lines:
            self._lines.add(sealed)

    def _age(self) -> float:
        newest = self._newest
        return float("inf") if newest is None else (self._store.now() - newest.at).total_seconds()

    def _threads(self) -> list[Publisher]:
        return [*self._outside, *([self._lines] if self._lines else [])]
