"""What a plan found out about a backup, stored before the restore begins and given back to every later step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from bot.core.backup import RestoreTask

_LONGEST = 63


@dataclass(frozen=True, kw_only=True, slots=True)
class RestoreFacts:
    """`volumes`: by claim ("shop/data"), the bytes that a backup repository has of it; -1 for a snapshot."""

    backup_uid: str
    volumes: Mapping[str, int]
    live: Mapping[str, str]  #: the uid of each live namespace, by name
    pods: bool  #: pods have to run for the data to come back
    target: str = ""  #: HOST:PORT of the live ones that a drill must not reach

    def as_texts(self) -> Mapping[str, str]:
        return {
            "backup_uid": self.backup_uid,
            "volumes": json.dumps(dict(self.volumes), sort_keys=True),
            "live": json.dumps(dict(self.live), sort_keys=True),
            "pods": "needed" if self.pods else "",
            "target": self.target,
        }

    @classmethod
    def of(cls, task: RestoreTask) -> RestoreFacts:
        facts = task.facts
        return cls(
            backup_uid=facts.get("backup_uid", ""),
            volumes={claim: int(size) for claim, size in json.loads(facts.get("volumes", "{}")).items()},
            live={name: str(uid) for name, uid in json.loads(facts.get("live", "{}")).items()},
            pods=bool(facts.get("pods")),
            target=facts.get("target", ""),
        )


def restore_name(run: str) -> str:
    """Of the Restore, and of the ConfigMap with its changes."""
    return f"vakhta-{run}"[:_LONGEST]


def copy_of(namespace: str, short_run: str) -> str:
    """The namespace that holds the copy of that one."""
    return f"{namespace}-restore-{short_run}"
