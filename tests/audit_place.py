"""A bot that has written an audit log, and `vakhta audit` as it is typed beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.__main__ import main
from bot.audit import anchors
from bot.audit.notary import Notary
from bot.audit.signed_note import key_id
from bot.audit.signer import Signer, sign_checkpoint, sign_handover
from bot.core.audit import AuditEntry, Code
from bot.lib import crypto
from bot.lib.merkle import MerkleRange
from bot.store import audit_checkpoints, audit_log, audit_seals
from bot.store.engine import Store
from tests.audit_log import HandMade

SEED = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


@dataclass
class Place:
    """A bot that has written something, and its settings."""

    url: str
    config: Path
    outside: Path

    def write(self, *entries: AuditEntry, seed: str = SEED, days_ago: float = 0) -> None:
        """Recorded, sealed, signed and anchored as the running bot does it."""
        store = Store(self.url, now=lambda: datetime.now(UTC) - timedelta(days=days_ago))
        with store.begin() as tx:
            audit_log.append(tx, entries or [AuditEntry(code=Code.ANSWERED, by="ana", message="So.", incident_id=42)])
        notary = Notary(store, signer=signer_of(seed), anchors={"file": anchors.to_file(self.outside)})
        notary.start()
        notary.stop(timedelta(seconds=10))
        store.close()

    def write_as(self, signer: Signer) -> None:
        """Recorded, sealed, and signed by whoever it is."""
        store = Store(self.url)
        notary = Notary(store, signer=None)
        notary.start()
        notary.stop(timedelta(seconds=10))
        with store.read() as seen:
            last = audit_checkpoints.newest(seen.sql)
        tree = audit_checkpoints.extended_tree(store, last.tree if last else MerkleRange())
        with store.begin(audit_seals.LANE) as tx:
            assert audit_checkpoints.put(tx, sign_checkpoint(signer, tree, tx.now))
        store.close()

    def hand_over(self, old: Signer, new: Signer) -> None:
        """As a thief of the old key would, over one entry more."""
        store = Store(self.url)
        notary = Notary(store, signer=None)
        notary.start()
        notary.seal()
        tree = audit_checkpoints.extended_tree(store, MerkleRange())
        with store.begin(audit_seals.LANE) as tx:
            assert audit_checkpoints.put(tx, sign_handover(old, new, tree, tx.now))
        store.close()

    def asked(self, statement: str) -> list[object]:
        """The first column of what is there."""
        hand = HandMade(self.url)
        rows = [row[0] for row in hand.sql(statement)]
        hand.close()
        return rows

    def set(self, **audit: str) -> None:
        """Other settings of the log."""
        said = ", ".join(f"{name}: '{value}'" for name, value in audit.items())
        self.config.write_text(f"store: {{url: '{self.url}'}}\naudit: {{{said}}}\n")

    def tamper(self, statement: str, *values: object) -> None:
        hand = HandMade(self.url)
        hand.sql(statement, *values)
        hand.close()

    def run(self, verb: str, *words: str | Path) -> int:
        return main(["audit", verb, "--config", str(self.config), *map(str, words)])


def signer_of(text: str = SEED) -> Signer:
    seed = crypto.seed_of(text)
    public = crypto.public_key(seed)
    return Signer(
        name="vakhta",
        public=public,
        sign=lambda text: crypto.sign(seed, text),
        believed={key_id("vakhta", public): public},
        signed_by=crypto.signed_by,
    )


def placed(url: str, folder: Path) -> Place:
    place = Place(url=url, config=folder / "vakhta.yaml", outside=folder / "anchors")
    place.set(key=SEED)
    return place
