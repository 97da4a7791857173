"""A real ClickHouse engine (chdb) in a process of its own: statements come in as lines of JSON, answers go back.

chdb has one session for each process, and keeps its data in a folder, so ending the process is a server's death: what
the server had in memory (`system.backups`) is gone, and what was on the disk is there again at the next start.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def main(data: str, backups: str) -> None:
    from chdb.session import Session  # noqa: PLC0415 (half a second, in this process alone)

    made: Any = Session  # which is not typed
    session = made(f"{data}?--backups.allowed_path={backups}")
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            if asked["database"]:
                session.query(f"USE `{asked['database']}`")
            answer = session.query(asked["sql"], "JSON", params=asked["params"] or None)
            told = {"body": (answer.bytes() or b"").decode(errors="replace")}
            if asked["database"]:
                session.query("USE default")
        except Exception as error:  # noqa: BLE001 (chdb raises one class for each version of it)
            told = {"error": str(error)}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
