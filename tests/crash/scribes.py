"""Processes to be killed: four threads that write entries into the audit log, or one that seals them, until they end.

`python -m tests.crash.scribes URL write COUNT` writes COUNT entries a thread, rolls one commit in ten back, and ends;
`python -m tests.crash.scribes URL seal` seals without end.
"""

from __future__ import annotations

import random
import sys
import threading
from contextlib import suppress

from bot.core.audit import AuditEntry, Code
from bot.store import audit_log
from bot.store.audit_seals import Sealer
from bot.store.engine import Store

_THREADS = 4


class Undone(Exception):
    """This commit was not meant to be."""


def write(store: Store, count: int) -> None:
    for number in range(count):
        entry = AuditEntry(code=Code.ANSWERED, by="scribe", message=f"Entry {number}.")
        with suppress(Undone), store.begin(f"lane-{random.randrange(16)}") as tx:
            audit_log.append(tx, [entry] * random.randrange(1, 4))
            if random.random() < 0.1:
                raise Undone


def main(url: str, what: str, count: str = "0") -> None:
    store = Store(url)
    print("ready", flush=True)
    if what == "seal":
        sealing = Sealer(store)
        while True:
            sealing.seal()
    threads = [threading.Thread(target=write, args=(store, int(count))) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
