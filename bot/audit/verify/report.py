"""The findings of a verification, for people and for programs, and the exit code."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum


class LogFault(IntEnum):
    """A kind of fault of a log. The number is the exit code; of several faults the lowest number is the gravest."""

    FLAGGED = 0  #: to be read, but not a fault
    ALTERED = 2
    MISSING = 3
    TRUNCATED = 4
    UNSIGNED = 5
    UNSEALED = 6
    UNENDED = 7
    UNANCHORED = 8


FAULT_MEANINGS = {
    LogFault.FLAGGED: "flagged",
    LogFault.ALTERED: "altered",
    LogFault.MISSING: "missing",
    LogFault.TRUNCATED: "truncated",
    LogFault.UNSIGNED: "bad signature",
    LogFault.UNSEALED: "not sealed",
    LogFault.UNENDED: "no outcome",
    LogFault.UNANCHORED: "anchors not whole",
}
#: So many findings of each kind are listed; further ones are only counted.
_MOST = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One finding."""

    fault: LogFault
    message: str
    pos: int | None = None  #: the position in the log where it begins, None where it has none
    expected: str = ""  #: the value that should be there, such as the hash that was sealed, signed or anchored
    found: str = ""


@dataclass(kw_only=True)
class VerificationReport:
    """The findings so far, and the figures on which the verdict rests."""

    name: str
    believed: Sequence[str] = ()  #: the verifier keys that were trusted
    handovers: Sequence[str] = ()  #: which key handed over to which, and at which size
    pinned: bool = True  #: whether the keys were given on the command line, and not by the bot's own settings
    sealed: int = 0  #: including those that were pruned
    pruned: int = 0  #: how many of the first entries were pruned, by a record in the log
    unsealed: int = 0
    checkpoints: int = 0
    anchors: int = 0
    anchored: int = 0  #: the size of the largest anchor
    root: str = ""  #: base64, over all sealed entries; "" where it cannot be computed because of a gap
    signed: int = 0  #: the size of the last valid checkpoint
    signed_at: str = ""
    newest: str = ""  #: when the last sealed entry was written
    findings: list[Finding] = field(default_factory=list)
    counts: Counter[LogFault] = field(default_factory=Counter)

    def add(
        self, fault: LogFault, message: str, *, pos: int | None = None, expected: str = "", found: str = ""
    ) -> None:
        self.counts[fault] += 1
        if self.counts[fault] <= _MOST:
            self.findings.append(Finding(fault=fault, message=message, pos=pos, expected=expected, found=found))

    @property
    def exit_code(self) -> int:
        return min((int(fault) for fault in self.counts if fault), default=0)

    def text_lines(self) -> str:
        """For people: the verdict first, then each finding, then the figures on which it rests."""
        verdict = FAULT_MEANINGS[LogFault(self.exit_code)].upper() if self.exit_code else "as it was written"
        ordered = sorted(self.findings, key=lambda one: one.fault or max(LogFault) + 1)
        lines = [f"{self.name}: {verdict} (exit code {self.exit_code})"]
        for one in ordered:
            lines += _lines(one)
        lines += [
            f"  and {count - _MOST:,} more: {FAULT_MEANINGS[fault]}"
            for fault, count in self.counts.items()
            if count > _MOST
        ]
        return "\n".join([*lines, *self._rests_on()]) + "\n"

    def json(self) -> str:
        """For programs: one JSON object."""
        findings = [
            {"fault": FAULT_MEANINGS[one.fault], "code": int(one.fault), "pos": one.pos, "said": one.message}
            | ({"expected": one.expected, "found": one.found} if one.expected or one.found else {})
            for one in self.findings
        ]
        report = {
            "log": self.name,
            "ok": not self.exit_code,
            "exit_code": self.exit_code,
            "counts": {FAULT_MEANINGS[fault]: count for fault, count in sorted(self.counts.items())},
            "findings": findings,
            "sealed": self.sealed,
            "pruned": self.pruned,
            "unsealed": self.unsealed,
            "newest": self.newest,
            "root": self.root,
            "checkpoints": self.checkpoints,
            "signed": {"size": self.signed, "at": self.signed_at},
            "anchors": self.anchors,
            "anchored": self.anchored,
            "believed": list(self.believed),
            "handovers": list(self.handovers),
            "pinned": self.pinned,
        }
        return json.dumps(report, indent=2) + "\n"

    def _rests_on(self) -> list[str]:
        last = f", the last over {self.signed:,} entries at {self.signed_at}" if self.signed_at else ""
        lines = [
            f"{self.sealed:,} entries sealed, the last at {self.newest or 'no time'}; {self.unsealed:,} not sealed yet",
            f"{self.checkpoints:,} checkpoints{last}; {self._anchors()}",
            *(f"trusted key: {key}" for key in self.believed),
            *(f"key handover: {one}" for one in self.handovers),
        ]
        if not self.believed:
            lines.append("no key is trusted; name one with --public-key")
        elif not self.pinned:
            lines.append(
                "the keys are from the settings; anyone who can change the settings can change them: use --public-key"
            )
        return lines

    def _anchors(self) -> str:
        if self.anchors:
            return f"{self.anchors:,} anchors from outside of the database, the last over {self.anchored:,} entries"
        return "no anchor was checked (--anchors), so a log that was cut at its end would not be noticed"


def _lines(one: Finding) -> list[str]:
    where = "" if one.pos is None else f"position {one.pos}: "
    lines = [f"  {FAULT_MEANINGS[one.fault]}: {where}{one.message}"]
    if one.expected or one.found:
        lines += [f"    expected {one.expected}", f"    found    {one.found}"]
    return lines


def time_of(at: int) -> str:
    """Microseconds since 1970, to the second."""
    return (_EPOCH + timedelta(microseconds=at)).isoformat(timespec="seconds").replace("+00:00", "Z")
