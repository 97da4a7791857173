"""What the log of a restored cluster says when its recovery did not end as it should. Pure.

The promise: PostgreSQL's hints are never repeated. One of them tells to remove backup_label, which makes a corrupt
cluster that starts.
"""

from __future__ import annotations

import re

#: What the copy's server begins its lines with: those about a client, and no others, say so. A client that is turned
#: away has a FATAL of its own, which is no reason why the server ended.
LINE_PREFIX = "%m [%p] %qclient: "
_LEVELS = re.compile(r"(?<!client: )\b(FATAL|PANIC): +(.*)")
_RESTORED = re.compile(r'restored log file "([0-9A-F]{24})"')
_LAST = re.compile(r"last completed transaction was at log time (.+)")
_MISSING = re.compile(r"unable to find ([0-9A-F]{24}) in the archive")

_NOT_REACHED = "recovery ended before configured recovery target was reached"
_NO_CHECKPOINT = "could not locate required checkpoint record"
_NOT_CONSISTENT = ("WAL ends before end of online backup", "WAL ends before consistent recovery point")
_NO_HISTORY = "is not a child of this server's history"
_BEFORE = "requested recovery stop point is before consistent recovery point"


def failure_in(log: str) -> str:
    """Why the server ended, in words; "" when its log does not say."""
    said = [message.strip() for _, message in _LEVELS.findall(log)]
    # What is said to connections that come too early is no reason.
    reasons = [message for message in said if not message.startswith("the database system is")]
    if not reasons:
        return ""
    if _NOT_REACHED in log:
        last = _LAST.findall(log)
        until = f" The last transaction in it is of {last[-1].strip()}." if last else ""
        missing = _MISSING.findall(log)
        ends = f" It ends before segment {missing[-1]}." if missing else ""
        return (
            f"the archive has no transaction at or after the moment that was asked for.{until}{ends} Nothing is"
            " missing up to there: ask for that time, or for latest"
        )
    if _NO_CHECKPOINT in log or any(one in log for one in _NOT_CONSISTENT):
        missing = _MISSING.findall(log)
        name = f" (segment {missing[0]})" if missing else ""
        return f"WAL that the backup itself needs is missing from the archive{name}; restore from another backup"
    if _NO_HISTORY in log:
        return "the newest timeline does not descend from this backup; restore from a newer backup"
    if _BEFORE in log:
        return "the moment that was asked for is before the end of the backup; ask for a later one"
    return f"PostgreSQL says: {reasons[0]}"


def progress_in(log: str) -> str:
    """The last segment that was replayed; "" before the first."""
    found = _RESTORED.findall(log)
    return f"replayed up to segment {found[-1]}" if found else ""
